"""Mutants of the store, and of the keys under which it keeps results."""

from .mutant import Mutant

_DURABLE, _ENTRY, _MANIFEST = "pnpvideo/store/durable.py", "pnpvideo/store/entry.py", "pnpvideo/store/manifest.py"
_STORE, _DIGEST, _ENGINE = "pnpvideo/store/store.py", "pnpvideo/store/digest.py", "pnpvideo/engine/keys.py"
_TESTS = "tests/store"
_DISK = ("tests/test_durable.py",)
_KEY_TESTS = "tests/engine/test_keys.py"
_TAKEN_UP = "test_an_interrupted_run_is_taken_up_where_nothing_that_it_depends_on_has_changed"
_KEYS = (_KEY_TESTS,)

MUTANTS = (
    Mutant(
        "a file's content is on the disk before its name",
        _DURABLE,
        "            os.fsync(file.fileno())\n",
        "",
        _DISK,
    ),
    Mutant(
        "a file's name is on the disk",
        _DURABLE,
        "            os.fsync(descriptor)\n",
        "            pass\n",
        _DISK,
    ),
    Mutant(
        "a file is replaced in one step",
        _DURABLE,
        "        os.replace(name, path)\n",
        "        path.write_bytes(Path(name).read_bytes())\n        os.unlink(name)\n",
        (_TESTS,),
    ),
    Mutant(
        "a failed write leaves no part behind",
        _DURABLE,
        "            os.unlink(name)\n        raise",
        "            pass\n        raise",
        (_TESTS,),
    ),
    Mutant(
        "a part is what its checksum says",
        _ENTRY,
        "if hashlib.sha256(content).hexdigest() != part.sha256:",
        "if False:",
        ("tests/store/test_entry.py::TestDamage",),
    ),
    Mutant(
        "a part counts once the manifest names it",
        _ENTRY,
        "            replace_file(self._folder / part.file, content)\n"
        "            self._commit({**self._manifest.parts, name: part})\n",
        "            self._commit({**self._manifest.parts, name: part})\n"
        "            replace_file(self._folder / part.file, content)\n",
        (_TESTS,),
    ),
    Mutant(
        "an entry is the one that was asked for",
        _ENTRY,
        "(manifest.kind, manifest.key) == (kind, key)",
        "True",
        (_TESTS,),
    ),
    Mutant(
        "a name cannot leave the entry's folder",
        _ENTRY,
        "if not PART_NAME.fullmatch(name):",
        "if False:",
        (_TESTS,),
    ),
    Mutant(
        "a key cannot leave the store",
        _STORE,
        "or not _KEY.fullmatch(key)",
        "",
        (_TESTS,),
    ),
    Mutant(
        "the manifest is what its checksum says",
        _MANIFEST,
        'if hashlib.sha256(body.encode()).hexdigest() != record["sha256"]:',
        "if False:",
        (_TESTS,),
    ),
    Mutant(
        "another version is left alone",
        _MANIFEST,
        'if record["format"] != FORMAT:',
        "if False:",
        (_TESTS,),
    ),
    Mutant(
        "one key is worked on by one process at a time",
        _STORE,
        "            lock.acquire(blocking=False)\n",
        "            pass\n",
        (_TESTS,),
    ),
    Mutant(
        "what is in use is not cleared",
        _STORE,
        "with self._locked(f\"{info.kind}-{info.key}\", wait=False):",
        "if True:",
        (_TESTS,),
    ),
    Mutant(
        "what was used since it was listed is not pruned",
        _STORE,
        "if if_unused and _last_used(folder) != info.last_used:",
        "if False:",
        ("tests/store/test_prune.py",),
    ),
    Mutant(
        "arrays count with their shape",
        _DIGEST,
        '("tensor", str(value.dtype), tuple(value.shape))',
        '("tensor", str(value.dtype))',
        (_TESTS,),
    ),
    Mutant(
        "texts count with their length",
        _DIGEST,
        'yield from _with_length(b"s", value.encode("utf-8", "surrogatepass"))',
        'yield b"s" + value.encode("utf-8", "surrogatepass")',
        (_TESTS,),
    ),
    Mutant(
        "a trajectory is of its model",
        _ENGINE,
        "        run.backend.fingerprint,\n        run.schedule,",
        "        run.schedule,",
        _KEYS,
    ),
    Mutant(
        "a trajectory is of its precision",
        _ENGINE,
        "        run.backend.numerics,\n",
        "",
        _KEYS,
    ),
    Mutant(
        "a trajectory is of its source prompt",
        _ENGINE,
        "        window.script.source,\n",
        "",
        _KEYS,
    ),
    Mutant(
        "a trajectory is of its corrections",
        _ENGINE,
        "(sampling.inversion_rounds, sampling.regularize)",
        "()",
        _KEYS,
    ),
    Mutant(
        "a run is of its prompt and its words",
        _ENGINE,
        "        script.prompt,\n        script.prompt_embeddings,\n",
        "",
        (f"{_KEY_TESTS}::{_TAKEN_UP}",),
    ),
    Mutant("a run is of its guidance", _ENGINE, "        window.guidance,\n", "", _KEYS),
    Mutant(
        "a run is of its method's parameters",
        _ENGINE,
        'options.method if before is None else ("before", before, options.method.before(before, run.schedule.steps))',
        "None",
        _KEYS,
    ),
    Mutant(
        "a run is of its coherence",
        _ENGINE,
        "        options.coherence,\n",
        "",
        _KEYS,
    ),
    Mutant(
        "a run is of its anchors", _ENGINE, "        window.anchors.run,\n", "", _KEYS
    ),
    Mutant(
        "a trajectory is of the calls that made it",
        "pnpvideo/engine/inversion.py",
        "return fingerprint(key, _calls(run, window, recorder, run.guard.batch))",
        "return key",
        _KEYS,
    ),
    Mutant(
        "a run is of the frames that share a call",
        _ENGINE,
        "        run.guard.batch,\n",
        "",
        _KEYS,
    ),
    Mutant(
        "a run is of its mask",
        _ENGINE,
        "None if mask is None or window.tokens is not None else mask.numpy()",
        "None",
        (f"{_KEY_TESTS}::test_an_interrupted_run_is_not_taken_up_for_another_mask",),
    ),
)  # fmt: skip
