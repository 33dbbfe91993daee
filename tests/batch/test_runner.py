"""A batch: bad rows stop no others, a second call does what is left, and each output is what translate writes."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.batch.journal import journal_path
from pnpvideo.batch.rows import Common, read_rows
from pnpvideo.batch.runner import Hashes, row_key, run
from pnpvideo.errors import InputError, ModelError, OptionError, OutputError, PnPVideoError
from pnpvideo.events import Event, Notice, Progress
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options

Jobs = Callable[[str], Path]
AsUser = Callable[..., subprocess.CompletedProcess[str]]
ALL = '[[rows]]\ninput = "in/*.png"\n'


def states(path: Path, common: Common) -> list[str]:
    return [outcome.state for outcome in run(path, common=common).outcomes]


def test_three_bad_rows_of_twenty_stop_no_others(folder: Path, jobs: Jobs, common: Common) -> None:
    for number in (3, 7):
        content = (folder / f"in/{number:02d}.png").read_bytes()
        (folder / f"in/{number:02d}.png").write_bytes(content[: len(content) // 2])
    frames = [Image.new("RGB", (48, 32), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "in/12.png", save_all=True, append_images=frames[1:])  # a clip, for one picture
    heard: list[Event] = []
    found = run(jobs(ALL), common=common, report=heard.append)
    assert [outcome.number for outcome in found.failed] == [4, 8, 13]
    assert [outcome.exit_code for outcome in found.failed] == [3, 3, 6]
    assert "03.png" in (found.failed[0].error or "") and "one picture" in (found.failed[2].error or "")
    assert found.record()["counts"] == {"done": 17, "failed": 3}
    assert len(list((folder / "out").glob("*.png"))) == len(list((folder / "out").glob("*.png.json"))) == 17
    shares = [event.overall for event in heard if isinstance(event, Progress) and event.overall is not None]
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert sum("failed: " in event.message for event in heard if isinstance(event, Notice)) == 3
    loads = [event for event in heard if isinstance(event, Progress) and event.stage == "load" and event.done]
    assert len(loads) == 1  # one model for all rows

    Image.new("RGB", (48, 32), "green").save(folder / "in/03.png")
    assert states(folder / "jobs.toml", common) == ["done before"] * 3 + ["done"] + ["done before"] * 3 + [
        "failed",
        *["done before"] * 4,
        "failed",
        *["done before"] * 7,
    ]


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
@pytest.mark.parametrize("given", ["in/03.png", "mask.png"])
def test_a_pipe_is_refused_before_anything_is_read_from_it(
    given: str, folder: Path, jobs: Jobs, common: Common
) -> None:
    (folder / given).unlink(missing_ok=True)
    os.mkfifo(folder / given)
    mask = "" if given.startswith("in") else 'mask = "mask.png"\n'
    path = jobs(f'[[rows]]\ninput = "in/02.png"\n[[rows]]\ninput = "in/03.png"\n{mask}')
    with pytest.raises(InputError, match=r"row 2 \(03\.png\).*is not a regular file"):
        run(path, common=common)


def test_what_cannot_be_read_is_named_with_its_row(
    folder: Path, jobs: Jobs, common: Common, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open

    def refusing(path: object, *given: Any, **more: Any) -> Any:
        """As a disk that fails on the way: what is checked can be read, what is hashed cannot."""
        if str(path).endswith("03.png"):
            raise OSError(5, "Input/output error", str(path))
        return opened(path, *given, **more)  # type: ignore[call-overload]

    monkeypatch.setattr("builtins.open", refusing)
    path = jobs('[[rows]]\ninput = "in/02.png"\n[[rows]]\ninput = "in/03.png"\n')
    with pytest.raises(InputError, match=r"row 2 \(03\.png\).*Input/output error.*nothing was done"):
        run(path, common=common)


def test_an_input_without_permission_is_named_with_its_row(
    folder: Path, jobs: Jobs, common: Common, as_user: AsUser
) -> None:
    (folder / "in/03.png").chmod(0)
    path = jobs('[[rows]]\ninput = "in/02.png"\n[[rows]]\ninput = "in/03.png"\n')
    done = as_user("batch", str(path), "--store", str(folder / "store"), "--device", "cpu")
    assert done.returncode == 3 and "row 2 (03.png)" in done.stderr and "Permission denied" in done.stderr


def test_an_output_with_a_slash_at_its_end_is_a_folder(folder: Path, jobs: Jobs, common: Common) -> None:
    path = jobs('[[rows]]\ninput = "in/00.png"\noutput = "out/frames.v2/"\n')
    assert states(path, common) == ["done"] and states(path, common) == ["done before"]
    assert [each.name for each in (folder / "out/frames.v2").iterdir()] == ["000000.png"]


def test_a_row_writes_what_translate_writes(
    folder: Path, jobs: Jobs, common: Common, checkpoint: Path, backend: StableDiffusion
) -> None:
    path = jobs('[[rows]]\ninput = "in/00.png"\nguidance = 3\n[[rows]]\ninput = "in/01.png"\nfrom = "a"\nto = "b"\n')
    assert states(path, common) == ["done", "done"]
    values = {"model": str(checkpoint), "size": 16, "steps": 1, "source_prompt": "", "device": "cpu"}
    values["store"] = folder / "another store"
    one = Options.from_flat({**values, "guidance": 3})
    two = Options.from_flat({**values, "method": "pix2pix-zero", "change": ("a", "b")})
    translate(folder / "in/00.png", "a fox", folder / "one.png", one, backend=backend)
    translate(folder / "in/01.png", None, folder / "two.png", two, backend=backend)
    assert (folder / "out/00.png").read_bytes() == (folder / "one.png").read_bytes()
    assert (folder / "out/01.png").read_bytes() == (folder / "two.png").read_bytes()


@pytest.mark.slow
def test_a_killed_batch_goes_on_to_the_same_files(
    folder: Path, jobs: Jobs, common: Common, backend: StableDiffusion
) -> None:
    path = jobs('[[rows]]\ninput = "in/0*.png"\n')
    words = ["batch", str(path), "--store", str(folder / "store"), "--device", "cpu", "--progress", "json"]
    program = "import sys; from pnpvideo.cli.main import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", program, *words], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if '"row"' in line and '"done": 3' in line:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    before = {each: each.stat().st_mtime_ns for each in (folder / "out").glob("*.png")}
    assert 3 <= len(before) < 10
    found = [outcome.state for outcome in run(path, common=common).outcomes]
    assert found.count("done before") in (len(before), len(before) - 1)  # one may stand whose line is not written
    assert {each: each.stat().st_mtime_ns for each in [*before][:3]} == dict([*before.items()][:3])
    for row in read_rows(path, Common(over={**common.over, "store": folder / "other"})):
        again = row.options.changed({"overwrite": True})
        translate(row.input, row.prompt, folder / "whole.png", again, backend=backend)
        assert Path(row.output).read_bytes() == (folder / "whole.png").read_bytes()


def test_an_output_that_a_killed_run_left_is_made_again(folder: Path, jobs: Jobs, common: Common) -> None:
    """Between publishing and the journal's line, a kill leaves an output of which the journal says "started"."""
    path = jobs('[[rows]]\ninput = "in/00.png"\n')
    assert states(path, common) == ["done"]
    content = (folder / "out/00.png").read_bytes()
    journal = journal_path(path)
    journal.write_text(journal.read_text("utf-8").splitlines()[0], "utf-8")
    assert states(path, common) == ["done"]
    assert (folder / "out/00.png").read_bytes() == content
    journal.unlink()
    with pytest.raises(OutputError, match="exists"):  # without the journal, it is somebody else's
        run(path, common=common)


def test_an_interrupted_batch_goes_on(folder: Path, jobs: Jobs, common: Common) -> None:
    def interrupt(event: Event) -> None:
        if isinstance(event, Progress) and event.unit == "row" and event.done == 1:
            raise KeyboardInterrupt

    path = jobs('[[rows]]\ninput = "in/0[0-2].png"\n')
    with pytest.raises(KeyboardInterrupt):
        run(path, common=common, report=interrupt)
    assert states(path, common) == ["done before", "done", "done"]


def test_a_folder_may_be_moved_with_its_journal(folder: Path, jobs: Jobs, common: Common) -> None:
    path = jobs('[[rows]]\ninput = "in/0[01].png"\nmask = "in/02.png"\n')
    assert states(path, common) == ["done", "done"]
    (folder / "moved").mkdir()
    for name in ("in", "out", "jobs.toml", "jobs.toml.journal.jsonl"):
        shutil.move(folder / name, folder / "moved" / name)
    assert states(folder / "moved/jobs.toml", common) == ["done before", "done before"]


def test_what_decides_a_row_decides_its_key(folder: Path, jobs: Jobs, common: Common, checkpoint: Path) -> None:
    (row,) = read_rows(jobs('[[rows]]\ninput = "in/00.png"\nmask = "in/01.png"\n'), common)
    key = row_key(row, Hashes(), folder)
    assert row_key(dataclasses.replace(row, number=9, place="row 9"), Hashes(), folder) == key
    assert row_key(dataclasses.replace(row, options=row.options.changed({"overwrite": True})), Hashes(), folder) == key
    others = [
        dataclasses.replace(row, prompt="a hen"),
        dataclasses.replace(row, output="other.png"),
        dataclasses.replace(row, input=folder / "in/02.png"),
        dataclasses.replace(row, options=row.options.changed({"seed": 5})),
        dataclasses.replace(row, options=row.options.changed({"mask": folder / "in/03.png"})),
        dataclasses.replace(row, options=row.options.changed({"model": "miniature"})),
    ]
    keys = [row_key(other, Hashes(), folder) for other in others]
    assert len({key, *keys}) == 1 + len(others)
    Image.new("RGB", (48, 32)).save(folder / "in/00.png")
    assert row_key(row, Hashes(), folder) != key


@pytest.mark.parametrize(
    ("option", "place", "changed"),
    [
        ("lora", "ink.safetensors", "ink.safetensors"),
        ("embedding", "ink.safetensors", "ink.safetensors"),
        ("embedding", "ink.safetensors:word", "ink.safetensors"),
        ("vae", "ink.safetensors", "ink.safetensors"),
        ("vae", "parts", "parts/vae/model.safetensors"),
        ("captioner", "parts", "parts/model.safetensors"),
        ("model", "ink.safetensors", "ink.safetensors"),
        ("model", "ink.safetensors", "ink.pnpvideo.json"),
        ("control", "frames", "frames/0.png"),
        ("controlnet", "parts", "parts/model.safetensors"),
        ("directions", "ink.safetensors:2", "ink.safetensors"),
    ],
)
def test_other_contents_of_a_file_are_another_row(
    option: str, place: str, changed: str, folder: Path, jobs: Jobs, common: Common
) -> None:
    for name in ("ink.safetensors", "parts/vae/model.safetensors", "parts/model.safetensors", "frames/0.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"before")
    several = option in ("lora", "embedding", "control", "controlnet", "directions")
    pair = {"control": 'controlnet = ["parts"]\n', "controlnet": 'control = ["canny"]\n'}.get(option, "")
    given = f"{option} = {[f'./{place}'] if several else f'./{place}'!r}\n{pair}"
    path = jobs(f'[[rows]]\ninput = "in/00.png"\n{given}')
    (row,) = read_rows(path, common)
    key = row_key(row, Hashes(), folder)
    assert row_key(row, Hashes(), folder) == key
    (folder / changed).write_bytes(b"after")
    assert row_key(row, Hashes(), folder) != key


def test_an_embedding_without_a_word_is_known_by_its_name(folder: Path, jobs: Jobs, common: Common) -> None:
    keys = []
    for name in ("ink", "wash"):
        (folder / f"{name}.safetensors").write_bytes(b"the same")
        (row,) = read_rows(jobs(f'[[rows]]\ninput = "in/00.png"\nembedding = ["{name}.safetensors"]\n'), common)
        keys.append(row_key(row, Hashes(), folder))
    assert keys[0] != keys[1]


WRONG: list[tuple[str, type[PnPVideoError], str]] = [
    ('[[rows]]\ninput = "none.png"\n', InputError, "row 2 .*none.png does not exist"),
    ('[[rows]]\ninput = "in/01.png"\noutput = "out/00.png"\n', OptionError, "both write"),
    ('[[rows]]\ninput = "in/01.png"\noutput = "in/00.png"\n', OptionError, "in/00.png is what row 1"),
    ('[[rows]]\ninput = "in/01.png"\nmodel = "./none"\n', ModelError, "no model at"),
    ('[[rows]]\ninput = "in/01.png"\noutput = "none/01.png"\n', OutputError, "make it first"),
    ('[[rows]]\ninput = "in/01.png"\nprompt = "a (fox:9)"\n', OptionError, "gives a weight of 9"),
    ('[[rows]]\ninput = "in/01.png"\nstepz = 1\n', OptionError, "unknown key"),
]


@pytest.mark.parametrize(("second", "error", "said"), WRONG, ids=[said for _, _, said in WRONG])
def test_nothing_is_done_where_a_row_is_wrong(
    second: str, error: type[PnPVideoError], said: str, folder: Path, jobs: Jobs, common: Common, calls: list[int]
) -> None:
    path = jobs('[[rows]]\ninput = "in/00.png"\n' + second)
    with pytest.raises(error, match=rf"jobs\.toml: .*{said}") as raised:
        run(path, common=common)
    assert "\n" not in str(raised.value) and calls == []
    assert list((folder / "out").iterdir()) == [] and not journal_path(path).exists()


def test_a_dry_run_says_what_would_be_done(folder: Path, jobs: Jobs, common: Common, calls: list[int]) -> None:
    path = jobs('[[rows]]\ninput = "in/0[01].png"\n')
    found = run(path, common=common, dry_run=True)
    assert [(outcome.state, Path(outcome.output).name) for outcome in found.outcomes] == [
        ("to do", "00.png"),
        ("to do", "01.png"),
    ]
    assert calls == [] and not journal_path(path).exists() and list((folder / "out").iterdir()) == []


def test_rows_that_share_a_model_follow_each_other(jobs: Jobs, common: Common, checkpoint: Path) -> None:
    heard: list[Event] = []
    rows = "".join(
        f'[[rows]]\ninput = "in/0{n}.png"\ndtype = "{dtype}"\n'
        for n, dtype in enumerate(("float32", "auto", "float32", "auto"))
    )
    found = run(jobs(rows), common=common, report=heard.append)
    assert [outcome.number for outcome in found.outcomes] == [1, 2, 3, 4]
    loads = [event for event in heard if isinstance(event, Progress) and event.stage == "load" and event.done]
    assert len(loads) == 2
