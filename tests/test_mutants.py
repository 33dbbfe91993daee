"""The runner of mutants tells killed from survived and from broken, and its list fits the code."""

from pathlib import Path

import pytest

from tests.mutants.__main__ import summary
from tests.mutants.listed import MUTANTS
from tests.mutants.mutant import ROOT, Mutant, Verdict, attempt

TESTS = """
import guard

def test_large():
    assert not guard.allowed(11)

def test_small():
    assert guard.allowed(1)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\npythonpath = ['.']\nmarkers = ['gpu: x']\n")
    (tmp_path / "guard.py").write_text("LIMIT = 10\n\n\ndef allowed(n):\n    return n < LIMIT\n")
    (tmp_path / "test_guard.py").write_text(TESTS)
    return tmp_path


@pytest.mark.parametrize(
    ("new", "test", "outcome"),
    [
        ("return True", "test_guard.py::test_large", "killed"),
        ("return True", "test_guard.py::test_small", "survived"),
        ("return n <", "test_guard.py", "error"),
        ("return True", "test_guard.py::test_gone", "error"),
    ],
)
def test_a_mutant_is_killed_by_a_test_that_fails(new: str, test: str, outcome: str, tree: Path) -> None:
    before = (tree / "guard.py").read_text()
    verdict = attempt(Mutant("a limit", "guard.py", "return n < LIMIT", new, (test,)), tree)
    assert verdict.outcome == outcome, verdict.said
    assert (tree / "guard.py").read_text() == before


def test_code_that_has_moved_on_is_said(tree: Path) -> None:
    assert Mutant("a limit", "guard.py", "n <= LIMIT", "", ()).problem(tree) != ""
    assert Mutant("a limit", "guard.py", "LIMIT", "", ()).problem(tree) != ""
    assert Mutant("a limit", "gone.py", "LIMIT", "", ()).problem(tree) != ""
    assert Mutant("a limit", "guard.py", "n < LIMIT", "", ()).problem(tree) == ""


@pytest.mark.parametrize(("killed", "survived", "error", "status"), [(9, 1, 0, 0), (8, 2, 0, 1), (19, 0, 1, 1)])
def test_nine_of_ten_must_be_killed_and_all_be_tried(killed: int, survived: int, error: int, status: int) -> None:
    mutant = Mutant("a limit", "guard.py", "n < LIMIT", "True", ("test_guard.py",))
    outcomes = ["killed"] * killed + ["survived"] * survived + ["error"] * error
    assert summary([Verdict(mutant, outcome, 1.0, "") for outcome in outcomes]) == status


def test_every_mutant_fits_the_code_and_names_tests_that_are_there() -> None:
    assert [problem for mutant in MUTANTS if (problem := mutant.problem(ROOT))] == []
    assert [test for mutant in MUTANTS for test in mutant.tests if not (ROOT / test.split("::")[0]).exists()] == []
    assert all(mutant.tests and mutant.old != mutant.new for mutant in MUTANTS)
