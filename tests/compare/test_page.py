"""One HTML file: whole or not at all, closed to the network, with every text escaped."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.compare import ComparisonOptions
from pnpvideo.compare.page import write_page
from pnpvideo.errors import InputError, OutputError, PnPVideoError
from pnpvideo.events import ignore
from tests.compare.conftest import Notices
from tests.compare.pictures import moving, plain

MakeFolder = Callable[..., Path]
HOSTILE = "<img src=x onerror=alert(1)>\"'&\x1b"


class Tags(HTMLParser):
    """Collects the elements of a page, with their attributes and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        if self.found:
            self.texts.setdefault(self.found[-1][0], []).append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def page_of(folder_of: MakeFolder, tmp_path: Path, notices: Notices) -> tuple[str, Tags]:
    source, result = folder_of("source", moving(3)), folder_of("result", moving(3))
    write_page(source, [result], tmp_path / "page.html", report=notices)
    text = (tmp_path / "page.html").read_text("utf-8")
    return text, Tags(text)


def test_a_page_has_its_clips_curves_and_times(folder_of: MakeFolder, tmp_path: Path, notices: Notices) -> None:
    text, tags = page_of(folder_of, tmp_path, notices)
    data = json.loads(re.findall(r'<script id="data"[^>]*>(.*?)</script>', text, re.DOTALL)[0])
    assert data["times"] == [0, 0.1, 0.2] and data["end"] == pytest.approx(0.3)
    assert [clip["label"] for clip in data["clips"]] == ["source", "result"]
    assert [clip["numbers"] for clip in data["clips"]] == [[0, 1, 2]] * 2
    assert len(data["charts"]) == 2 and data["charts"][0][0][0] == "–"
    pictures = re.findall(r'<script class="pictures"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert [len(clip.split()) for clip in pictures] == [3, 3]
    assert base64.b64decode(pictures[0].split()[0])[8:12] == b"WEBP"
    assert len(tags.of("path")) >= 4 and notices.said == []


def test_the_policy_allows_this_style_and_this_script_and_nothing_else(
    folder_of: MakeFolder, tmp_path: Path, notices: Notices
) -> None:
    text, tags = page_of(folder_of, tmp_path, notices)
    policy = next(meta["content"] or "" for meta in tags.of("meta") if meta.get("http-equiv"))
    assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy and "http" not in policy
    for tag, opening in (("style", "<style>"), ("script", '<script type="module">')):
        content = text.split(opening)[1].split(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [name for _, attributes in tags.found for name in attributes if name.startswith("on") or name == "style"]
    links = [attributes.get(name) for _, attributes in tags.found for name in ("src", "href") if attributes.get(name)]
    assert links == ["data:,"]


def test_names_prompts_and_reports_are_text(folder_of: MakeFolder, tmp_path: Path) -> None:
    source, result = folder_of(HOSTILE, plain(1)), folder_of("b<b>", plain(1))
    report = tmp_path / "run.json"
    report.write_text(json.dumps({"prompt": f"</script>{HOSTILE}", "options": {HOSTILE: HOSTILE}}), "utf-8")
    write_page(source, [result], tmp_path / "page.html", run_reports=[report], report=ignore)
    text = (tmp_path / "page.html").read_text("utf-8")
    tags = Tags(text)
    assert tags.of("img") == [] and "<img" not in text and "\x1b" not in text
    assert text.count("<script") == text.count("</script>") == 4
    assert any(HOSTILE.replace("\x1b", "\\x1b") in said for said in tags.texts["td"])


@pytest.mark.parametrize("name", ["page", "page.mp4", "missing/page.html", "folder.html"])
def test_a_place_where_no_page_can_be_is_refused_before_anything_is_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(OutputError, match=r"accepted|make it first|name another"):
        write_page(tmp_path / "nothing", [tmp_path / "nothing"], tmp_path / name, report=ignore)


def test_a_page_replaces_another_only_on_demand(folder_of: MakeFolder, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    source = folder_of("source", plain(1))
    with pytest.raises(OutputError, match="exists; name another output, or replace it"):
        write_page(source, [source], page, report=ignore)
    with pytest.raises(InputError):
        write_page(source, [tmp_path / "nothing"], page, ComparisonOptions(overwrite=True), report=ignore)
    assert page.read_text() == "mine"
    write_page(source, [source], page, ComparisonOptions(overwrite=True), report=ignore)
    assert page.read_text("utf-8").startswith("<!doctype html>")


def test_a_prompt_adds_a_curve(folder_of: MakeFolder, tmp_path: Path) -> None:
    source = folder_of("source", plain(1, 64, 64))
    write_page(source, [source], tmp_path / "page.html", ComparisonOptions(prompt="a <b>ball"), report=ignore)
    assert "“a &lt;b&gt;ball”" in (tmp_path / "page.html").read_text("utf-8")


def test_other_lengths_shapes_and_tiny_pictures_are_said_in_the_page_too(
    folder_of: MakeFolder, tmp_path: Path, notices: Notices
) -> None:
    source, result = folder_of("source", plain(1, 1, 1)), folder_of("result", plain(3, 40, 20))
    write_page(source, [result], tmp_path / "page.html", report=notices)
    assert len(notices.said) == 3
    for said, start in zip(notices.said, ("source is a single", "result is 40 x 20", "pictures of less"), strict=True):
        assert said.startswith(start)
        assert said.replace("'", "&#39;") in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 400, 3), (33, 17, 4), (2160, 3840, 3)])
def test_odd_pictures_give_a_page(folder_of: MakeFolder, tmp_path: Path, shape: tuple[int, int, int]) -> None:
    source = folder_of("source", [np.full(shape, number, np.uint8) for number in (10, 200)])
    made = write_page(source, [source], tmp_path / "page.html", report=ignore)
    assert made.moments == 2 and made.bytes == (tmp_path / "page.html").stat().st_size


def test_animations_and_stills_are_clips_too(tmp_path: Path, notices: Notices) -> None:
    pictures = [Image.fromarray(picture) for picture in plain(3, 64, 48)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=100)
    pictures[0].save(tmp_path / "b.webp", save_all=True, append_images=pictures[1:], duration=100)
    made = write_page(tmp_path / "a.gif", [tmp_path / "b.webp"], tmp_path / "page.html", report=notices)
    assert made.moments == 3 and notices.said == []


def test_damaged_input_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    with pytest.raises(PnPVideoError, match=r"a\.mp4"):
        write_page(tmp_path / "a.mp4", [tmp_path / "a.mp4"], tmp_path / "page.html", report=ignore)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_result_of_a_span_stands_beside_the_frames_it_was_made_from(
    folder_of: MakeFolder, tmp_path: Path, notices: Notices
) -> None:
    source, result = folder_of("source", plain(8)), folder_of("result", plain(3))
    (tmp_path / "result.json").write_text(json.dumps({"prompt": "a", "options": {"frames": [4, 7]}}))
    made = write_page(source, [result], tmp_path / "page.html", report=notices)
    assert made.moments == 3 and len(notices.said) == 1
    assert '"frames": [4, 5, 6]' in (tmp_path / "page.html").read_text("utf-8")
