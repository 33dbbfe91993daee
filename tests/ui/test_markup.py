"""Whatever comes from people or files is text on the page."""

from pathlib import Path

import pytest

from pnpvideo.ui import markup
from pnpvideo.ui.session import Made
from pnpvideo.ui.work import Tried

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
ESCAPED = "&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;"


def made(number: int, name: str = "out.mp4", title: str = "a photo") -> Made:
    return Made(number=number, path=Path(name), title=title, seconds=1.25, link=f"files/{number}", notices=(HOSTILE,))


@pytest.mark.parametrize(
    "html",
    [
        markup.source("files/1", f"{HOSTILE}.png"),
        markup.results([made(1, f"{HOSTILE}.mp4", HOSTILE), made(2, title=HOSTILE)]),
        markup.cells(["files/1"], [Tried(number=1, dials={"prompt": HOSTILE}, seconds=1.0, links=("files/2",))]),
        markup.notice(HOSTILE),
        markup.problem(HOSTILE),
    ],
)
def test_texts_are_escaped(html: str) -> None:
    assert ESCAPED in html and "<img src=x" not in html


@pytest.mark.parametrize(("name", "tag"), [("a.mp4", "<video"), ("a.gif", "<img"), ("a.mkv", "<p")])
def test_a_file_is_shown_as_browsers_can(name: str, tag: str) -> None:
    assert markup.media("files/1", name).startswith(tag)


def test_the_latest_result_comes_first_and_all_can_be_downloaded() -> None:
    html = markup.results([made(1), made(2), made(3)])
    order = [html.index(f'href="files/{number}" download="out.mp4"') for number in (3, 2, 1)]
    assert order == sorted(order) and html.count("<li>") == 1
    assert "Results appear here" in markup.results([])


def test_a_comparison_is_in_a_sandbox_without_the_origin_of_the_page() -> None:
    assert 'sandbox="allow-scripts"' in markup.comparison("files/1")
    assert markup.notice("") == ""
