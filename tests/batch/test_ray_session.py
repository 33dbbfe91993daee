"""What is said without Ray, without a cluster, and for an address that is none."""

import sys

import pytest

from pnpvideo.batch.ray_session import check_address, session
from pnpvideo.errors import DeviceError, OptionError


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        OptionError, match=r"not installed: in the clone of pnpvideo, pip install -c constraints.txt -e '\.\[ray\]'"
    ):
        check_address(None)


def test_an_address_of_the_client_is_refused() -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    with pytest.raises(OptionError, match="address is ray://head:10001; accepted: HOST:PORT"):
        check_address("ray://head:10001")


def test_where_no_cluster_is_the_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="ray is not installed")
    for name in ("RAY_USAGE_STATS_ENABLED", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"):
        monkeypatch.setenv(name, "0")
    with (
        pytest.raises(DeviceError, match=r"no Ray cluster at nonsense: .*; start one with 'ray start --head'"),
        session("nonsense"),
    ):
        raise AssertionError("there is a cluster")
