"""Filters that make SDR of HDR and BT.2020."""

from collections.abc import Callable

import pytest

from pnpvideo.errors import InputError
from pnpvideo.video import ffmpeg, tone_mapping
from pnpvideo.video.clip import Colour


@pytest.mark.parametrize(
    ("colour", "text"),
    [
        (Colour(transfer="smpte2084"), "HDR (PQ)"),
        (Colour(transfer="arib-std-b67", primaries="bt2020"), "HDR (HLG)"),
        (Colour(primaries="bt2020", transfer="bt709"), "BT.2020"),
        (Colour(primaries="bt709", transfer="bt709"), None),
        (Colour(), None),
    ],
)
def test_colours_are_called_by_their_names(colour: Colour, text: str | None) -> None:
    assert tone_mapping.describe(colour) == text
    assert bool(tone_mapping.sdr_filters("a.mp4", colour)) == (text is not None)


def test_hdr_is_tone_mapped_and_bt2020_only_converted() -> None:
    hdr = tone_mapping.sdr_filters("a", Colour(matrix="bt2020nc", primaries="bt2020", transfer="smpte2084"))
    assert hdr[0] == "zscale=min=2020_ncl:pin=2020:tin=smpte2084:rin=limited:t=linear:npl=100"
    assert "tonemap=hable:desat=0" in hdr
    sdr = tone_mapping.sdr_filters("a", Colour(primaries="bt2020", transfer="bt2020-10", full_range=True))
    assert "tin=2020_10:rin=full" in sdr[0] and not any("tonemap" in part for part in sdr)


def test_tags_that_are_not_converted_are_named() -> None:
    with pytest.raises(InputError, match=r"a\.mp4 is HDR \(PQ\) with matrix ictcp, primaries bt2020"):
        tone_mapping.sdr_filters("a.mp4", Colour(matrix="ictcp", primaries="bt2020", transfer="smpte2084"))


def test_without_the_filters_the_message_converts(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking: Callable[[], frozenset[str]] = lambda: frozenset({"scale"})  # noqa: E731
    monkeypatch.setattr(ffmpeg, "filters", lacking)
    with pytest.raises(InputError, match=r"lacks tonemap and zscale; .*ffmpeg -i INPUT -vf zscale=.*OUTPUT"):
        tone_mapping.sdr_filters("a.mp4", Colour(transfer="arib-std-b67"))
