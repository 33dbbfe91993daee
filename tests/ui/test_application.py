"""What is served beside the page: the files of the sessions, to their owners."""

import os
from pathlib import Path

import pytest

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
pytest.importorskip("gradio", reason="gradio is not installed; `make browser` installs it")

from starlette.requests import Request

from pnpvideo.ui.application import serve_file
from pnpvideo.ui.gate import COOKIE
from pnpvideo.ui.session import Sessions

ME, YOU = "m" * 43, "y" * 43


def asked_by(owner: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", f"{COOKIE}={owner}".encode())]})


def test_a_file_is_served_under_its_name_to_its_owner(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, 1)
    session = sessions.open("page", ME)
    path = session.folder / "Ölbild 1.png"
    path.write_bytes(b"1")
    token = session.publish(path).removeprefix("files/")
    answer = serve_file(sessions, token, asked_by(ME))
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == "inline; filename*=utf-8''%C3%96lbild%201.png"
    assert serve_file(sessions, token, asked_by(YOU)).status_code == 404
    assert serve_file(sessions, "other", asked_by(ME)).status_code == 404
