"""Nothing in the package loads a model, or anything that could run code, but by the one place for it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADING, DOWNLOAD = "pnpvideo/backends/loading.py", "pnpvideo/backends/download.py"
CALLS = {
    "from_pretrained",
    "from_single_file",
    "hf_hub_download",
    "list_repo_files",
    "model_info",
    "load_attn_procs",
    "load_ip_adapter",
    "load_lora_weights",
    "load_state_dict_from_url",
    "load_textual_inversion",
    "snapshot_download",
    "torch.hub",
    "torch.jit",
    "torch.load",
    "trust_remote_code",
    "allow_pickle",
}
MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
EXCEPTIONS = {
    (LOADING, "from_pretrained"),
    (LOADING, "trust_remote_code"),
    ("pnpvideo/backends/hub.py", "model_info"),
    (DOWNLOAD, "snapshot_download"),
    ("pnpvideo/miniature/recipe/stage.py", "torch.load"),  # a training's own state, which it wrote itself
}


def loads(tree: ast.AST) -> Iterator[str]:
    """What of CALLS and MODULES the code names: as an attribute, an import, an argument or a text for getattr."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
            if isinstance(node.value, ast.Name):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (alias.name for alias in node.names)


def found(tree: ast.AST) -> set[str]:
    return set(loads(tree)) & (CALLS | MODULES)


def test_models_are_loaded_in_one_place() -> None:
    files = [path for room in ("pnpvideo", "cli", "benchmarks", "samples") for path in (ROOT / room).rglob("*.py")]
    assert len(files) > 100
    there = {(path.relative_to(ROOT).as_posix(), name) for path in files for name in found(ast.parse(path.read_text()))}
    assert there == EXCEPTIONS


@pytest.mark.parametrize(
    "code",
    [
        "AutoModel.from_pretrained(x)",
        "getattr(kind, 'from_pretrained')(x)",
        "import torch; torch.load(x)",
        "from torch import load",
        "import pickle as p",
        "from joblib import load",
        "np.load(x, allow_pickle=True)",
        "from huggingface_hub import snapshot_download as get",
        "pipe.load_lora_weights(x)",
        "f(trust_remote_code=True)",
    ],
)
def test_the_search_finds(code: str) -> None:
    assert found(ast.parse(code))


def test_what_loads_says_what_it_must() -> None:
    tree = ast.parse((ROOT / LOADING).read_text())
    calls = [
        {argument.arg: ast.unparse(argument.value) for argument in node.keywords}
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "from_pretrained"
    ]
    assert len(calls) == 2
    for stated in calls:
        assert (stated["trust_remote_code"], stated["local_files_only"]) == ("False", "True")
    (network,) = (stated for stated in calls if "output_loading_info" in stated)
    assert network["use_safetensors"] == "True"
