"""The package as a whole: what imports what, what loads when, and what the wheel holds."""

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import pnpvideo
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.methods.registry import METHODS

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "diffusers", "transformers", "numpy", "cv2", "PIL", "av")

RANKS = (
    ("errors", "events"),
    ("publish", "scratch"),
    ("store", "video"),
    ("diffusion", "kinds"),
    ("option",),
    ("injection",),
    ("edits",),
    ("methods", "coherence"),
    ("settings",),
    ("backends", "background"),
    ("words",),
    ("engine",),
    ("early", "report"),
    ("sidecar",),
    ("pipeline",),
    ("translator",),
    ("cli",),
    ("__main__",),
)
"""A room imports itself and rooms above it in this table. These stand beside it:"""
OBSERVERS = {
    "batch": ("cli", "measure", "ui"),
    "compare": ("cli", "ui"),
    "explore": ("cli", "ui"),
    "inspect": ("cli",),
    "measure": ("cli", "compare", "explore", "inspect", "student"),
    "miniature": ("cli", "measure"),
    "student": ("batch", "cli"),
    "ui": ("cli",),
}
"""They import what they need, and are imported by the rooms named here only, and by samples and tests."""

LONGEST_CLASS, MOST_PARAMETERS = 150, 7
"""Lines of a class, and parameters of a function besides ``self`` and ``cls``."""

# What breaks a rule today. These lists only ever shrink: a test fails for a name that no longer belongs here.
LONG_CLASSES: set[str] = set()
MANY_PARAMETERS: set[str] = set()
UNTESTED_MODULES: set[str] = set()


def modules() -> dict[Path, str]:
    """Every module of the distribution, by file, under its installed name."""
    named = {path: path.relative_to(ROOT) for path in (ROOT / "pnpvideo").rglob("*.py")}
    named |= {path: Path("pnpvideo") / path.relative_to(ROOT) for path in (ROOT / "cli").rglob("*.py")}
    return {path: ".".join(name.with_suffix("").parts).removesuffix(".__init__") for path, name in named.items()}


def imported(path: Path, name: str) -> Iterator[str]:
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            parent = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{parent}.{alias.name}" for alias in node.names)


def room(name: str) -> str:
    return [*name.split("."), ""][1]


def test_imports_point_downward() -> None:
    rank = {room: number for number, rooms in enumerate(RANKS) for room in rooms}
    upward = []
    for path, name in modules().items():
        if name == "pnpvideo":
            continue  # the public face names rooms of every rank, and loads none of them
        here = room(name)
        assert here in rank or here in OBSERVERS, f"{name} has no place in the table of rooms"
        for target in imported(path, name):
            there = room(target) if target.startswith("pnpvideo.") else here
            if there.startswith("_") or there == here:
                continue
            allowed = (
                here in OBSERVERS[there]
                if there in OBSERVERS
                else here in OBSERVERS or rank.get(there, 99) < rank[here]
            )
            if not allowed:
                upward.append(f"{name} imports {target}")
    assert upward == []


def test_only_settings_and_registries_name_methods_and_coherences() -> None:
    """Elsewhere a class stands for each. Benchmarks list recipes in the users' words; "none" and "flow" mean more."""
    names = {*METHODS, *COHERENCES} - {"none", "flow"}
    named = []
    for path, module in modules().items():
        if room(module) in ("settings", "measure", "miniature", "cli") or module.endswith(".registry"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and node.value in names:
                named.append(f"{module}: {node.value!r}")
    assert named == []


def definitions(path: Path, name: str) -> Iterator[tuple[str, ast.AST]]:
    """Every class and function of a module, nested ones too, by dotted name."""

    def inside(parent: ast.AST, prefix: str) -> Iterator[tuple[str, ast.AST]]:
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}.{node.name}", node
                yield from inside(node, f"{prefix}.{node.name}")
            else:
                yield from inside(node, prefix)

    yield from inside(ast.parse(path.read_text("utf-8")), name)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    taken = function.args
    every = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
    return sum(each is not None and each.arg not in ("self", "cls") for each in every)


def assert_only(offenders: set[str], listed: set[str], rule: str) -> None:
    assert sorted(offenders - listed) == [], f"these break the rule: {rule}"
    assert sorted(listed - offenders) == [], f"these no longer break the rule ({rule}): take them off the list"


def test_no_class_is_too_long() -> None:
    found = {
        full
        for path, name in modules().items()
        for full, node in definitions(path, name)
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_CLASS
    }
    assert_only(found, LONG_CLASSES, f"a class has at most {LONGEST_CLASS} lines")


def test_no_function_takes_too_many_parameters() -> None:
    found = {
        full
        for path, name in modules().items()
        for full, node in definitions(path, name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and parameters(node) > MOST_PARAMETERS
    }
    assert_only(found, MANY_PARAMETERS, f"a function has at most {MOST_PARAMETERS} parameters")


def is_docstring_only(path: Path) -> bool:
    body = ast.parse(path.read_text("utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


@cache
def imported_by_tests(room: str) -> set[str]:
    """Modules that the tests of a room import; of "", the tests that lie in tests/ itself."""
    files = (ROOT / "tests" / room).rglob("test_*.py") if room else (ROOT / "tests").glob("test_*.py")
    targets = {target for file in files for target in imported(file, "tests")}
    return targets | {target.rpartition(".")[0] for target in targets}


def test_every_module_has_a_test_of_its_own() -> None:
    """A test in the room's folder under tests/ imports it; tests of root modules lie in tests/ itself."""
    untested = set()
    for path, name in modules().items():
        if not path.is_relative_to(ROOT / "pnpvideo") or (path.name == "__init__.py" and is_docstring_only(path)):
            continue
        first, *rest = path.relative_to(ROOT / "pnpvideo").parts
        if name not in imported_by_tests(first if rest else ""):
            untested.add(name)
    assert_only(untested, UNTESTED_MODULES, "a test of its own folder imports each module")


def test_every_public_name_is_there() -> None:
    assert sorted(pnpvideo.__all__) == pnpvideo.__all__ == dir(pnpvideo)
    for name in pnpvideo.__all__:
        value = getattr(pnpvideo, name)
        if name not in ("__version__", "Event", "Report"):
            assert value.__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pnpvideo.nothing  # type: ignore[attr-defined]


def test_every_error_is_public() -> None:
    from pnpvideo import errors

    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert tree == {name for name in pnpvideo.__all__ if name in tree}
    assert all(issubclass(getattr(pnpvideo, name), pnpvideo.PnPVideoError) for name in tree)


@pytest.mark.parametrize("statement", ["import pnpvideo", "from pnpvideo import Options, OptionError, Store"])
def test_importing_the_package_loads_nothing_heavy(statement: str) -> None:
    code = f"{statement}; import sys; print([name for name in {HEAVY} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a wheel that was built offline from a copy of the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "tree"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("pnpvideo", "cli", "samples", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", str(copy), "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run([*command, "-q", "-w", str(folder)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    assert path.name == f"pnpvideo-{pnpvideo.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_every_module(wheel: dict[str, bytes]) -> None:
    expected = {f"{name.replace('.', '/')}.py" for path, name in modules().items() if path.name != "__init__.py"}
    expected |= {f"{name.replace('.', '/')}/__init__.py" for path, name in modules().items() if path.stem == "__init__"}
    assert {name for name in wheel if name.endswith(".py")} == expected


def test_the_wheel_holds_the_miniature(wheel: dict[str, bytes]) -> None:
    weights = [path for path in (ROOT / "pnpvideo/miniature/weights").rglob("*") if path.is_file()]
    assert {path.name for path in weights} >= {"model_index.json", "diffusion_pytorch_model.safetensors"}
    for path in weights:
        assert wheel[path.relative_to(ROOT).as_posix()] == path.read_bytes()


def test_the_wheel_holds_the_students_that_ship(wheel: dict[str, bytes]) -> None:
    files = [path for path in (ROOT / "pnpvideo/student/weights").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"student.json", "student.safetensors"}
    for path in files:
        assert wheel[path.relative_to(ROOT).as_posix()] == path.read_bytes()


def test_the_wheel_holds_the_parts_of_a_page(wheel: dict[str, bytes]) -> None:
    for name in ("page.html", "page.css", "page.js"):
        assert wheel[f"pnpvideo/compare/{name}"] == (ROOT / "pnpvideo/compare" / name).read_bytes()


def test_the_wheel_holds_the_vocabulary_of_clip(wheel: dict[str, bytes]) -> None:
    for name in ("merges.txt.gz", "LICENSE"):
        path = ROOT / "pnpvideo/backends/clip_vocabulary" / name
        assert wheel[path.relative_to(ROOT).as_posix()] == path.read_bytes()


def test_the_wheel_holds_the_style_of_the_page_of_gradio(wheel: dict[str, bytes]) -> None:
    assert wheel["pnpvideo/ui/page.css"] == (ROOT / "pnpvideo/ui/page.css").read_bytes()


def test_the_wheel_installs_one_package_and_one_command(wheel: dict[str, bytes]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert tops == {"pnpvideo", f"pnpvideo-{pnpvideo.__version__}.dist-info"}
    assert "pnpvideo/py.typed" in wheel and "pnpvideo/cli/main.py" in wheel
    (entry_points,) = (text.decode() for name, text in wheel.items() if name.endswith("entry_points.txt"))
    assert re.search(r"^pnpvideo = pnpvideo\.__main__:main$", entry_points, re.MULTILINE)
    assert any(name.endswith("licenses/LICENSE") for name in wheel)


CLIENT = """
import numpy as np
import pnpvideo
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.methods.registry import METHODS

translator: pnpvideo.Translator = pnpvideo.load("miniature", device="cpu")
frames: np.ndarray = translator.translate_frames(
    np.zeros((1, 8, 8, 3), np.uint8),
    "a photo",
    method=pnpvideo.PlugAndPlay(attention_until=0.5),
    coherence=pnpvideo.TokenFlow(keyframe_every=8),
    prompts=pnpvideo.Prompts(source_prompt=""),
    sampling=pnpvideo.Sampling(seed=3),
)
result: pnpvideo.Result = pnpvideo.translate("a.mp4", "a photo", "b.mp4", model="sd15", overwrite=True)
print(result.report["frames"], pnpvideo.plan("a.mp4").seconds)
"""
WRONG_CALLS = {
    'pnpvideo.translate("a", "b", "c", steps=5)': 'Unexpected keyword argument "steps" for "translate"',
    'pnpvideo.translate("a", "b", "c", sampling=3)': 'Argument "sampling" to "translate" has incompatible type "int"',
    'pnpvideo.translate("a")': 'Missing positional arguments "prompt", "output" in call to "translate"',
    "pnpvideo.Prompts(source_prompt=3)": 'Argument "source_prompt" to "Prompts" has incompatible type "int"',
    'pnpvideo.load("sd15").translate_frames(3, "a")': "translate_frames",
}
"""A statement, and what mypy is to say of its line."""


@pytest.mark.slow
def test_a_client_of_the_wheel_is_checked_by_its_types(wheel: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in wheel.items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "client.py").write_text(CLIENT)
    (tmp_path / "wrong.py").write_text("\n".join(["import pnpvideo", *WRONG_CALLS]))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "client.py", "wrong.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(tmp_path / "unpacked")},
    )
    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    assert [error.split(":")[:2] for error in errors] == [
        ["wrong.py", str(number)] for number, _ in enumerate(WRONG_CALLS, 2)
    ], checked.stdout + checked.stderr
    assert [error for error, said in zip(errors, WRONG_CALLS.values(), strict=True) if said not in error] == []
