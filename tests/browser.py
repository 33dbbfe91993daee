"""A real browser for the tests of pages, and ``python -m tests.browser PAGE PICTURE``: a picture of a page."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Start the system's Chromium. Skips the test if there is none."""
    found = next((path for path in map(shutil.which, PROGRAMS) if path), None)
    if found is None:
        pytest.skip("no Chromium on this machine; `make browser` installs it")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if root else [])
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, path: Path, width: int = 1280, height: int = 900) -> Page:
    """Open a comparison from disk and wait for its first picture."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    page.goto(path.absolute().as_uri())
    page.wait_for_selector("#stage[data-moment]")
    return page


def main(source: str, picture: str) -> None:
    """Write a picture of the upper part of the page ``source``, in the middle of its clips."""
    with launched() as browser:
        page = open_page(browser, Path(source), height=800)
        middle = str(int(page.get_attribute("#moment", "max") or 0) // 2)
        page.fill("#moment", middle)
        page.wait_for_selector(f"#stage[data-moment='{middle}']")
        page.evaluate("document.activeElement.blur()")
        page.screenshot(
            path=picture,
            type="jpeg",
            quality=85,
            full_page=True,
            clip={"x": 0, "y": 0, "width": 1280, "height": 1180},
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
