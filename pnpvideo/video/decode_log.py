"""What ffmpeg says while it decodes, read line by line: damage, jumps, a change of size, and its count at the end."""

import re
import threading

LEVEL = "repeat+level+verbose"  # for -v: every line with its level, the counts at the end, no line drawn together
_LINE = re.compile(
    r"^((?:\[[^\]]* @ (?:0x)?[0-9a-fA-F]+\] )*)\[(panic|fatal|error|warning|info|verbose|debug|trace)\] (.*)"
)
_COUNTS = re.compile(r" *Input stream #0:(\d+) \(video\): \d+ packets read \(\d+ bytes\); (\d+) frames decoded")
_REBUILT = re.compile(r"Reconfiguring filter graph because video parameters changed to .*, (\d+x\d+)\b")


def guard(width: int, height: int) -> str:
    """The filter that stands first: it passes pictures of this size on, and fails at any other one."""
    return f"crop=w='if(eq(iw,{width}),iw,-1)':h='if(eq(ih,{height}),ih,-1)':x=0:y=0:exact=1"


class DecodeLog:
    """Listens to the decoding of one track; ``hear`` is to be given every line, by another thread than the reader's.

    watched: errors count from where decoding begins, and the first of them makes the file ``damaged``.
    """

    def __init__(self, track: int, *, watched: bool) -> None:
        self._track, self._watched = track, watched
        self._damaged = threading.Event()
        self._mapped = False
        self.rebuilt_for: str | None = None  # size of the picture for which ffmpeg built its filters anew, "64x48"
        self.size_changed = False
        self.counter_jumps = 0  # of packets of MPEG-TS
        self.time_jumps = 0
        self.decoded: int | None = None

    def hear(self, line: str) -> str | None:
        """The line without its level where it is an error, or is none of ffmpeg's own; None otherwise."""
        match = _LINE.match(line)
        if match is None:
            return line
        origin, level, text = match.groups()
        if level in ("panic", "fatal", "error"):
            return self._error(origin, text)
        if level == "warning":
            self.counter_jumps += text.startswith("corrupt input packet")
            self.time_jumps += text.startswith("timestamp discontinuity")
        elif text.startswith("Stream mapping"):
            self._mapped = True
        elif rebuilt := _REBUILT.match(text):
            self.rebuilt_for = rebuilt[1]
        elif (counts := _COUNTS.match(text)) and int(counts[1]) == self._track:
            self.decoded = int(counts[2])
        return None

    def _error(self, origin: str, text: str) -> str | None:
        if origin.startswith("[Parsed_crop_0 ") and text.startswith("Invalid too big or non positive size"):
            self.size_changed = True
        if self._watched and not self._mapped:
            return None  # said of what it looked at beforehand
        if self._watched and not self.size_changed:
            self._damaged.set()
        return origin + text

    def damaged(self) -> bool:
        """Whether an error was heard that ends the reading, though ffmpeg may go on."""
        return self._damaged.is_set()
