"""Rows of a jobs file become translations: globs, placeholders, precedence, and paths that stay where they belong."""

import pickle
from pathlib import Path

import pytest

from pnpvideo.batch.rows import Common, Row, read_rows
from pnpvideo.errors import InputError, OptionError
from pnpvideo.video.span import TimeSpan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "clips/deep").mkdir(parents=True)
    for name in ("clips/b.mp4", "clips/a.mp4", "clips/deep/c.mp4", "clips/[x].mp4"):
        (folder / name).touch()
    (tmp_path / "outside.mp4").touch()
    return folder


def rows(folder: Path, text: str, name: str = "j.toml", common: Common | None = None) -> list[Row]:
    (folder / name).write_text(text, "utf-8")
    return read_rows(folder / name, common or Common())


def test_a_glob_is_sorted_and_each_output_takes_its_inputs_name(folder: Path) -> None:
    found = rows(folder, 'prompt = "p"\n[[rows]]\ninput = "clips/**/*.mp4"\noutput = "{parent}/{stem}-{name}.mkv"\n')
    assert [row.input for row in found] == [
        folder / "clips" / name for name in ("[x].mp4", "a.mp4", "b.mp4", "deep/c.mp4")
    ]
    assert [Path(row.output).name for row in found] == [f"{n}-{n}.mp4.mkv" for n in ("[x]", "a", "b", "c")]
    assert Path(found[3].output).parent == folder / "clips/deep"
    assert [row.number for row in found] == [1, 2, 3, 4] and {row.place for row in found} == {"row 1"}


def test_a_name_with_brackets_is_no_glob_where_it_exists(folder: Path) -> None:
    (row,) = rows(folder, 'rows = [{input = "clips/[x].mp4", prompt = "p", output = "o.mp4"}]\n')
    assert row.input == folder / "clips/[x].mp4"


def test_outputs_of_an_earlier_call_are_no_inputs_of_the_next(folder: Path) -> None:
    text = 'rows = [{input = "clips/*.mp4", prompt = "p", output = "clips/{stem}-fox.mp4"}]\n'
    before = rows(folder, text)
    for row in before:
        Path(row.output).touch()
    assert [row.input for row in rows(folder, text)] == [row.input for row in before]


def test_what_any_row_wrote_in_an_earlier_call_is_no_input_of_the_next(folder: Path) -> None:
    text = (
        'prompt = "p"\npreview_every = 2\n'
        '[[rows]]\ninput = "clips/*"\noutput = "clips/{stem}-oil.mp4"\n'
        '[[rows]]\ninput = "clips/?.mp4"\noutput = "clips/{stem}-ink"\n'
        '[[rows]]\ninput = "clips/a*"\noutput = "clips/{stem}-pen.mp4"\n'
    )
    (folder / "clips/deep/c.mp4").unlink()
    (folder / "clips/deep").rmdir()
    before = rows(folder, text)
    assert [row.number for row in before] == [1, 2, 3, 4, 5, 6]
    for row in before:
        Path(row.output).touch()
        Path(f"{row.output}.json").touch()
        Path(row.output).with_name(f"{Path(row.output).stem}-preview.png").touch()
    assert rows(folder, text) == before


def test_a_pattern_that_matches_nothing_but_results_is_refused(folder: Path) -> None:
    (folder / "clips/a-oil.mp4").touch()
    text = (
        'prompt = "p"\n[[rows]]\ninput = "clips/a.mp4"\noutput = "clips/a-oil.mp4"\n'
        '[[rows]]\ninput = "clips/*-oil.mp4"\noutput = "b.mp4"\n'
    )
    with pytest.raises(InputError, match=r"row 2: input .* matches only what rows of this file write"):
        rows(folder, text)


def test_a_row_stands_over_defaults_and_flags_over_both(folder: Path) -> None:
    text = (
        'steps = 3\nseed = 3\nguidance = 3\n[[rows]]\ninput = "clips/a.mp4"\nprompt = "p"\noutput = "o.mp4"\nseed = 4\n'
    )
    outside = {"seed": "user.toml", "window": "user.toml", "guidance": "flag"}
    common = Common(under={"steps": 1, "window": 9}, over={"guidance": 5.0}, origins={**outside, "steps": "user.toml"})
    (row,) = rows(folder, text, common=common)
    flat = row.options.flat()
    assert [flat[name] for name in ("steps", "seed", "guidance", "window")] == [3, 4, 5.0, 9]
    assert row.options.origins["guidance"] == "flag" and row.options.origins["window"] == "user.toml"
    assert row.options.origins["steps"] == row.options.origins["seed"] == str(folder / "j.toml")


def test_an_edit_has_its_own_method_and_replaces_a_default_prompt(folder: Path) -> None:
    text = (
        'prompt = "p"\noutput = "{stem}.mkv"\ninput = "clips/a.mp4"\n[[rows]]\nfrom = "ball"\nto = "cube"\n[[rows]]\n'
    )
    edit, translation = rows(folder, text, common=Common(under={"method": "sdedit"}))
    assert edit.prompt is None and edit.options.prompts.change == ("ball", "cube")
    assert edit.options.flat()["method"] == "pix2pix-zero" and edit.options.origins["method"] == "default"
    assert translation.prompt == "p" and translation.options.flat()["method"] == "sdedit"


@pytest.mark.parametrize("name", ["j.csv", "j.yaml"])
def test_texts_are_parsed_as_flags_are(name: str, folder: Path) -> None:
    values = {
        "input": "clips/a.mp4",
        "from": "ball",
        "to": "cube",
        "output": "o.mp4",
        "frames": "0s:2.5s",
        "steps": "4",
        "compile": "yes",
        "memory": "8G",
        "guidance_span": "0:0.8",
        "directions": "d.safetensors:1.5",
        "mask": "m.png",
    }
    text = ",".join(values) + "\n" + ",".join(values.values())
    if name == "j.yaml":
        text = "- " + "\n  ".join(f"{key}: {value}" for key, value in values.items())
        text = text.replace("0:0.8", "[0, 0.8]")
    (row,) = rows(folder, text, name)
    flat = row.options.flat()
    assert (flat["frames"], flat["steps"], flat["compile"], flat["memory"]) == (TimeSpan(0, 2.5), 4, True, 8 << 30)
    assert flat["guidance_span"] == (0.0, 0.8) and flat["mask"] == folder / "m.png"
    assert flat["directions"] == ((str(folder / "d.safetensors"), 1.5),)


def test_a_row_can_be_sent_to_another_process(folder: Path) -> None:
    (row,) = rows(folder, 'rows = [{input = "clips/a.mp4", prompt = "p", output = "o.mp4", steps = 3}]\n')
    assert pickle.loads(pickle.dumps(row)) == row


def test_a_picture_that_is_generated_has_no_input(folder: Path) -> None:
    row = 'generate = true, source_prompt = "s", prompt = "p"'
    assert rows(folder, f'rows = [{{{row}, output = "o.png"}}]\n')[0].input is None
    for more, said in (
        ('output = "{stem}.png"', "nothing, as there is no input"),
        ('input = "a", output = "o"', "leave"),
    ):
        with pytest.raises(OptionError, match=said):
            rows(folder, f"rows = [{{{row}, {more}}}]\n")


WRONG = [
    ('prompt = "p", output = "o.mp4"', "there is no input"),
    ('input = "clips/a.mp4", prompt = "p"', "there is no output"),
    ('input = "clips/a.mp4", output = "o.mp4"', "there is no prompt"),
    ('input = "clips/a.mp4", output = "o.mp4", from = "a"', "from and to together"),
    ('input = "clips/a.mp4", output = "o.mp4", from = "a", to = "b", prompt = "p"', "not both"),
    ('input = "clips/a.mp4", output = "o.mp4", promt = "p"', "unknown key 'promt'; is it 'prompt'?"),
    ('input = "clips/a.mp4", output = "o.mp4", xyzzy = "p"', "unknown key 'xyzzy'; accepted are"),
    ('input = "clips/a.mp4", output = "o.mp4", prompt = 3', "prompt is 3; accepted is a text"),
    ('input = "clips/a.mp4", output = "o.mp4", prompt = "p", steps = 0', "steps is 0"),
    ('input = "clips/a.mp4", output = "o.mp4", prompt = "p", frames = 3', "frames is 3"),
    ('input = "clips/a.mp4", output = "{stem.__class__}.mp4", prompt = "p"', "accepted in braces"),
    ('input = "../outside.mp4", output = "o.mp4", prompt = "p"', "leaves the folder of the jobs file"),
    ('input = "../*.mp4", output = "o.mp4", prompt = "p"', "leaves the folder of the jobs file"),
    ('input = "/**/*.mp4", output = "o.mp4", prompt = "p"', "leaves the folder of the jobs file"),
    ('input = "clips/a.mp4", output = "../o.mp4", prompt = "p"', "leaves the folder of the jobs file"),
    ('input = "link/outside.mp4", output = "o.mp4", prompt = "p"', "leaves the folder of the jobs file"),
    ('input = "clips/a.mp4", output = "o.mp4", prompt = "p", mask = "/m.png"', "leaves the folder of the jobs file"),
    ('input = "clips/a.mp4", output = "o.mp4", prompt = "p", store = "/s"', "leaves the folder of the jobs file"),
]


@pytest.mark.parametrize(("row", "said"), WRONG, ids=[said + row[:9] for row, said in WRONG])
def test_what_is_wrong_names_the_file_and_the_row(row: str, said: str, folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent)
    with pytest.raises(OptionError, match=r"j\.toml: row 1: ") as raised:
        rows(folder, f"rows = [{{{row}}}]\n")
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_wrong_defaults_name_the_file(folder: Path) -> None:
    with pytest.raises(OptionError, match=r"j\.toml: unknown key 'stepz'; is it 'steps'"):
        rows(folder, "stepz = 3\n[[rows]]\n")


def test_a_glob_without_a_match_is_an_input_error(folder: Path) -> None:
    with pytest.raises(InputError, match=r"row 1: input '\*\.webm' matches nothing"):
        rows(folder, 'rows = [{input = "*.webm", output = "o.mp4", prompt = "p"}]\n')


def test_paths_may_leave_where_that_is_allowed(folder: Path) -> None:
    (folder / "j.toml").write_text('rows = [{input = "../*.mp4", output = "../o.mp4", prompt = "p"}]\n', "utf-8")
    (row,) = read_rows(folder / "j.toml", Common(), anywhere=True)
    assert row.input is not None and row.input.resolve() == folder.parent / "outside.mp4"
