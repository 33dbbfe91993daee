"""Where the page is served, and for whom."""

from pathlib import Path

import pytest

from pnpvideo.errors import OptionError, OutputError
from pnpvideo.ui.server import Address, models_of


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "studio.example"])
def test_other_machines_need_a_user_and_a_password(host: str) -> None:
    with pytest.raises(OptionError, match="needs a user and a password"):
        Address(host=host)
    Address(host=host, user="studio", password="secret")


@pytest.mark.parametrize(("user", "password"), [("a", None), (None, "b"), ("", "b"), ("a", ""), ("a:b", "c")])
def test_a_user_without_password_and_the_like_are_refused(user: str | None, password: str | None) -> None:
    with pytest.raises(OptionError):
        Address(user=user, password=password)


def test_a_port_in_use_is_one_line() -> None:
    with Address(port=0).listen() as taken:
        assert taken.getsockname()[0] == "127.0.0.1"
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match=rf"127.0.0.1, port {port}: Address already in use; choose another"):
            Address(port=port).listen()


def test_an_address_that_is_none_is_one_line() -> None:
    with pytest.raises(OutputError, match="choose another with --host or --port"):
        Address(host="192.0.2.1", port=0, user="a", password="b").listen()
    with pytest.raises(OptionError, match="port is 70000; accepted is a whole number from 0 to 65535"):
        Address(port=70_000)


def test_the_models_to_choose_from_are_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert models_of({})[0] == "miniature"
    assert models_of({"model": str(tmp_path)})[:2] == (str(tmp_path), "miniature")
