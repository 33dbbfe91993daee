"""What each kind of option accepts, and how text and TOML values are read."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from pnpvideo import kinds
from pnpvideo.errors import OptionError
from pnpvideo.kinds import SHARE, Kind
from pnpvideo.video.span import TimeSpan

NUMBER = kinds.Real(0.0, 2.0, above=True)


NAMED = kinds.NamedFiles("embedding", "ink.safetensors:ink")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (kinds.Whole(1, 3), [1, 3], [0, 4, 2.0, True, "2"]),
        (kinds.Whole(1), [1, 10**12], [0, -1]),
        (NUMBER, [0.1, 2, 1.5], [0, 0.0, 2.1, float("nan"), float("inf"), True, "1"]),
        (SHARE, [0, 1, 0.5], [-0.1, 1.1]),
        (kinds.Choice(("a", "b")), ["a"], ["c", 1, None]),
        (kinds.Number((0, 1, 2), "0, 1, 2"), [0, 2.0], [3, True]),
        (kinds.Switch(), [True, False], [1, "yes"]),
        (kinds.Text(), ["", "x"], [5]),
        (kinds.Model(("sd15",)), ["sd15", "a/b"], [5]),
        (kinds.File(), ["a", Path("a")], [5]),
        (kinds.Shares(), [(0.0, 0.5), [0, 1]], [(0.5, 0.5), (0.0, 2.0), (1,), "0:1"]),
        (kinds.Bytes(1), [1, 8 * 2**30], [0, 1.5]),
        (kinds.Frames(), [(0, None), (2, 3), TimeSpan(1)], [(3, 3), (-1, 2), (0.5, 2), 5]),
        (kinds.Concepts(), [("ball", "cube")], [("ball", " "), ("ball",), "ball"]),
        (kinds.WeightedFiles(), [(), (("a", 1.0),)], [(("a",),), (("a", 1e9),)]),
        (NAMED, [(), (("a", ""), ("b", "ink"))], [(("a",),), (("a", 1),), (("a", "(x"),)]),
    ],
)
def test_a_kind_accepts_its_values_and_names_what_it_refuses(kind: Kind, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        kind.check("it", value)
    for value in bad:
        with pytest.raises(OptionError, match=r"it|direction|embedding"):
            kind.check("it", value)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (kinds.Shares(), ":0.6", (0.0, 0.6)),
        (kinds.Shares(), "0.2:", (0.2, 1.0)),
        (kinds.Bytes(1), "1.5G", 3 * 2**29),
        (kinds.Bytes(1), "500M", 500 * 2**20),
        (kinds.Bytes(1), "8GiB", 8 * 2**30),
        (kinds.Frames(), "10:", (10, None)),
        (kinds.Frames(), "2.5s:4s", TimeSpan(Fraction(5, 2), Fraction(4))),
        (kinds.WeightedFiles(), "a.safetensors:1.2", ("a.safetensors", 1.2)),
        (kinds.WeightedFiles(), "c:d.safetensors", ("c:d.safetensors", 1.0)),
        (NAMED, "a.safetensors:ink", ("a.safetensors", "ink")),
        (NAMED, "a.safetensors", ("a.safetensors", "")),
        (NAMED, r"c:\d.safetensors", (r"c:\d.safetensors", "")),
        (kinds.File(), "a/b", Path("a/b")),
    ],
)
def test_text_is_read(kind: Kind, text: str, value: Any) -> None:
    assert kind.parse("it", text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kinds.Shares(), "0.5"), (kinds.Bytes(1), "much"), (kinds.Frames(), "1:2s"), (kinds.Frames(), "5")],
)
def test_text_that_is_none_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(OptionError, match=r"accepted is|in one unit"):
        kind.parse("it", text)


def test_paths_in_a_file_start_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    assert kinds.File().load("it", "m.png", tmp_path) == tmp_path / "m.png"
    assert kinds.WeightedFiles().load("it", ["a:2"], tmp_path) == ((str(tmp_path / "a"), 2.0),)
    model = kinds.Model(("sd15",))
    assert model.load("it", "own", tmp_path) == str(tmp_path / "own")
    assert model.load("it", "sd15", tmp_path) == "sd15" and model.load("it", "owner/name", tmp_path) == "owner/name"
    with pytest.raises(OptionError, match="accepted is a text in quotes"):
        kinds.File().load("it", 5, tmp_path)


def test_of_several_values_each_is_stated_alone(tmp_path: Path) -> None:
    words = kinds.WeightedFiles("control", "canny:0.8", ("canny",), 0.0, 10.0)
    assert words.load("it", ["canny:0.5", "a"], tmp_path) == (("canny", 0.5), (str(tmp_path / "a"), 1.0))
    assert words.dump((("canny", 0.5), (str(tmp_path / "a"), 1.0))) == ["canny:0.5", f"{tmp_path / 'a'}:1.0"]
    assert list(words.files((("canny", 0.5), ("a", 1.0)))) == [Path("a")]
    files = kinds.Files("ControlNet", "net.safetensors")
    assert files.load("it", ["a"], tmp_path) == (str(tmp_path / "a"),) and list(files.files(("a",))) == [Path("a")]
    assert NAMED.load("it", ["a:ink", "b"], tmp_path) == ((str(tmp_path / "a"), "ink"), (str(tmp_path / "b"), ""))
    assert NAMED.dump((("a", "ink"), ("b", ""))) == [f"{Path('a').absolute()}:ink", str(Path("b").absolute())]
    assert list(NAMED.files((("a", "ink"),))) == [Path("a")]
    spans = kinds.Spans()
    assert spans.load("it", ["0:0.5", "0.25:"], tmp_path) == ((0.0, 0.5), (0.25, 1.0))
    assert spans.dump(((0.0, 0.5),)) == ["0.0:0.5"] and list(spans.files(((0.0, 0.5),))) == []
