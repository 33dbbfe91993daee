"""Peak memory of a section of a program."""

import sys

import pytest
import torch

from pnpvideo.measure.peak import PeakMemory

MIB = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_that_was_freed_again_counts_and_earlier_memory_does_not() -> None:
    before = torch.ones(64 * MIB, dtype=torch.uint8)
    peak = PeakMemory(torch.device("cpu"))
    small = peak.bytes()
    section = torch.ones(96 * MIB, dtype=torch.uint8)
    del section
    assert small < 32 * MIB < 80 * MIB < peak.bytes() < 160 * MIB
    assert len(before) == 64 * MIB


def test_the_peak_is_unknown_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert PeakMemory(torch.device("cpu")).bytes() != PeakMemory(torch.device("cpu")).bytes()
