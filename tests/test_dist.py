"""What is distributed: the list of the source distribution, and the container's recipe."""

import json
import re
import shlex
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tests.dist import LEFT_OUT, TESTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]


def project() -> dict[str, Any]:
    with open(ROOT / "pyproject.toml", "rb") as file:
        return tomllib.load(file)


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, what follows) of the Dockerfile, continuation lines joined, comments left out."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, rest in lines]


def test_every_file_of_the_tree_is_in_the_source_distribution_or_left_out_on_purpose() -> None:
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
    words = [line.split() for line in manifest.splitlines() if line and not line.startswith("#")]
    named = {word for kind, *rest in words if kind in ("include", "graft") for word in rest}
    packaged = {"pnpvideo", "cli", "pyproject.toml", "README.md", "LICENSE"}  # setuptools adds these by itself
    on_purpose = {".gitignore", ".ci", ".coverage", "PKG-INFO", "setup.cfg"}  # setuptools writes the last two
    there = {path.name for path in ROOT.iterdir() if not any(fnmatch(path.name, pattern) for pattern in LEFT_OUT)}
    assert there - named - packaged <= on_purpose
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_tests_of_a_source_distribution_exist() -> None:
    assert [name for name in TESTS if not (ROOT / name).exists()] == []


def test_the_container_runs_the_command_of_the_package() -> None:
    found = dict(instructions())
    (command,) = json.loads(found["ENTRYPOINT"])
    assert command in project()["project"]["scripts"]
    assert found["USER"] not in ("root", "0")


def test_the_container_names_extras_and_files_that_exist() -> None:
    arguments = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    assert set(arguments["EXTRAS"].split(",")) <= set(project()["project"]["optional-dependencies"])
    copied = {word for name, rest in instructions() if name == "COPY" for word in shlex.split(rest)[:-1]}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert copied == {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert {name for name in copied if not (ROOT / name).exists()} == set()
    used = {name for _, rest in instructions() for name in re.findall(r"\$\{(\w+)\}", rest)}
    assert used == set(arguments)


def test_the_container_has_a_python_that_the_package_takes() -> None:
    arguments = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    lowest = project()["project"]["requires-python"].removeprefix(">=")
    assert tuple(map(int, arguments["PYTHON"].split("."))) >= tuple(map(int, lowest.split(".")))
    names = [name for name, _ in instructions()]
    assert names[:2] == ["ARG", "FROM"]
    assert arguments["TORCH_INDEX"].endswith("/cpu")
