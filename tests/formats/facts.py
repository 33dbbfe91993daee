"""What reading and writing keep, found out by comparing frames with the pictures that the samples were made of."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from pnpvideo.video.clip import Clip, ClipInfo, Frame
from pnpvideo.video.formats import FORMATS
from pnpvideo.video.read import read
from pnpvideo.video.write import Writer

from .samples import EVEN, HEIGHT, OPAQUE, TIMES, WIDTH, Picture, Video, pictures

CLOSE = 4.0
"""Mean absolute difference, of 255, up to which colours and alpha are close: what a lossy codec makes of them."""
ODD = (Fraction(0), Fraction(1, 24), Fraction(1, 7))
"""Times in seconds that are on no container's clock."""


@dataclass(frozen=True)
class Facts:
    """What reading kept, each in a word; "" where the sample has none of it."""

    times: str = ""
    alpha: str = ""
    colour: str = ""
    sound: str = ""
    subtitles: str = ""
    loop: str = ""


@dataclass(frozen=True)
class Written:
    """What writing kept, likewise. copied, transcoded: codecs of sound tracks, in the result."""

    times: str
    alpha: str
    colour: str
    copied: str
    transcoded: str
    subtitles: str
    loop: str


def of_video(video: Video, path: Path) -> Facts:
    clip = read(path)
    frames, info, times = list(clip.frames()), clip.info, EVEN if video.even else TIMES
    transparent = any(mark in video.codec for mark in ("yuva", "argb", "bgra"))
    return Facts(
        times=_times(frames, times) + (", one rate" if video.even else ""),
        alpha=_alpha(frames, transparent, info),
        colour=_colour(frames, [_grey(picture) if "gray" in video.codec else picture for picture in pictures()]),
        sound=", ".join(track.codec for track in info.audio),
        subtitles=_subtitles(info, bool(video.subtitles)),
    )


def of_picture(picture: Picture, path: Path) -> Facts:
    clip = read(path)
    frames, info = list(clip.frames()), clip.info
    assert len(frames) == (len(TIMES) if picture.animated else 1)
    wanted = [picture.shown(each) for each in pictures()[: len(frames)]]
    return Facts(
        times=_times(frames, TIMES) if picture.animated else "",
        alpha=_alpha(frames, picture.mode == "RGBA", info),
        colour=_colour(frames, wanted),
        loop="" if not picture.animated else "kept" if info.loop == picture.plays else "lost",
    )


def of_output(suffix: str, sounding: Path, folder: Path) -> Written:
    """sounding: a clip with subtitles and a sound track of each codec."""
    form = FORMATS[suffix]
    bare = ClipInfo(path=None, kind="animation", width=WIDTH, height=HEIGHT, loop=3)
    opaque = _written(bare, False, folder / f"opaque{suffix}")
    shown = list(opaque.frames())
    clear = _written(bare, True, folder / f"clear{suffix}")
    frames = list(clear.frames())
    copied, transcoded, subtitles = [], [], ""
    if not form.single:
        source = read(sounding).info
        result = _written(source, False, folder / f"sounding{suffix}").info
        before, after = ([track.codec for track in info.audio] for info in (source, result))
        assert len(after) in (0, len(before))
        copied = [codec for codec, found in zip(before, after, strict=False) if codec == found]
        transcoded = [found for codec, found in zip(before, after, strict=False) if codec != found]
        subtitles = _subtitles(result, True)
    return Written(
        times="" if form.single else _times(shown, ODD),
        alpha=_alpha(frames, True, clear.info) if clear.info.alpha else _over_white(frames),
        colour=_colour(shown, pictures()[: len(shown)]),
        copied=", ".join(copied),
        transcoded=", ".join(sorted(set(transcoded))),
        subtitles=subtitles,
        loop="" if opaque.info.loop is None else "kept" if opaque.info.loop == 3 else "lost",
    )


def _written(info: ClipInfo, alpha: bool, path: Path) -> Clip:
    """Our pictures at ODD times, written to ``path`` as a translation of the clip ``info``, and read back."""
    count = 1 if FORMATS[path.suffix].single else len(ODD)
    info = replace(info, alpha=alpha, frames=count, fps=None, variable_rate=True, time_base=None)
    with Writer(path, info) as writer:
        for picture, at in list(zip(pictures(), ODD, strict=True))[:count]:
            writer.append(np.ascontiguousarray(picture if alpha else picture[..., :3]), at)
    return read(path)


def _times(frames: list[Frame], wanted: tuple[Fraction, ...]) -> str:
    error = max(abs(frame.pts_seconds - at) for frame, at in zip(frames, wanted, strict=True))
    if error <= Fraction(1, 1000):
        return "to 1 ms" if error else "exact"
    return "to 10 ms" if error <= Fraction(1, 100) else "wrong"


def _alpha(frames: list[Frame], has: bool, info: ClipInfo) -> str:
    """What became of the transparency of ``pictures()``, where the sample ``has`` it."""
    if not has or not info.alpha:
        assert has or not info.alpha
        return "lost" if has else ""
    found = np.stack([frame.pixels[..., 3] for frame in frames]).astype(int)
    wanted = np.stack(pictures())[: len(frames), ..., 3]
    error = np.abs(found - wanted).mean()
    if error < CLOSE:
        return "kept" if error == 0 else "close"
    return "on or off" if np.array_equal(found, np.where(wanted < 128, 0, 255)) else "wrong"


def _over_white(frames: list[Frame]) -> str:
    made = np.stack(pictures())[: len(frames)].astype(float)
    share = made[..., 3:] / 255
    error = np.abs(np.stack([frame.pixels[..., :3] for frame in frames]) - (made[..., :3] * share + 255 * (1 - share)))
    return "over white" if error.mean() < 2 * CLOSE else "wrong"  # the edges of transparency are not smooth


def _colour(frames: list[Frame], wanted: list[np.ndarray]) -> str:
    """wanted: (h, w, 3 or 4); compared where it is opaque."""
    found = np.stack([frame.pixels[:, OPAQUE + 2 :, :3] for frame in frames]).astype(int)
    error = np.abs(found - np.stack([picture[:, OPAQUE + 2 :, :3] for picture in wanted])).mean()
    return "exact" if error == 0 else "close" if error < CLOSE else "wrong"


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(picture[..., :3]).convert("L").convert("RGB"))


def _subtitles(info: ClipInfo, has: bool) -> str:
    found = ", ".join(track.codec for track in getattr(info, "subtitles", ()))
    return found or ("lost" if has else "")
