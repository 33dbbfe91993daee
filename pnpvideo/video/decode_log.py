"""Read ffmpeg's log line by line while it decodes: damage, jumps, changes of size, and the final count of frames."""

import re
import threading

LEVEL = "repeat+level+verbose"
"""For ffmpeg's -v: every line with its level, the counts at the end, and no repeated lines folded into one."""
_LINE = re.compile(
    r"^((?:\[[^\]]* @ (?:0x)?[0-9a-fA-F]+\] )*)\[(panic|fatal|error|warning|info|verbose|debug|trace)\] (.*)"
)
_COUNTS = re.compile(r" *Input stream #0:(\d+) \(video\): \d+ packets read \(\d+ bytes\); (\d+) frames decoded")
_REBUILT = re.compile(r"Reconfiguring filter graph because video parameters changed to .*, (\d+x\d+)\b")


def size_guard_filter(width: int, height: int) -> str:
    """An ffmpeg filter, to be the first one, that passes pictures of this size and fails at any other size."""
    return f"crop=w='if(eq(iw,{width}),iw,-1)':h='if(eq(ih,{height}),ih,-1)':x=0:y=0:exact=1"


class DecodeLog:
    """What ffmpeg's log says about the decoding of one track.

    ``filter_line`` takes every line; it runs in the thread that reads ffmpeg's standard error.
    watched: the first error after decoding has begun makes the file damaged.
    """

    def __init__(self, track: int, *, watched: bool) -> None:
        self._track, self._watched = track, watched
        self._damage = threading.Event()
        self._decoding_began = False
        self.rebuilt_for: str | None = None
        """Picture size, such as "64x48", for which ffmpeg built its filters again."""
        self.size_changed = False
        self.counter_jumps = 0
        """Jumps of the packet counter of an MPEG-TS."""
        self.time_jumps = 0
        self.decoded: int | None = None
        """Number of frames that ffmpeg counted; None until it ends."""

    def filter_line(self, line: str) -> str | None:
        """Note what a line says. Returns its text if it is an error, or not one of ffmpeg's own lines; else None."""
        match = _LINE.match(line)
        if match is None:
            return line
        origin, level, text = match.groups()
        if level in ("panic", "fatal", "error"):
            return self._note_error(origin, text)
        if level == "warning":
            self.counter_jumps += text.startswith("corrupt input packet")
            self.time_jumps += text.startswith("timestamp discontinuity")
        elif text.startswith("Stream mapping"):
            self._decoding_began = True
        elif rebuilt := _REBUILT.match(text):
            self.rebuilt_for = rebuilt[1]
        elif (counts := _COUNTS.match(text)) and int(counts[1]) == self._track:
            self.decoded = int(counts[2])
        return None

    def _note_error(self, origin: str, text: str) -> str | None:
        if origin.startswith("[Parsed_crop_0 ") and text.startswith("Invalid too big or non positive size"):
            self.size_changed = True
        if self._watched and not self._decoding_began:
            return None  # about what ffmpeg looked at before decoding
        if self._watched and not self.size_changed:
            self._damage.set()
        return origin + text

    def is_damaged(self) -> bool:
        """Whether an error was logged that ends the reading, although ffmpeg may go on."""
        return self._damage.is_set()
