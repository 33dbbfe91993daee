"""What a jobs file may hold, in each of its formats, and what is refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pnpvideo.batch.jobs_file import LONGEST_LINE, MAX_BYTES, read_jobs
from pnpvideo.batch.yaml_text import read_yaml
from pnpvideo.errors import InputError, OptionError

TOML = 'steps = 3\n[[rows]]\ninput = "a.mp4"\nprompt = "a fox"\n[[rows]]\ninput = "b.mp4"\n'
YAML = "steps: 3\nrows:\n- input: a.mp4\n  prompt: a fox\n- input: b.mp4\n"
JSONL = '{"defaults": {"steps": 3}}\n\n{"input": "a.mp4", "prompt": "a fox"}\n{"input": "b.mp4"}\n'
CSV = 'input,prompt,steps\na.mp4,"a fox, red",3\n,,\nb.mp4,,\n'


def read(name: str, text: str | bytes, folder: Path) -> Any:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_jobs(path)


@pytest.mark.parametrize(("name", "text"), [("j.toml", TOML), ("j.yaml", YAML), ("j.yml", YAML), ("j.jsonl", JSONL)])
def test_defaults_stand_above_the_rows(name: str, text: str, tmp_path: Path) -> None:
    jobs = read(name, text, tmp_path)
    assert jobs.texts == ("yml" in name or "yaml" in name)
    assert jobs.defaults == {"steps": "3" if jobs.texts else 3}
    assert [entry.values for entry in jobs.entries] == [{"input": "a.mp4", "prompt": "a fox"}, {"input": "b.mp4"}]
    assert jobs.entries[1].place == ("line 4" if name.endswith("jsonl") else "row 2")


def test_empty_cells_of_csv_are_left_out(tmp_path: Path) -> None:
    jobs = read("j.csv", b"\xef\xbb\xbf" + CSV.encode(), tmp_path)
    assert jobs.texts and jobs.defaults == {}
    assert [(entry.place, entry.values) for entry in jobs.entries] == [
        ("line 2", {"input": "a.mp4", "prompt": "a fox, red", "steps": "3"}),
        ("line 4", {"input": "b.mp4"}),
    ]


def test_yaml_keeps_the_letters_of_its_values() -> None:
    text = "- prompt: no\n  frames: 10:25\n  seed: 1e3\n  input: 2024-01-01\n  guidance_span: [0, 0.8]\n"
    assert read_yaml(text) == [
        {"prompt": "no", "frames": "10:25", "seed": "1e3", "input": "2024-01-01", "guidance_span": ["0", "0.8"]}
    ]


def test_lines_of_jsonl_end_with_a_line_feed_alone(tmp_path: Path) -> None:
    """JSON allows other signs that end lines, such as U+2028 and U+0085, inside of its texts."""
    prompts = ["one\u2028two", "one\u0085two", "one\u2029two"]
    rows = [json.dumps({"prompt": prompt}, ensure_ascii=False) for prompt in prompts]
    (tmp_path / "j.jsonl").write_bytes("\r\n".join(rows).encode())
    found = read_jobs(tmp_path / "j.jsonl").entries
    assert [(entry.place, entry.values["prompt"]) for entry in found] == [
        (f"line {number}", prompt) for number, prompt in enumerate(prompts, 1)
    ]


BOMB = "a: &a [x, x]\n" + "\n".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]" for n in range(20)
)
WRONG = [
    ("j.txt", "", "no jobs file; accepted by their extensions: .toml"),
    ("j.toml", "a = ", "is no TOML file"),
    ("j.toml", "a = 1\na = 2\n", "is no TOML file"),
    ("j.toml", "steps = 3\n", "has no rows"),
    ("j.toml", "rows = 3\n", "'rows' is no list"),
    ("j.toml", "rows = [3]\n", "row 1 is no table"),
    ("j.toml", "a = " + "[" * 5000, "is no TOML file"),
    ("j.toml", ".".join("a" * LONGEST_LINE) + " = 1\n", "line 1 has more than"),
    ("j.toml", b"\xff\xfe", "is no text in UTF-8"),
    ("j.toml", "#\n" * MAX_BYTES, "larger than 1,000,000 bytes"),
    ("j.yaml", "a: [", "is no YAML"),
    ("j.yaml", "just words", "is no table"),
    ("j.yaml", "", "is no table"),
    ("j.yaml", "a: 1\n---\nb: 2\n", "is no YAML"),
    ("j.yaml", BOMB, "line 1 has an anchor or an alias"),
    ("j.yaml", "- a: *b\n", "line 1 has an anchor or an alias"),
    ("j.yaml", "- input: a\n  input: b\n", "line 2: 'input' stands twice"),
    ("j.yaml", "- !!python/object/apply:os.system [ls]\n", "line 1 has a tag"),
    ("j.yaml", "[" * 5000, "is no YAML"),
    ("j.jsonl", "{", "line 1 is no JSON"),
    ("j.jsonl", "[1]\n", "line 1 is no table"),
    ("j.jsonl", '{"a": 1}\n{"a": 1, "a": 2}\n', "line 2: 'a' stands twice"),
    ("j.jsonl", '{"guidance": NaN}\n', "line 1: NaN is no number"),
    ("j.jsonl", '{"a": ' + "[" * 5000, "is no JSON"),
    ("j.jsonl", '{"defaults": {"steps": 3}}\n', "has no rows"),
    ("j.csv", "", "has no rows"),
    ("j.csv", "input,input\na,b\n", "column 'input' stands twice"),
    ("j.csv", "input\na,b\n", "line 2 has 2 cells, and line 1 names 1"),
    ("j.csv", 'input\n"a\n', "is no CSV"),
]


@pytest.mark.parametrize(("name", "text", "said"), WRONG, ids=[said for _, _, said in WRONG])
def test_what_is_wrong_is_one_clear_error(name: str, text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=name) as raised:
        read(name, text, tmp_path)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_jobs(tmp_path / "nothing.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"regular file|cannot be read"):
        read_jobs(tmp_path / "folder.toml")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(InputError, match="not a regular file"):
            read_jobs(tmp_path / "pipe.csv")
