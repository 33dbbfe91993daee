"""``python -m tests.ui.picture PICTURE``: a picture of the page with the cells of a preview, by the shipped model."""

import sys
import tempfile
from pathlib import Path

from tests.browser import launched
from tests.ui.conftest import Opened, end_server, start_server

ROOT = Path(__file__).resolve().parents[2]
LIMIT_MS = 300_000


def main(picture: str) -> None:
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        server = start_server(Path(folder))
        try:
            page = browser.new_page(viewport={"width": 1360, "height": 960}, color_scheme="light")
            page.set_default_timeout(LIMIT_MS)
            page.goto(server.url)
            page.wait_for_selector("#pnp-run")
            page.wait_for_timeout(1000)
            Opened(page, server).drop(ROOT / "samples" / "cube.mp4")
            page.fill("#pnp-prompt textarea", "a photo of a blue cube on sand at sunset")
            page.click("role=tab[name='Try options']")
            page.fill("#pnp-values-1 textarea, #pnp-values-1 input", "2, 4, 8")
            page.locator("#pnp-dial-2 input").click()
            page.get_by_role("option", name="Attention until", exact=True).click()
            page.fill("#pnp-values-2 textarea, #pnp-values-2 input", "0.3, 0.8")
            page.click("#pnp-preview")
            page.click("button.pnp-cell >> nth=2")
            page.wait_for_selector("text=are set")
            page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
            page.mouse.move(5, 5)
            page.wait_for_timeout(1000)
            page.screenshot(path=picture, type="jpeg", quality=85)
        finally:
            end_server(server)


if __name__ == "__main__":
    main(*sys.argv[1:])
