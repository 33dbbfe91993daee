"""The catalogue of what is survived names tests that exist, and has every line."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/reliability.md"
NUMBERS = {*range(1, 81)} - {24, 40, 55, 57, 63, 67, 69}
RULES = range(1, 9)


def lines() -> dict[str, list[str]]:
    """Number of a line -> the tests that it names, as file::test."""
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    rows = re.findall(r"^\| (R?\d+) \|(.*)\|$", text, re.MULTILINE)
    assert len({number for number, _ in rows}) == len(rows), "a number stands twice"
    return {number: re.findall(r"`(tests/[\w/]+\.py::\w+)`", cells.rpartition(" | ")[2]) for number, cells in rows}


@cache
def named_tests(path: Path) -> set[str]:
    """Names of the tests in a file, those in classes too, without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_line_is_there_once() -> None:
    assert set(lines()) == {str(number) for number in NUMBERS} | {f"R{number}" for number in RULES}


def test_every_line_names_a_test() -> None:
    assert [number for number, tests in lines().items() if not tests] == []


def test_every_named_test_exists() -> None:
    missing = []
    for number, tests in lines().items():
        for test in tests:
            file, _, name = test.partition("::")
            if not (ROOT / file).is_file() or name not in named_tests(ROOT / file):
                missing.append(f"{number}: {test}")
    assert missing == []
