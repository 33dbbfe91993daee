"""Raw frames with their times, through one pipe: the few Matroska elements that ffmpeg needs to read them.

A clip's frame times survive a pipe only inside a container. Matroska (RFC 9559) counts in nanoseconds if asked to,
takes uncompressed RGB, and may be of unknown length. Rounding to nanoseconds is undone by ffmpeg, which rounds to
the encoder's own, much coarser time base.
"""

from fractions import Fraction

NANOSECONDS = 10**9


def header(width: int, height: int, channels: int) -> bytes:
    """The start of a stream of uint8 RGB (3 channels) or RGBA (4) frames."""
    head = _element(
        0x1A45DFA3,  # EBML
        _number(0x4286, 1) + _number(0x42F7, 1) + _number(0x42F2, 4) + _number(0x42F3, 8),  # versions, longest id, size
        _element(0x4282, b"matroska") + _number(0x4287, 4) + _number(0x4285, 2),  # DocType and its versions
    )
    about = _element(0x1549A966, _number(0x2AD7B1, 1), _element(0x4D80, b"pnpvideo"), _element(0x5741, b"pnpvideo"))
    fourcc = b"RGBA" if channels == 4 else b"RGB\x18"
    picture = _element(0xE0, _number(0xB0, width), _number(0xBA, height), _element(0x2EB524, fourcc))
    track = _element(
        0xAE,
        _number(0xD7, 1) + _number(0x73C5, 1) + _number(0x83, 1) + _number(0x9C, 0),  # number, UID, video, no lacing
        _element(0x86, b"V_UNCOMPRESSED"),
        picture,
    )
    segment_of_unknown_size = bytes.fromhex("18538067 01FFFFFFFFFFFFFF")
    return head + segment_of_unknown_size + about + _element(0x1654AE6B, track)


def block(pts_seconds: Fraction, duration_seconds: Fraction, raw_bytes: int) -> bytes:
    """What stands before the ``raw_bytes`` bytes of one frame: a cluster that holds nothing else."""
    time = _number(0xE7, round(pts_seconds * NANOSECONDS))
    duration = _number(0x9B, round(duration_seconds * NANOSECONDS))
    frame = _open(0xA1, 4 + raw_bytes) + b"\x81\0\0\0"  # track 1, at the cluster's time, no flags
    group = _open(0xA0, len(duration) + len(frame) + raw_bytes) + duration + frame
    return _open(0x1F43B675, len(time) + len(group) + raw_bytes) + time + group


def _open(identifier: int, size: int) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + (size | 1 << 56).to_bytes(8, "big")


def _element(identifier: int, *content: bytes) -> bytes:
    data = b"".join(content)
    return _open(identifier, len(data)) + data


def _number(identifier: int, value: int) -> bytes:
    return _element(identifier, value.to_bytes(8, "big"))
