"""The running page in a real browser: what it does, and what nobody can make it do."""

import io
import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from pnpvideo.cli.main import main

from tests.ui.conftest import (
    UPLOAD_LIMIT,
    Opened,
    Opener,
    Server,
    end_server,
    needs_gradio,
    start_server,
    write_picture,
)

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

pytestmark = needs_gradio
HOSTILE = "<img src=x onerror=document.title='run'>"
MANY_STEPS = "1000"
"""Of a run that does not end by itself while a test looks."""


def wait_until(condition: Callable[[], bool], page: "Page") -> None:
    """Wait for something that the server does."""
    for _ in range(300):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen")


def pixels_of(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))


def start_long_run(opened: Opened) -> None:
    opened.unfold("Look")
    opened.set("steps", MANY_STEPS)
    opened.page.fill("#pnp-prompt textarea", "abc")
    opened.page.click("#pnp-run")
    opened.page.wait_for_selector("#pnp-status >> text=/step \\d+ of/")


def test_a_download_is_what_the_command_line_writes_bit_for_bit(
    open_page: Opener, clip_of: Callable[..., Path], checkpoint: Path, tmp_path: Path
) -> None:
    clip = clip_of(3)
    opened = open_page()
    opened.drop(clip)
    opened.set("guidance", "3.5")
    opened.set("seed", "9007199254740993")  # more digits than a browser's numbers hold
    downloaded = opened.fetch(opened.run("abc"))
    opened.page.wait_for_selector(".pnp-notice >> text=Finished in")
    small = ["--steps", "2", "--size", "32", "--source-prompt", "", "--device", "cpu", "-q"]
    command = ["translate", str(clip), "abc", "-o", str(tmp_path / "out.mp4")]
    command += ["--guidance", "3.5", "--seed", "9007199254740993", "--model", str(checkpoint)]
    command += ["--store", str(tmp_path / "store"), *small]
    assert main(command) == 0
    assert downloaded == (tmp_path / "out.mp4").read_bytes()
    assert opened.page.locator(".pnp-latest a").get_attribute("download") == "in-1.mp4"
    assert opened.errors == []


def test_nothing_is_asked_of_other_sites(open_page: Opener, picture: Path) -> None:
    opened = open_page()
    opened.drop(picture)
    opened.run("abc")
    places = {urlsplit(url).netloc for url in opened.requests if not url.startswith(("data:", "blob:"))}
    assert places == {urlsplit(opened.server.url).netloc}


def test_a_run_is_cancelled_and_the_next_one_works(open_page: Opener, picture: Path) -> None:
    opened = open_page()
    opened.drop(picture)
    start_long_run(opened)
    opened.page.click("#pnp-cancel")
    opened.page.wait_for_selector(".pnp-notice >> text=Cancelled")
    opened.set("steps", "2")
    opened.run("abc")
    assert opened.results() == 1


def test_a_closed_page_stops_its_run_and_leaves_no_file(open_page: Opener, picture: Path) -> None:
    closed, stays = open_page(), open_page()
    before = set(stays.server.folders())
    closed.drop(picture)
    start_long_run(closed)
    closed.page.close()
    wait_until(lambda: len(set(stays.server.folders()) & before) == len(before) - 1, stays.page)
    stays.drop(picture)
    stays.run("abc")  # which waits for the engine, should it still be at work


def test_one_run_too_many_is_refused_and_the_end_of_the_server_leaves_no_file(
    open_page: Opener, picture: Path, checkpoint: Path, tmp_path: Path
) -> None:
    small = ["--model", str(checkpoint), "--size", "32", "--source-prompt", "", "--device", "cpu"]
    server = start_server(tmp_path, *small, "--queue", "1")
    try:
        works, waits, refused = (open_page(other=server) for _ in range(3))
        for opened in (works, waits, refused):
            opened.drop(picture)
        start_long_run(works)
        for opened in (waits, refused):
            opened.page.fill("#pnp-prompt textarea", "abc")
            with opened.page.expect_response("**/queue/join*"):
                opened.page.click("#pnp-run")
        refused.page.wait_for_selector("text=/currently busy/")
        assert server.folders()
    finally:
        end_server(server)
    assert list(server.scratch.iterdir()) == []
    assert "Traceback" not in server.said()


def test_two_pages_of_one_browser_do_not_mix(open_page: Opener, tmp_path: Path) -> None:
    first = open_page()
    second = open_page(first.page.context)
    first.drop(write_picture(tmp_path / "one.png"))
    second.drop(write_picture(tmp_path / "two.png", side=64))
    first.run("abc")
    second.run("abc")
    assert first.page.inner_text(".pnp-latest a") == "Download one-1.png"
    assert second.page.inner_text(".pnp-latest a") == "Download two-1.png"
    assert (first.results(), second.results()) == (1, 1)


def test_another_browser_gets_no_file_and_takes_no_part_in_a_session(open_page: Opener, picture: Path) -> None:
    owner, stranger = open_page(), open_page()
    owner.drop(picture)
    url = owner.run("abc")
    assert stranger.page.context.request.get(url).status == 404
    assert len(owner.fetch(url)) > 0
    with owner.page.expect_request("**/queue/join*") as asked:
        owner.page.click("#pnp-run")
    body = json.loads(asked.value.post_data or "")
    base, name = asked.value.url.partition("/queue/join")[0], body["session_hash"]
    asks = stranger.page.context.request
    assert asks.post(asked.value.url, data=body).status == 403
    assert asks.get(f"{base}/queue/data?session_hash={name}").status == 403
    assert asks.get(f"{base}/heartbeat/{name}").status == 403
    assert asks.post(f"{base}/cancel", data={"session_hash": name, "fn_index": 1, "event_id": "a"}).status == 403


def test_what_is_no_picture_is_refused(open_page: Opener, tmp_path: Path) -> None:
    fake = tmp_path / "fake.png"
    fake.write_text("#EXTM3U\nhttp://127.0.0.1:1/secret\n")
    opened = open_page()
    opened.page.set_input_files("#pnp-source input[type=file]", fake)
    assert "fake.png is no video, animation or picture that is known" in opened.problem()
    assert "/" not in opened.problem().split(" is no video")[0]
    assert not list(opened.server.scratch.rglob("fake.png"))


def test_a_file_that_is_too_large_is_refused(open_page: Opener, tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8)).save(large)
    assert large.stat().st_size > UPLOAD_LIMIT
    opened = open_page()
    opened.page.set_input_files("#pnp-source input[type=file]", large)
    opened.page.wait_for_selector("text=/maximum allowed size/")
    content: FilePayload = {"name": large.name, "mimeType": "image/png", "buffer": large.read_bytes()}
    assert (
        opened.page.context.request.post(f"{opened.server.url}gradio_api/upload", multipart={"files": content}).status
        == 413
    )
    assert not list(opened.server.scratch.rglob("large.png"))


def test_a_url_or_path_in_place_of_an_upload_opens_nothing(open_page: Opener, picture: Path) -> None:
    asked: list[int] = []
    opened = open_page()
    with opened.page.expect_request(lambda request: "/queue/join" in request.url) as joined:
        opened.page.set_input_files("#pnp-source input[type=file]", picture)
    body = json.loads(joined.value.post_data or "")
    with socket.create_server(("127.0.0.1", 0)) as other:
        threading.Thread(target=lambda: asked.append(other.accept()[1][1]), daemon=True).start()
        port = other.getsockname()[1]
        for named in (f"http://127.0.0.1:{port}/a.png", "data:image/png;base64,AAAA", "file:///etc/hostname"):
            body["data"] = [{"path": named, "url": named, "meta": {"_type": "gradio.FileData"}}]
            assert opened.page.context.request.post(joined.value.url, data=body).status == 400
        body["data"] = [{"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}]
        assert opened.page.context.request.post(joined.value.url, data=body).status == 200  # and then fails
        opened.page.wait_for_timeout(300)
        assert asked == []
    assert opened.page.locator(".pnp-source >> text=hostname").count() == 0


def test_html_in_a_prompt_and_a_file_name_is_text(open_page: Opener, tmp_path: Path) -> None:
    opened = open_page()
    named = write_picture(tmp_path / f"{HOSTILE.replace('/', '')}.png")
    opened.page.set_input_files("#pnp-source input[type=file]", named)
    opened.page.wait_for_selector(".pnp-source img")
    opened.run(HOSTILE)
    opened.page.click("role=tab[name=Compare]")
    opened.page.click("#pnp-compare")
    opened.page.frame_locator(".pnp-frame").locator("#stage[data-moment]").wait_for()
    assert HOSTILE in opened.page.inner_text(".pnp-latest figcaption")
    assert opened.page.title() == "pnpvideo" and opened.page.locator("img[src=x]").count() == 0
    assert opened.errors == []


def test_a_cell_that_is_picked_sets_the_options_of_the_run(open_page: Opener, picture: Path) -> None:
    opened = open_page()
    opened.drop(picture)
    page = opened.page
    page.fill("#pnp-prompt textarea", "abc")
    page.click("role=tab[name='Try options']")
    page.fill("#pnp-values-1 textarea, #pnp-values-1 input", "2, 4.5")
    page.click("#pnp-preview")
    page.wait_for_selector("button.pnp-cell >> nth=1")
    assert page.locator("button.pnp-cell").all_inner_texts()[1].startswith("2 guidance 4.5")
    assert page.locator(".pnp-cell img").count() == 3
    page.click("button.pnp-cell >> nth=1")
    page.wait_for_selector("text=The options of cell 2 are set")
    field = "#pnp-option-guidance textarea, #pnp-option-guidance input"
    assert page.input_value(field) == "4.5" and page.input_value("#pnp-prompt textarea") == "abc"
    cell = opened.fetch(str(page.locator("button.pnp-cell img").nth(1).evaluate("image => image.src")))
    result = opened.fetch(opened.run("abc"))
    assert np.array_equal(pixels_of(cell), pixels_of(result))


def test_results_are_compared_in_a_frame_that_cannot_reach_the_page(
    open_page: Opener, clip_of: Callable[..., Path]
) -> None:
    opened = open_page()
    opened.drop(clip_of(3))
    opened.run("abc")
    opened.run("abd")
    page = opened.page
    page.click("role=tab[name=Compare]")
    page.check("#pnp-compared input >> nth=0")
    page.click("#pnp-compare")
    frame = page.frame_locator(".pnp-frame")
    frame.locator("#stage[data-moment]").wait_for()
    assert frame.locator("#a option").count() == 3
    assert page.get_attribute(".pnp-frame", "sandbox") == "allow-scripts"
    (inner,) = (each for each in page.frames if "/files/" in each.url)
    with pytest.raises(Exception, match=r"SecurityError|cross-origin"):
        inner.evaluate("parent.document.title")


def test_an_edit_needs_two_concepts_and_takes_its_own_method(open_page: Opener, picture: Path) -> None:
    opened = open_page()
    opened.drop(picture)
    page = opened.page
    page.check("#pnp-task input >> nth=1")
    page.wait_for_selector("#pnp-from")
    assert not page.is_visible("#pnp-prompt")
    page.click("#pnp-run")
    assert opened.problem() == "say both: what is there (From), and what it becomes (To)"
    assert page.input_value("#pnp-option-method input") == "pix2pix-zero"
    assert page.is_hidden("#pnp-option-attention_until")


def test_an_error_names_no_folder_of_the_server(open_page: Opener, picture: Path) -> None:
    opened = open_page()
    opened.drop(picture)
    opened.set("frames", "5:9")
    opened.page.fill("#pnp-prompt textarea", "abc")
    opened.page.click("#pnp-run")
    assert "square.png" in opened.problem() and str(opened.server.scratch) not in opened.page.content()


@pytest.mark.parametrize(
    "path",
    [
        "gradio_api/file=/etc/passwd",
        "gradio_api/file/etc/passwd",
        "gradio_api/proxy=http://127.0.0.1:1/",
        "files/../../etc/passwd",
        "files/%2e%2e%2fetc%2fpasswd",
        "assets/../../../../etc/passwd",
        "static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "gradio_api/info",
        "monitoring",
        "docs",
    ],
)
def test_no_other_file_or_service_is_reached(server: Server, path: str) -> None:
    port = urlsplit(server.url).port or 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert re.match(rb"HTTP/1.1 40[034]", answer) and b"root:" not in answer
