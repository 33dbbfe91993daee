"""Convert HDR and BT.2020 to SDR in BT.709, which the network and most outputs expect, by ffmpeg's filters."""

from pnpvideo.errors import InputError
from pnpvideo.video import ffmpeg
from pnpvideo.video.clip import Colour

HDR = {"smpte2084": "PQ", "arib-std-b67": "HLG"}
"""Transfer functions in ffmpeg's names, and what people call them."""
SDR_COLOUR = Colour(matrix="bt709", primaries="bt709", transfer="bt709", full_range=False)
WHITE_NITS = 100
"""Brightness of SDR's white in HDR's linear light, as in ffmpeg's own recipes."""

# zscale's names for ffmpeg's; None: the tag is missing, and BT.2020's is assumed.
_MATRICES = {"bt2020nc": "2020_ncl", "bt709": "709", "bt470bg": "470bg", "smpte170m": "170m", None: "2020_ncl"}
_PRIMARIES = {"bt709": "709", "smpte432": "smpte432", "smpte431": "smpte431", "bt2020": "2020", None: "2020"}
_TRANSFERS = {"bt2020-10": "2020_10", "bt2020-12": "2020_12", "bt709": "709", "iec61966-2-1": "iec61966-2-1"}


def describe(colour: Colour) -> str | None:
    """What people call these colours, "HDR (PQ)" or "BT.2020"; None for colours that are kept as they are."""
    if colour.transfer in HDR:
        return f"HDR ({HDR[colour.transfer]})"
    return "BT.2020" if colour.primaries == "bt2020" else None


def sdr_filters(name: str, colour: Colour) -> list[str]:
    """ffmpeg filters from these colours to 8-bit RGB in BT.709; none for colours that are kept as they are.

    name: of the file, for error messages. HDR goes through linear light, where Hable's curve (filter ``tonemap``)
    compresses what is brighter than white. BT.2020 in SDR is converted, and what lies outside of BT.709 is clipped.
    Raises InputError for tags that zscale cannot convert, and if this ffmpeg lacks the filters.
    """
    source = describe(colour)
    if source is None:
        return []
    matrix, primaries = _MATRICES.get(colour.matrix), _PRIMARIES.get(colour.primaries)
    transfer = colour.transfer if colour.transfer in HDR else _TRANSFERS.get(colour.transfer or "bt2020-10")
    if matrix is None or primaries is None or transfer is None:
        raise InputError(
            f"{name} is {source} with matrix {colour.matrix}, primaries {colour.primaries} and transfer "
            f"{colour.transfer}, which are not converted here; convert it to BT.709"
        )
    tags = f"min={matrix}:pin={primaries}:tin={transfer}:rin={'full' if colour.full_range else 'limited'}"
    filters = [
        f"zscale={tags}:t=linear:npl={WHITE_NITS}",
        "format=gbrpf32le",
        "zscale=p=709",
        *(["tonemap=hable:desat=0"] if colour.transfer in HDR else []),
        "zscale=t=709:m=gbr:r=full",
        "format=gbrp",
    ]
    missing = {"zscale", "tonemap"} - ffmpeg.filters()
    if missing:
        raise InputError(
            f"{name} is {source}, and this ffmpeg lacks {' and '.join(sorted(missing))}; unset IMAGEIO_FFMPEG_EXE, or "
            f"convert the file with an ffmpeg that has them: ffmpeg -i INPUT -vf {','.join(filters[:-2])},"
            "zscale=t=709:m=709:r=limited,format=yuv420p OUTPUT"
        )
    return filters
