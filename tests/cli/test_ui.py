"""pnpvideo ui: what it refuses before it serves anything, in one line."""

import importlib.util
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pnpvideo.cli.main import main

from pnpvideo.ui.limits import Limits
from pnpvideo.ui.server import Address


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Address, Mapping[str, Any], Limits]]:
    """What would be served, instead of serving it, with or without gradio."""
    calls: list[tuple[Address, Mapping[str, Any], Limits]] = []
    monkeypatch.setattr("pnpvideo.cli.commands.ui.check_installed", lambda: None)
    monkeypatch.setattr(
        "pnpvideo.cli.commands.ui.serve", lambda address, start, limits, ready: calls.append((address, start, limits))
    )
    return calls


def test_it_serves_this_machine_with_the_options_of_flags_and_files(served: Any) -> None:
    Path("pnpvideo.toml").write_text("guidance = 3.5\n")
    assert main(["ui", "--seed", "4", "--upload", "10M", "--queue", "2"]) == 0
    ((address, start, limits),) = served
    assert (address.host, address.port, address.password) == ("127.0.0.1", 7860, None)
    assert start == {"guidance": 3.5, "seed": 4}
    assert (limits.upload, limits.queue, limits.sessions) == (10 * 2**20, 2, 32)


def test_a_password_comes_from_a_file_or_the_environment(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("secret.txt").write_text("pass phrase\nmore\n")
    assert main(["ui", "--host", "0.0.0.0", "--user", "a", "--password-file", "secret.txt"]) == 0
    monkeypatch.setenv("PNPVIDEO_UI_PASSWORD", "from outside")
    assert main(["ui", "--host", "0.0.0.0", "--user", "a"]) == 0
    assert [address.password for address, _, _ in served] == ["pass phrase", "from outside"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--host", "0.0.0.0"], 2, "that needs a user and a password"),
        (["--user", "a"], 2, "give a user and a password together"),
        (["--password-file", "secret.txt"], 2, "give a user and a password together"),
        (["--queue", "0"], 2, "queue is 0"),
        (["--model", "no/such/model"], 4, "no model at 'no/such/model'"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    served: Any, arguments: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("secret.txt").write_text("secret\n")
    assert main(["ui", *arguments]) == status
    said = capsys.readouterr().err
    assert message in said and len(said.splitlines()) == 1 and served == []


def test_without_gradio_it_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("pnpvideo.ui.server.find_spec", lambda name: None if name == "gradio" else find(name))
    assert main(["ui"]) == 2
    assert capsys.readouterr().err.endswith(
        "is not installed: in the clone of pnpvideo, pip install -c constraints.txt -e '.[ui]'\n"
    )


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gradio", reason="gradio is not installed; `make browser` installs it")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["ui", "--port", str(port)]) == 6
    assert capsys.readouterr().err == (
        f"pnpvideo: 127.0.0.1, port {port}: Address already in use; choose another with --host or --port\n"
    )
