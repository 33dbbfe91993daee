"""The page as it is served, and what its handlers answer."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from PIL import Image

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
pytest.importorskip("gradio", reason="gradio is not installed; `make browser` installs it")

from pnpvideo.ui.controls import controls
from pnpvideo.ui.gate import COOKIE
from pnpvideo.ui.handlers import BY_CHANGE, Handlers, is_shown
from pnpvideo.ui.page import theme
from pnpvideo.ui.session import Sessions
from pnpvideo.ui.work import Studio
from tests.ui.conftest import Server

OWNER = "o" * 43


def request(name: str = "page", owner: str = OWNER) -> Any:
    return SimpleNamespace(session_hash=name, headers={"cookie": f"{COOKIE}={owner}"})


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(tmp_path, 4)


@pytest.fixture
def handlers(sessions: Sessions) -> Handlers:
    return Handlers(sessions, Studio({}), {}, {"guidance": "guidance", "attention_until": "attention"}, {})


def test_the_page_has_every_control_with_its_label_help_and_content(server: Server) -> None:
    with urlopen(f"{server.url}config") as answer:
        blocks = json.load(answer)["components"]
    shown = {block["props"].get("elem_id"): block["props"] for block in blocks}
    for control in controls({"steps": 2, "size": 32}, ("miniature",)):
        block = shown[f"pnp-option-{control.name}"]
        assert (block["label"], block["info"]) == (control.label, control.help)
        assert block["value"] == control.content or control.name in ("model", "source_prompt")
    assert shown["pnp-option-attention_until"]["visible"] and not shown["pnp-option-strength"]["visible"]


def test_a_name_of_somebody_else_for_this_machine_is_refused(server: Server) -> None:
    with pytest.raises(HTTPError, match="403"):
        urlopen(Request(server.url, headers={"Host": "evil.example"}))


def test_the_fonts_are_those_of_the_system() -> None:
    style = theme()._get_theme_css()
    assert "system-ui" in style and "@import" not in style and "@font-face" not in style


def test_a_mask_is_removed(handlers: Handlers, sessions: Sessions, tmp_path: Path) -> None:
    handlers.open(request())
    session = sessions.find("page", OWNER)
    (tmp_path / "upload").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "upload/mask.png")
    taken: Callable[..., tuple[Any, ...]] = handlers.take_mask
    assert "mask.png" in taken(str(tmp_path / "upload/mask.png"), request())[1]
    assert session.mask is not None
    with session.working():
        assert "a run is under way" in handlers.remove_mask(request())[1]
    mask = session.mask
    assert handlers.remove_mask(request()) == ("", "")
    assert session.mask is None and not mask.exists()
    assert handlers.remove_mask(request()) == ("", "")


def test_the_button_that_removes_the_mask_is_on_the_page(server: Server) -> None:
    with urlopen(f"{server.url}config") as answer:
        config = json.load(answer)
    (button,) = [each["id"] for each in config["components"] if each["props"].get("elem_id") == "pnp-unmask"]
    assert [button, "click"] in [target for each in config["dependencies"] for target in each["targets"]]


def test_a_page_whose_session_is_over_is_told_to_reload(handlers: Handlers) -> None:
    assert "reload the page" in handlers.cancel(request())
    handlers.open(request())
    assert "Cancelled" in handlers.cancel(request())
    assert "reload the page" in handlers.cancel(request(owner="y" * 43))
    handlers.close(request())
    assert "reload the page" in handlers.cancel(request())


def test_one_page_too_many_is_told_so(handlers: Handlers) -> None:
    assert [handlers.open(request(str(number))) for number in range(4)] == [""] * 4
    assert "4 pages are open already" in handlers.open(request("5"))


def test_an_unexpected_failure_says_nothing_of_the_server(handlers: Handlers, caplog: pytest.LogCaptureFixture) -> None:
    handlers.open(request())
    said = handlers.run({}, request())[0]  # there is no component to read
    assert "the server&#x27;s log says what" in said and "KeyError" not in said
    assert "KeyError" in caplog.text


def test_a_task_shows_its_fields_and_takes_its_method(handlers: Handlers) -> None:
    prompt, change, method = handlers.choose_task(BY_CHANGE)
    assert (prompt["visible"], change["visible"], method) == (False, True, "pix2pix-zero")


def test_options_that_a_method_does_not_read_are_hidden(handlers: Handlers) -> None:
    assert [each["visible"] for each in handlers.show_read("pnp", "flow")] == [True]
    assert [each["visible"] for each in handlers.show_read("sdedit", "flow")] == [False]
    assert is_shown(None, "pnp", "flow") and is_shown(("flow",), "pnp", "flow")


def test_a_cell_that_is_gone_is_told_so(handlers: Handlers) -> None:
    handlers.open(request())
    pick: Callable[..., tuple[Any, ...]] = handlers.pick
    assert "that cell is gone" in pick(request(), SimpleNamespace(cell=3))[0]
