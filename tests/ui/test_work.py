"""The work behind the page, with the tiny checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import InputError, ModelError, OptionError
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.ui.session import Cancelled, Session
from pnpvideo.ui.work import Asked, Studio, adopt
from tests.ui.conftest import write_picture

OWNER = "o" * 43


@pytest.fixture
def session(tmp_path: Path) -> Session:
    folder = tmp_path / "session"
    (folder / "source").mkdir(parents=True)
    return Session(OWNER, folder, source=write_picture(folder / "source" / "square.png"))


@pytest.fixture
def server(checkpoint: Path, tmp_path: Path) -> dict[str, Any]:
    return {"store": tmp_path / "store", "device": "cpu"}


@pytest.fixture
def asked(checkpoint: Path) -> Callable[..., Asked]:
    def make(prompt: str | None = "abc", change: tuple[str, str] | None = None, **values: Any) -> Asked:
        small = {"model": str(checkpoint), "steps": 2, "size": 32, "source_prompt": ""}
        return Asked(prompt=prompt, change=change, values={**small, **values})

    return make


def nowhere(share: float | None, text: str) -> None:
    """Progress that nobody sees."""


def test_a_translation_is_the_engines_own(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked], tmp_path: Path
) -> None:
    seen: list[tuple[float | None, str]] = []
    made = Studio(server).translate(session, asked(seed=3), ".webp", lambda *each: seen.append(each))
    options = Options.from_flat({**asked(seed=3).values, **server})
    translate(session.source, "abc", tmp_path / "own.webp", options)
    assert made.path.read_bytes() == (tmp_path / "own.webp").read_bytes()
    assert made.path.name == "square-1.webp" and session.results == [made]
    assert session.file(made.link.removeprefix("files/")) == made.path
    shares = [share for share, _ in seen if share is not None]
    assert shares[-1] == 1 and any("step 2 of 2" in text for _, text in seen)


def test_the_report_of_a_result_holds_nothing_of_the_machine(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked], tmp_path: Path
) -> None:
    made = Studio(server).translate(session, asked(), None, nowhere)
    report = Path(f"{made.path}.json").read_text("utf-8")
    assert str(tmp_path) not in report and "/" not in json.loads(report)["resolved"]["model"]
    assert json.loads(report)["resolved"]["steps"] == 2


def test_options_of_the_server_are_not_those_of_the_page(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked], tmp_path: Path
) -> None:
    Studio(server).translate(session, asked(store=tmp_path / "other"), None, nowhere)
    assert not (tmp_path / "other").exists() and (tmp_path / "store").is_dir()


def test_the_model_is_changed_as_the_server_says(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no-vae"):
        Studio({**server, "vae": tmp_path / "no-vae"}).translate(session, asked(), None, nowhere)


def test_a_cancelled_run_leaves_no_result(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked]
) -> None:
    studio = Studio(server)
    with pytest.raises(Cancelled):
        studio.translate(session, asked(), None, lambda share, text: session.stop() if "step" in text else None)
    assert session.results == [] and not (session.folder / "result-1").exists()
    assert studio.translate(session, asked(), None, nowhere).number == 2


def test_a_preview_has_the_cells_of_the_command_and_keeps_them_for_a_pick(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked]
) -> None:
    shown, tried = Studio(server).preview(session, asked(), ["guidance=2,4.5"], 3, nowhere)
    assert len(shown) == 1 and [each.number for each in tried] == [1, 2]
    assert tried[1].dials == {"guidance": "4.5"}
    assert session.cells[2].values["guidance"] == 4.5 and session.cells[2].prompt == "abc"
    files = [session.file(link.removeprefix("files/")) for each in tried for link in each.links]
    pixels = {Image.open(path).tobytes() for path in files if path is not None}
    assert len(pixels) == 2


def test_a_grid_of_too_many_cells_is_refused(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked]
) -> None:
    seeds = ",".join(str(seed) for seed in range(25))
    with pytest.raises(OptionError, match="25 cells; accepted are up to 24"):
        Studio(server).preview(session, asked(), [f"seed={seeds}"], 1, nowhere)


def test_results_are_compared_on_one_page(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked]
) -> None:
    studio = Studio(server)
    with pytest.raises(OptionError, match="no result is ticked"):
        studio.compare(session, [1], nowhere)
    made = studio.translate(session, asked(), None, nowhere)
    page = session.file(studio.compare(session, [made.number], nowhere).removeprefix("files/"))
    assert page is not None and "square-1" in page.read_text("utf-8")


def test_a_mask_keeps_what_is_black(session: Session, server: dict[str, Any], asked: Callable[..., Asked]) -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[:, 24:] = 255
    session.mask = session.folder / "mask.png"
    Image.fromarray(mask).save(session.mask)
    made = Studio(server).translate(session, asked(), None, nowhere)
    assert session.source is not None
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (session.source, made.path))
    assert np.array_equal(before[:, :16], after[:, :16]) and not np.array_equal(before[:, 32:], after[:, 32:])


def test_work_without_source_or_words_is_refused(
    session: Session, server: dict[str, Any], asked: Callable[..., Asked]
) -> None:
    with pytest.raises(OptionError, match="there is no prompt"):
        Studio(server).translate(session, asked(" "), None, nowhere)
    session.source = None
    with pytest.raises(OptionError, match="no clip or picture yet"):
        Studio(server).translate(session, asked(), None, nowhere)


def test_a_change_takes_the_place_of_the_prompt(asked: Callable[..., Asked]) -> None:
    change = asked(None, ("ball", "cube"))
    assert change.words is None and change.title == "ball → cube" and change.flat()["change"] == ("ball", "cube")


def test_an_upload_moves_into_the_session_or_goes(session: Session, tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        (tmp_path / name).mkdir()
        session.source = adopt(session, write_picture(tmp_path / name / name), "source")
        assert [path.name for path in (session.folder / "source").iterdir()] == [name]
        assert not (tmp_path / name).exists()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "text.png").write_text("no picture")
    with pytest.raises(InputError):
        adopt(session, tmp_path / "bad" / "text.png", "source")
    assert not (tmp_path / "bad").exists() and (session.folder / "source" / "two.png").exists()
