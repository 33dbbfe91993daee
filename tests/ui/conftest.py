"""A running server of the page, pages of it in a browser, and pictures to drop on them."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

needs_gradio = pytest.mark.skipif(
    find_spec("gradio") is None, reason="gradio is not installed; `make browser` installs it"
)
UPLOAD_LIMIT = 200_000
SERVER_LIMIT_SECONDS = 60


@dataclass
class Server:
    """A server in a process of its own. scratch: its folder of temporary files."""

    process: subprocess.Popen[str]
    url: str
    scratch: Path
    errors: Path

    def folders(self) -> list[Path]:
        """The folders of the open sessions."""
        return [path for path in self.scratch.glob("pnpvideo-*/files/*") if re.fullmatch("[0-9a-f]{32}", path.name)]

    def said(self) -> str:
        return self.errors.read_text("utf-8")


def start_server(folder: Path, *arguments: str, **environment: str) -> Server:
    """Start ``pnpvideo ui`` on a free port, and wait until it says where."""
    scratch, errors = folder / "scratch", folder / "errors.txt"
    scratch.mkdir()
    home = {name: str(folder / "home") for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    variables = {**os.environ, **home, "TMPDIR": str(scratch), **environment}
    command = [sys.executable, "-m", "pnpvideo", "ui", "--port", "0", "--store", str(folder / "store"), *arguments]
    with errors.open("w") as file:
        process = subprocess.Popen(command, stderr=file, env=variables, cwd=folder, text=True)
    while not (found := re.search(r"the page is at (\S+)", errors.read_text("utf-8"))):
        assert process.poll() is None, errors.read_text("utf-8")
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
    return Server(process, found[1], scratch, errors)


def end_server(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.wait(SERVER_LIMIT_SECONDS)
    finally:
        server.process.kill()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[Server]:
    """A server with the tiny checkpoint, for all tests that need one."""
    small = ["--steps", "2", "--size", "32", "--source-prompt", "", "--device", "cpu"]
    started = start_server(
        tmp_path_factory.mktemp("ui"), "--model", str(checkpoint), *small, "--upload", str(UPLOAD_LIMIT)
    )
    yield started
    end_server(started)


@dataclass
class Opened:
    """A page in a browser, and what it did since it was opened."""

    page: "Page"
    server: Server
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """Uncaught errors of its scripts."""

    def drop(self, path: Path, role: str = "source") -> None:
        """Drop a file on the page and wait until it is shown."""
        self.page.set_input_files(f"#pnp-{role} input[type=file]", path)
        self.page.wait_for_selector(f".pnp-source >> text={path.name}")

    def set(self, option: str, text: str) -> None:
        """Fill in the control of an option, which may be folded away."""
        self.page.locator(f"#pnp-option-{option} textarea, #pnp-option-{option} input").first.fill(text)

    def unfold(self, section: str) -> None:
        self.page.click(f"button.label-wrap >> text={section}")

    def run(self, prompt: str) -> str:
        """Translate the source, and return the address of the result."""
        before = self.page.locator(".pnp-latest a").get_attribute("href") if self.results() else None
        self.page.fill("#pnp-prompt textarea", prompt)
        self.page.click("#pnp-run")
        self.page.wait_for_function(
            "before => { const link = document.querySelector('.pnp-latest a');"
            " return link && link.getAttribute('href') !== before }",
            arg=before,
        )
        return str(self.page.locator(".pnp-latest a").evaluate("link => link.href"))

    def results(self) -> int:
        return self.page.locator("#pnp-results figure").count()

    def problem(self) -> str:
        """The problem that is shown, once there is one."""
        self.page.wait_for_selector(".pnp-problem")
        return self.page.inner_text(".pnp-problem")

    def fetch(self, url: str) -> bytes:
        """The body of an address, asked for by this browser."""
        answer = self.page.context.request.get(url)
        assert answer.status == 200
        return answer.body()


Opener = Callable[..., Opened]


@pytest.fixture
def open_page(browser: "Browser", server: Server) -> Iterator[Opener]:
    """open_page(context, other): a page of the server, or of another one, in the browser of one person or in that of
    ``context``."""
    contexts: list[BrowserContext] = []

    def make(context: "BrowserContext | None" = None, other: Server | None = None) -> Opened:
        if context is None:
            context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
            contexts.append(context)
        opened = Opened(context.new_page(), other or server)
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        with opened.page.expect_response(
            lambda response: "/run/predict" in response.url or "/queue/join" in response.url
        ):
            opened.page.goto(opened.server.url)
        opened.page.wait_for_selector("#pnp-run")
        return opened

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A small picture."""
    return write_picture(tmp_path / "square.png")


def write_picture(path: Path, side: int = 48) -> Path:
    pixels = np.full((side, side, 3), (150, 200, 235), np.uint8)
    pixels[10:30, 12:34] = (220, 60, 50)
    Image.fromarray(pixels).save(path)
    return path
