"""The page with the model that ships."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pnpvideo.cli.main import main

from tests.ui.conftest import Opener, Server, end_server, needs_gradio, start_server

CLIP = Path(__file__).resolve().parents[2] / "samples" / "ball.mp4"
OPTIONS = ["--frames", "0:1", "--size", "128", "--steps", "4"]
pytestmark = [needs_gradio, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(tmp_path_factory.mktemp("ui"), *OPTIONS)
    yield started
    end_server(started)


def test_an_edit_on_the_page_is_what_the_command_line_writes_bit_for_bit(open_page: Opener, tmp_path: Path) -> None:
    opened = open_page()
    opened.page.set_default_timeout(200_000)
    opened.drop(CLIP)
    opened.page.check("#pnp-task input >> nth=1")
    opened.page.fill("#pnp-from textarea, #pnp-from input", "ball")
    opened.page.fill("#pnp-to textarea, #pnp-to input", "cube")
    opened.page.wait_for_function("document.querySelector('#pnp-option-method input').value === 'pix2pix-zero'")
    opened.page.click("#pnp-run")
    link = opened.page.wait_for_selector(".pnp-latest a")
    assert link is not None
    downloaded = opened.fetch(link.evaluate("link => link.href"))
    output = tmp_path / "out.mp4"
    command = ["edit", str(CLIP), "--from", "ball", "--to", "cube", "-o", str(output), *OPTIONS, "-q"]
    assert main([*command, "--store", str(tmp_path / "store")]) == 0
    assert downloaded == output.read_bytes()
