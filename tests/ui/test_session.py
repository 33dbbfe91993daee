"""A session's folder lives as long as its page, and is its owner's alone."""

import threading
from pathlib import Path

import pytest

from pnpvideo.errors import InputError, OptionError
from pnpvideo.ui.session import MOST_RESULTS, Cancelled, Made, Session, Sessions, public_message

ME, YOU = "m" * 43, "y" * 43


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(tmp_path, 2)


def test_a_file_is_found_by_its_token_and_its_owner_only(sessions: Sessions) -> None:
    session = sessions.open("page", ME)
    path = session.folder / "a.png"
    path.write_bytes(b"1")
    token = session.publish(path).removeprefix("files/")
    assert sessions.file(token, ME) == path
    assert sessions.file(token, YOU) is None and sessions.file("a.png", ME) is None
    path.unlink()
    assert sessions.file(token, ME) is None


def test_a_session_is_found_by_its_owner_only(sessions: Sessions) -> None:
    session = sessions.open("page", ME)
    assert sessions.find("page", ME) is session is sessions.open("page", ME)
    for name, owner in (("page", YOU), ("other", ME), (None, ME), ("page", "")):
        with pytest.raises(OptionError, match="session has ended; reload"):
            sessions.find(name, owner)
    assert sessions.allows("page", ME) and sessions.allows("new", YOU) and not sessions.allows("page", YOU)


def test_one_page_too_many_is_refused_until_another_is_closed(sessions: Sessions) -> None:
    sessions.open("1", ME)
    sessions.open("2", ME)
    with pytest.raises(OptionError, match="2 pages are open already"):
        sessions.open("3", ME)
    sessions.close("1")
    sessions.open("3", ME)


def test_a_closed_session_leaves_no_folder(sessions: Sessions, tmp_path: Path) -> None:
    folder = sessions.open("page", ME).folder
    (folder / "a.png").write_bytes(b"1")
    assert folder.stat().st_mode & 0o077 == 0
    sessions.close("page")
    sessions.close("page")
    assert list(tmp_path.iterdir()) == []
    sessions.open("other", ME)
    sessions.close_all()
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_is_closed_at_work_stops_it_and_keeps_the_folder_until_then(sessions: Sessions) -> None:
    session = sessions.open("page", ME)
    with pytest.raises(Cancelled), session.working():
        session.check()
        closing = threading.Thread(target=sessions.close, args=["page"])
        closing.start()
        closing.join()
        assert session.folder.is_dir()
        session.check()
    assert not session.folder.exists()
    with pytest.raises(Cancelled), session.working():
        raise AssertionError("a closed session does no work")


def test_stopping_ends_the_work_under_way_and_not_the_next(sessions: Sessions) -> None:
    session = sessions.open("page", ME)
    with pytest.raises(Cancelled), session.working():
        session.stop()
        session.check()
    with session.working():
        session.check()


def test_files_are_not_replaced_during_work(sessions: Sessions) -> None:
    session = sessions.open("page", ME)
    with session.resting():
        pass
    with session.working(), pytest.raises(OptionError, match="a run is under way"), session.resting():
        pass


def test_the_oldest_results_make_room(tmp_path: Path) -> None:
    session = Session(ME, tmp_path)
    for number in range(1, MOST_RESULTS + 2):
        path = tmp_path / f"result-{number}" / "out.png"
        path.parent.mkdir()
        path.write_bytes(b"1")
        session.add(Made(number=number, path=path, title="", seconds=1.0, link=""))
    assert [made.number for made in session.results] == list(range(2, MOST_RESULTS + 2))
    assert not (tmp_path / "result-1").exists() and (tmp_path / "result-2").exists()


def test_messages_name_files_without_their_folders(tmp_path: Path) -> None:
    session = Session(ME, tmp_path)
    message = f"{tmp_path}/source/a.png has 4 frames; the model /srv/models/sd is OWNER/NAME, 'C:\\data\\b.mp4', see https://x.org/y"
    said = public_message(InputError(message), session)
    assert said == "source/a.png has 4 frames; the model sd is OWNER/NAME, 'b.mp4', see https://x.org/y"
