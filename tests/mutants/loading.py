"""Mutants of what finds, checks and loads models, and of what reads a direction."""

from .mutant import Mutant

_LOADING, _FILES = "pnpvideo/backends/loading.py", "pnpvideo/backends/model_files.py"
_HUB, _PRINT = "pnpvideo/backends/hub.py", "pnpvideo/backends/fingerprint.py"
_CARD, _TENSOR = "pnpvideo/backends/checkpoint.py", "pnpvideo/words/saved_tensor.py"
_DOOR, _CANARY = "tests/backends/test_one_door.py", "tests/backends/test_canaries.py"
_CONFIGS, _SUMS = "tests/backends/test_configs.py", "tests/backends/test_fingerprint.py"
_WHAT_IT_MUST = (f"{_DOOR}::test_what_loads_says_what_it_must",)

MUTANTS = (
    Mutant(
        "networks come from safetensors alone",
        _LOADING,
        "use_safetensors=True,",
        "use_safetensors=None,",
        _WHAT_IT_MUST,
    ),
    Mutant(
        "networks run no code of their folder",
        _LOADING,
        "trust_remote_code=False,\n                use_safetensors",
        "trust_remote_code=True,\n                use_safetensors",
        _WHAT_IT_MUST,
    ),
    Mutant(
        "networks are not fetched",
        _LOADING,
        "local_files_only=True,\n                output_loading_info",
        "local_files_only=False,\n                output_loading_info",
        _WHAT_IT_MUST,
    ),
    Mutant(
        "tokenizers run no code of their folder",
        _LOADING,
        "sealed, trust_remote_code=False, local_files_only=True",
        "sealed, trust_remote_code=True, local_files_only=True",
        _WHAT_IT_MUST,
    ),
    Mutant(
        "tokenizers are not fetched",
        _LOADING,
        "sealed, trust_remote_code=False, local_files_only=True",
        "sealed, trust_remote_code=False",
        _WHAT_IT_MUST,
    ),
    Mutant(
        "what names code is left out of a config",
        _LOADING,
        '_CODE = ("auto_map", "custom_pipelines", "trust_remote_code")',
        "_CODE = ()",
        (f"{_CONFIGS}::test_the_libraries_see_no_names_of_code",),
    ),
    Mutant(
        "a name of an implementation is left out of a config",
        _LOADING,
        '("_implementation", "_implementation_internal", "_file")',
        '("_file",)',
        (f"{_CANARY}::test_a_kernel_that_a_config_names_is_not_fetched",),
    ),
    Mutant(
        "quantised weights are refused",
        _LOADING,
        'if key == "quantization_config" and item is not None:',
        "if False:",
        (f"{_CONFIGS}::test_quantised_weights_are_named",),
    ),
    Mutant(
        "missing weights are an error",
        _LOADING,
        'for problem in ("missing_keys", ',
        "for problem in (",
        (f"{_CONFIGS}::test_weights_that_do_not_fit_are_refused_of_every_model",),
    ),
    Mutant(
        "surplus weights are an error",
        _LOADING,
        '"unexpected_keys", ',
        "",
        (f"{_CONFIGS}::test_weights_that_do_not_fit_are_refused_of_every_model", "tests/backends/test_refused.py"),
    ),
    Mutant(
        "a config states no counts that no network has",
        _LOADING,
        "and not abs(item) <= most:",
        "and False:",
        (f"{_CONFIGS}::test_counts_that_no_network_has_are_named",),
    ),
    Mutant(
        "no network is built that is far larger than its weights",
        _LOADING,
        "if min(self.tensors, self.elements, self.buffered) < 0:",
        "if self.tensors < 0:",
        (f"{_CONFIGS}::test_a_network_that_is_far_larger_than_its_weights_is_named",),
    ),
    Mutant(
        "an index names safetensors only",
        _FILES,
        'if not name.endswith(".safetensors") or name != ',
        "if name != ",
        (f"{_CANARY}::test_an_index_names_nothing_but_safetensors_of_its_folder",),
    ),
    Mutant(
        "a link out of the folder is not followed",
        _FILES,
        "if real.parent not in (folder.resolve(), _blobs(folder)):",
        "if False:",
        (f"{_CANARY}::test_an_index_names_nothing_but_safetensors_of_its_folder",),
    ),
    Mutant(
        "deep JSON is refused",
        _FILES,
        "    if level:\n",
        "    if False:\n",
        (f"{_CONFIGS}::test_a_file_that_is_none_is_refused",),
    ),
    Mutant(
        "large JSON is refused unread",
        _FILES,
        "if size > LARGEST_JSON:",
        "if False:",
        (f"{_CONFIGS}::test_a_file_that_is_none_is_refused",),
    ),
    Mutant(
        "only what is wanted is fetched",
        "pnpvideo/backends/download.py",
        "allow_patterns=[glob.escape(name) for name in sizes]",
        "allow_patterns=None",
        ("tests/backends/test_hub.py::test_what_is_wanted_is_fetched_once",),
    ),
    Mutant(
        "what the cache has is not asked for again",
        _HUB,
        "if cached is not None:",
        "if False:",
        ("tests/backends/test_hub.py::test_what_is_wanted_is_fetched_once",),
    ),
    Mutant(
        "what the cache has in part is fetched",
        _HUB,
        "            check(cached)\n",
        "",
        ("tests/backends/test_hub.py::test_what_an_interruption_left_out_is_fetched",),
    ),
    Mutant(
        "stated hashes are compared",
        _PRINT,
        "if expected is not None and (found := sha256(path)) != expected:",
        "if expected is not None and (found := sha256(path)) == None:",
        (_SUMS,),
    ),
    Mutant(
        "weights that a list of hashes leaves out are refused",
        _PRINT,
        'if expected is None and path.suffix == ".safetensors":',
        "if False:",
        (f"{_SUMS}::test_weights_that_the_list_leaves_out_are_refused",),
    ),
    Mutant(
        "a changed file is hashed again",
        _PRINT,
        "{before.st_mtime_ns} {before.st_ctime_ns} ",
        "",
        (f"{_SUMS}::test_a_block_in_the_middle_counts", f"{_SUMS}::test_a_file_is_hashed_once"),
    ),
    Mutant(
        "a card recommends known things only",
        "pnpvideo/settings/card.py",
        "            else:\n                raise OptionError(",
        "            elif False:\n                raise OptionError(",
        ("tests/backends/test_refused.py::test_a_card_that_recommends_nothing_known",),
    ),
    Mutant(
        "numbers of a config are finite and within bounds",
        _CARD,
        "or not math.isfinite(value) or not least <= value <= most",
        "",
        (f"{_CONFIGS}::test_a_value_that_cannot_be_is_refused",),
    ),
    Mutant(
        "a saved tensor's bytes are no more than the file has",
        _TENSOR,
        "if about.compress_type != zipfile.ZIP_STORED or about.file_size > most "
        "or about.file_size != about.compress_size:",
        "if False:",
        ("tests/words/test_direction_file.py::test_what_is_no_direction_is_refused",),
    ),
    Mutant(
        "an index names files of its own folder only",
        _FILES,
        r' or name != os.path.basename(name.replace("\\", "/"))',
        "",
        (f"{_CANARY}::test_an_index_names_nothing_but_safetensors_of_its_folder",),
    ),
    Mutant(
        "a saved tensor names what it must, and nothing else",
        _TENSOR,
        "if name not in (_REBUILD, _HOOKS, *_DTYPES):",
        "if False:",
        ("tests/words",),
    ),
    Mutant(
        "a saved tensor stays inside of its bytes",
        _TENSOR,
        " or last >= storage.elements:",
        ":",
        ("tests/words",),
    ),
    Mutant(
        "a direction is finite",
        "pnpvideo/words/direction_file.py",
        " or not bool(torch.isfinite(tensor).all())",
        "",
        ("tests/words/test_direction_file.py::test_what_is_no_direction_is_refused",),
    ),
)  # fmt: skip
