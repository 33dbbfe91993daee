"""A benchmark from data to table: what is kept, what is done again, and what the table says."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image
from pnpvideo.cli.commands.bench_suites import MODES, NAMES
from pnpvideo.cli.main import main
from pnpvideo.cli.main import pnpvideo as commands

from pnpvideo.errors import InputError, OptionError, OutputError
from pnpvideo.events import Event, Notice, ignore
from pnpvideo.measure.judge import Tower
from pnpvideo.measure.suites.judges import Judges, load_judges
from pnpvideo.measure.suites.mode import Mode
from pnpvideo.measure.suites.pie import PIE
from pnpvideo.measure.suites.recipes import CLIP_RECIPES, STILL_RECIPES
from pnpvideo.measure.suites.records import Record, note_unread, read_list
from pnpvideo.measure.suites.registry import SUITES
from pnpvideo.measure.suites.result import SuiteResult
from pnpvideo.measure.suites.results_folder import load_result, save_result
from pnpvideo.measure.suites.row import Row, Suite
from pnpvideo.measure.suites.runner import BASELINES, SuiteOptions, read_rows, run_suite, spread
from pnpvideo.measure.suites.ti2i import TI2I
from pnpvideo.settings.options import Options
from tests.measure.suites.conftest import picture, pie_row, write_pie, write_wild

RECIPES: dict[str, dict[str, Any]] = {
    "pnp": {"method": "pnp"},
    "sdedit, half": {"method": "sdedit", "strength": 0.5},
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three edits of Wild-TI2I, of two pictures of 64 pixels."""
    return write_wild(tmp_path / "data")


@pytest.fixture
def judges(vit: Path) -> Judges:
    return Judges(tower=Tower.load(str(vit)), missing={"CLIP": "absent"}, protocol={"DINO": "small"})


@pytest.fixture
def base(options: Callable[..., Options]) -> Options:
    set_here = ("source_prompt", "store")
    return Options.from_flat({name: value for name, value in options(steps=1).stated().items() if name not in set_here})


Runs = Callable[..., SuiteResult]


@pytest.fixture
def run(data: Path, base: Options, judges: Judges, tmp_path: Path) -> Runs:
    """run(changes of the arguments): the benchmark with both recipes, kept in "out"."""

    def start(**changes: Any) -> SuiteResult:
        usual = {"base": base, "recipes": RECIPES, "judges": judges, "options": SuiteOptions(output=tmp_path / "out")}
        return run_suite(TI2I, read_rows(TI2I, data, ignore), **{**usual, **changes})

    return start


def test_a_run_measures_baselines_and_recipes_in_both_modes(run: Runs, tmp_path: Path) -> None:
    found = run()
    for mode in Mode:
        means = found.means(mode)
        assert tuple(means) == (*BASELINES, *RECIPES)
        assert all(set(row) == {"structure"} for row in means.values())
        assert means["source"]["structure"] == 0 < means["one colour"]["structure"]
    rows = ("horse/1", "horse/2", "cat/1")
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.png")}
    assert not (tmp_path / "out/store").exists()
    assert files == {
        f"results/{recipe}/wild-ti2i-real/data/{row}.png" for recipe in ("pnp", "sdedit-half") for row in rows
    }
    with Image.open(tmp_path / "out/results/pnp/wild-ti2i-real/data/cat/1.png") as image:
        assert image.size == (64, 64)
    assert found.examples["Wild-TI2I and ImageNet-R-TI2I"]["pnp"][0].shape == (64, 64, 3)
    assert len(found.examples["Wild-TI2I and ImageNet-R-TI2I"]["source"]) == 3


def test_a_second_run_does_only_what_is_left(run: Runs, tmp_path: Path, calls: list[int]) -> None:
    first = run()
    assert calls
    calls.clear()
    journal = (tmp_path / "out/journal.jsonl").read_text()
    again = run()
    assert calls == [] and (tmp_path / "out/journal.jsonl").read_text() == journal
    assert again.json() == first.json() and again.markdown() == first.markdown()
    (tmp_path / "out/results/pnp/wild-ti2i-real/data/cat/1.png").unlink()
    run()
    assert calls and (tmp_path / "out/results/pnp/wild-ti2i-real/data/cat/1.png").exists()
    calls.clear()
    fewer = run(recipes={"pnp": RECIPES["pnp"]})
    assert calls == [] and fewer.means(Mode.STRICT)["pnp"] == first.means(Mode.STRICT)["pnp"]


def test_another_judge_measures_the_kept_results(run: Runs, calls: list[int], vit: Path) -> None:
    run()
    calls.clear()
    found = run(judges=load_judges("miniature", str(vit)))
    assert calls == [] and set(found.means(Mode.STRICT)["pnp"]) == {"structure", "match"}


def test_a_picture_in_the_place_of_a_result_is_not_taken_for_it(run: Runs, tmp_path: Path, calls: list[int]) -> None:
    run()
    calls.clear()
    path = tmp_path / "out/results/pnp/wild-ti2i-real/data/cat/1.png"
    before = path.read_bytes()
    Image.fromarray(picture(9, 64)).save(path)
    run()
    assert calls and path.read_bytes() == before


@pytest.mark.parametrize("change", [{"seed": 5, "steps": 2}, {"size": 64}])
def test_other_options_are_done_again(
    run: Runs, base: Options, tmp_path: Path, calls: list[int], change: dict[str, int]
) -> None:
    run(options=SuiteOptions(rows=1, output=tmp_path / "out"))
    path = tmp_path / "out/results/pnp/wild-ti2i-real/data/horse/1.png"
    before = path.read_bytes()
    calls.clear()
    run(base=base.changed(change), options=SuiteOptions(rows=1, output=tmp_path / "out"))
    assert calls and path.read_bytes() != before


def test_without_an_output_nothing_is_kept(run: Runs, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    found = run(options=SuiteOptions(rows=1, modes=[Mode.STRICT]))
    assert list(found.figures) == [Mode.STRICT] and sorted(tmp_path.rglob("*")) == before
    assert found.protocol["rows"] == 1 and found.protocol["rows of the data"] == 3


def test_wrong_data_and_recipes_are_refused(base: Options, tmp_path: Path) -> None:
    data = write_pie(tmp_path / "pie", {"a": pie_row(image_path="0/a.jpg")})
    with pytest.raises(InputError, match="is no folder; give the folder of the unpacked data of PIE-Bench"):
        read_rows(PIE, tmp_path / "nowhere", ignore)
    (data / "mapping_file.json").write_text(
        json.dumps({"x": pie_row(image_path="0/a.jpg")} | {"y": pie_row(image_path="0/a.jpg")})
    )
    with pytest.raises(InputError, match="row 'x': another row has its result, 0/a, too"):
        read_rows(PIE, data, ignore)
    (data / "mapping_file.json").write_text(json.dumps({"x": pie_row(image_path="0/a.jpg", editing_prompt="(a:9)")}))
    with pytest.raises(InputError, match=r"row 'x': .*9"):
        read_rows(PIE, data, ignore)
    (data / "mapping_file.json").write_text("{}")
    with pytest.raises(InputError, match="has no rows"):
        read_rows(PIE, data, ignore)
    for recipes, said in (
        ({"source": {}}, "a recipe is called 'source'"),
        ({"a": {"source_prompt": "x"}}, "source_prompt is set"),
        ({"a b": {}, "a-b": {}}, "names too much alike"),
        ({}, "there is no recipe"),
    ):
        with pytest.raises(OptionError, match=said):
            run_suite(PIE, [], base, recipes, Judges(), SuiteOptions())


def test_results_need_a_folder_that_can_be_made(base: Options, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is no folder; name another output"):
        run_suite(PIE, [], base, {"a": {}}, Judges(), SuiteOptions(output=tmp_path / "file" / "results"))


def test_a_part_of_the_data_is_said(data: Path) -> None:
    said: list[Event] = []
    read_rows(TI2I, data, said.append)
    assert any(
        isinstance(event, Notice)
        and "the data has 3 edits; the whole Wild-TI2I and ImageNet-R-TI2I has 223" in event.message
        for event in said
    )


def test_rows_are_spread_evenly() -> None:
    rows = [Row(name=str(n), place="", source=Path(), prompt="") for n in range(10)]
    assert [row.name for row in spread(rows, 3)] == ["0", "3", "6"]
    assert spread(rows, None) == spread(rows, 99) == rows


def test_results_say_what_made_them(tmp_path: Path) -> None:
    still, clip = [picture(0, 16)], [picture(1, 16), picture(2, 16)]
    for frames in (still, clip):
        path = tmp_path / f"{len(frames)}.5"
        save_result(path, frames, "key")
        found = load_result(path, len(frames), "key")
        assert found is not None and all((a == b).all() for a, b in zip(found, frames, strict=True))
        assert load_result(path, len(frames), "other") is None
        assert load_result(tmp_path / "nowhere", len(frames), "key") is None
    (tmp_path / "1.5.png").write_bytes((tmp_path / "1.5.png").read_bytes()[:100])
    assert load_result(tmp_path / "1.5", 1, "key") is None


def test_records_name_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text('[{"a": "x  y", "b": [{"c": "d"}]}]')
    (record,) = read_list(path)
    assert record.text("a") == "x y" and record.records("b")[0].text("c") == "d"
    with pytest.raises(InputError, match=r"list.json, row 1, b 1: e is missing; the row has c"):
        record.records("b")[0].text("e")
    note_unread([record], ["a", "b"], lambda event: pytest.fail("everything is read"))
    for path_text in ("", ".", "a/../b", "/a", "C:/a", "a\0b", "a\\b"):
        with pytest.raises(InputError, match="is no path below"):
            Record("row", {}).safe(path_text)


def test_the_commands_are_the_suites() -> None:
    assert set(NAMES) == set(SUITES)
    assert all(SUITES[name].title == title for name, (title, _) in NAMES.items())
    assert tuple(mode.value for mode in Mode) == MODES
    for suite in SUITES.values():
        assert isinstance(suite, Suite) and set(suite.recipes) in (set(STILL_RECIPES), set(CLIP_RECIPES))
        for row in suite.published:
            assert set(row.figures) <= set(suite.columns)
        for changes in suite.recipes.values():
            Options().changed({**changes})


def arguments(name: str, data: Path, checkpoint: Path, *more: str) -> list[str]:
    recipes = data / "recipes.toml"
    recipes.write_text('[plain]\nmethod = "pnp"\nsize = 32\n', encoding="utf-8")
    words = ["bench", name, "--data", str(data), "--model", str(checkpoint), "--steps", "1", "--device", "cpu"]
    return [*words, "--clip", "miniature", "--dino", "miniature", "--recipes", str(recipes), *more]


def test_the_command_writes_a_folder(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, output = write_pie(tmp_path / "pie", {"a": pie_row()}), tmp_path / "out"
    assert main(arguments("pie", data, checkpoint, "-o", str(output), "--mode", "compat")) == 0
    said = capsys.readouterr()
    assert "| plain |" in said.out and "### PIE-Bench, compat" in said.out and "strict" not in said.out
    assert "LPIPS is not run: no weights were named" in said.err
    assert {path.name for path in output.iterdir() if path.is_file()} == {
        *("table.md", "figures.json", "journal.jsonl", "PIE-Bench.png", "pareto-compat.png")
    }
    stated = json.loads((output / "figures.json").read_text())
    assert stated["protocol"]["recipes"] == {"plain": {"method": "pnp", "size": 32}}
    assert list(stated["figures"]) == ["compat"]


def test_wrong_data_end_the_command_with_one_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_pie(tmp_path / "pie", {"x": pie_row(mask=[1])})
    assert main(arguments("pie", data, checkpoint, "-q")) == 3
    said = capsys.readouterr()
    assert said.out == "" and said.err == (
        "pnpvideo: mapping_file.json, row 'x': the mask has 1 values; accepted are pairs of a start and a length\n"
    )


def test_bench_without_a_name_is_what_it_was() -> None:
    ran = CliRunner().invoke(commands, ["bench", "--help"])
    assert ran.exit_code == 0 and "--clips" in ran.output and "pie" in ran.output
    ran = CliRunner().invoke(commands, ["bench", "--clips", "2", "pie", "--data", "x"])
    assert isinstance(ran.exception, SystemExit) and ran.exit_code == 2
    assert "--clips stands before 'pie'; give its options behind its name" in ran.output


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_run_goes_on(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = arguments("ti2i", data, checkpoint, "-o", str(output))
    process = subprocess.Popen([sys.executable, "-m", "pnpvideo", *words, "-q"], stdout=subprocess.DEVNULL)
    journal = output / "journal.jsonl"
    while process.poll() is None and not (journal.exists() and journal.read_text().count('"key"') >= 10):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = journal.read_text().splitlines()
    assert main([*words, "-q"]) == 0
    assert main([*arguments("ti2i", data, checkpoint, "-o", str(tmp_path / "other")), "-q"]) == 0
    assert journal.read_text().splitlines()[: len(begun) - 1] == begun[:-1] and len(begun) >= 10
    assert (output / "table.md").read_text() == (tmp_path / "other/table.md").read_text()
    keys = [
        set(re.findall(r'"key": "(\w+)"', path.read_text())) for path in (journal, tmp_path / "other/journal.jsonl")
    ]
    assert keys[0] == keys[1]
