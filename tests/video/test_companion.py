"""Pictures that belong to a clip's frames; tests/video/test_masks.py has more, of masks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import OptionError
from pnpvideo.video.companion import Companion
from pnpvideo.video.read import read

Make = Callable[..., Path]
LOSSLESS = ("-c:v", "ffv1", "-pix_fmt", "gray")


def ramp(count: int) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"color=gray:s=16x16:r=10:d={count / 10},geq=lum=4*N")


def test_frames_that_no_header_states_are_counted_beforehand(make: Make) -> None:
    clip = read(make("clip.mkv", *ramp(6), *LOSSLESS))
    assert clip.info.frames is None
    long, short = (make(f"{count}.mkv", *ramp(count), *LOSSLESS) for count in (8, 5))
    for path, says in ((long, r"more frames.*\(8 frames, and 6"), (short, r"fewer frames.*\(5 frames, and 6")):
        with pytest.raises(OptionError, match=says):
            Companion(path, clip, None, "control", np.asarray, counted=True)
        Companion(path, clip, None, "control", np.asarray)  # these are counted as they are read
    fitting = Companion(make("6.mkv", *ramp(6), *LOSSLESS), clip, None, "control", np.asarray, counted=True)
    assert len(fitting.take(6)) == 6
    fitting.finish()


def test_it_is_named_as_what_it_is(make: Make, tmp_path: Path) -> None:
    clip = read(make("clip.mkv", *ramp(2), *LOSSLESS))
    Image.new("L", (40, 16)).save(tmp_path / "wide.png")
    with pytest.raises(OptionError, match=r"the control '.*' is 40 x 16.*give a control of the same aspect"):
        Companion(tmp_path / "wide.png", clip, None, "control", np.asarray)
