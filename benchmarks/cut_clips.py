"""Forty short clips whose hard cuts are known: what a cut detector finds hard, made from the miniature's world.

Pictures are scenes of the world in its six styles, clouds of coloured noise and flat drawings. Each clip is encoded
with x264 and decoded again, so that nothing stands perfectly still. All is a function of the seed (and of the encoder).
"""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from pnpvideo.miniature.world import STYLES, Instant, Scene, random_scene, render
from pnpvideo.video.ffmpeg import executable
from pnpvideo.video.read import read

WIDTH, HEIGHT = 160, 112  # pixels of a single picture; a split screen is twice as wide or as high
FPS = 24
SAMPLES = Path(__file__).resolve().parents[1] / "samples"
Pictures = list[np.ndarray]  # each (height, width, 3) uint8 RGB
Made = tuple[Pictures, list[int]]  # frames, and the index of the first frame of each shot but the first


@dataclass(frozen=True, kw_only=True)
class MadeClip:
    """frames: (height, width, 3) uint8 RGB, as decoded; cuts: index of the first frame of each shot but the first."""

    kind: str
    frames: Pictures
    cuts: tuple[int, ...]


def made_clips(seed: int, kinds: Sequence[str] = ()) -> Iterator[MadeClip]:
    """The forty clips of ``seed``, or those of some ``kinds``, in the order of KINDS."""
    torch.set_num_threads(1)
    for number, (kind, (count, make)) in enumerate(KINDS.items()):
        for variant in range(count if not kinds or kind in kinds else 0):
            rng = np.random.default_rng((seed, number, variant))
            frames, cuts = make(rng, variant)
            yield MadeClip(kind=kind, frames=_encoded(frames, crf=int(rng.integers(18, 29))), cuts=tuple(cuts))


# Kinds. Each makes one clip; ``variant`` counts the clips of its kind.


def _plain(rng: np.random.Generator, variant: int) -> Made:
    if variant == 0:  # one place seen from four sides
        scene = random_scene(int(rng.integers(10**6)), things=2)
        style = str(rng.choice(list(STYLES)))
        views = [replace(scene.camera, azimuth=turn, distance=6.5 - turn / 2) for turn in (0.1, 1.4, 2.6, 0.8)]
        return _joined([_world(rng, style, replace(scene, camera=camera)) for camera in views])
    if variant == 1:  # another thing on the same ground under the same sky
        style, first = str(rng.choice(list(STYLES))), random_scene(int(rng.integers(10**6)))
        others = [random_scene(int(rng.integers(10**6))) for _ in range(4)]
        return _joined([_world(rng, style, replace(o, ground=first.ground, sky=first.sky)) for o in others])
    if variant == 2:
        return _samples(rng)
    return _joined(_film(rng, 0, 0, 0, 0))


def _pan(rng: np.random.Generator, variant: int) -> Made:
    speed = (14, 22, 30)[variant] * rng.uniform(0.9, 1.1)  # pixels a frame
    frames = [_view(wide, speed * k) for wide in [_panorama(rng)] for k in range(20)]
    return _joined([frames, *_film(rng, 0), frames[::-1]])


def _whip(rng: np.random.Generator, variant: int) -> Made:
    wide, speeds = _panorama(rng), (20, 60, 100, 100, 60, 20)[: 4 + variant]
    x, frames = 8.0, [_view(wide, 0.4 * k) for k in range(20)]
    for speed in speeds:
        start, x = x, x + speed
        exposed = [_view(wide, start + share * speed).astype(np.float32) for share in np.linspace(0, 0.5, 12)]
        frames.append(np.mean(exposed, axis=0).astype(np.uint8))
    frames += [_view(wide, x + 0.4 * k) for k in range(18)]
    return _joined([frames, *_film(rng, 0, 0)])


def _flash(rng: np.random.Generator, variant: int) -> Made:
    shots = _film(rng, 40, 40, 40)
    light = ([1.0], [0.85, 0.85], [0.9, 0.5, 0.2])[variant]
    for frames in shots:
        at = int(rng.integers(17, 22))
        for index, share in enumerate(light, at):
            frames[index] = (frames[index] * (1 - share) + 255 * share).astype(np.uint8)
    return _joined(shots)


def _dissolve(rng: np.random.Generator, variant: int) -> Made:
    length = (8, 12, 16)[variant]
    one, two, other = _film(rng, 18 + length, 18 + length, 0)
    mixed = [
        cv2.addWeighted(a, 1 - (k + 1) / (length + 1), b, (k + 1) / (length + 1), 0)
        for k, (a, b) in enumerate(zip(one[-length:], two[:length], strict=True))
    ]
    return _joined([one[:-length] + mixed + two[length:], other])


def _overlay(rng: np.random.Generator, variant: int) -> Made:
    frames, cuts = _joined(_film(rng, 54, 36))
    top, left, bottom, right = ((78, 8, 106, 152), (30, 20, 90, 140), (8, 96, 70, 154))[variant]
    panel = _letters(rng, right - left, bottom - top, lines=1 + (bottom - top) // 30)
    shown = range(18, 36) if variant != 2 else range(18, 72)  # the third stays over the cut
    for index in shown:
        box = frames[index][top:bottom, left:right]
        box[:] = cv2.addWeighted(box, 0.2, panel, 0.8, 0)
    return frames, cuts


def _held(rng: np.random.Generator, variant: int) -> Made:
    hold = 2 + variant
    shots = []
    for _ in range(3):
        drawn = _drawn(rng, 16 // hold + 4, speed=24 if variant else 12) if rng.random() < 0.6 else _world(rng)[::hold]
        shots.append([picture.copy() for picture in drawn for _ in range(hold)][:20])
    return _joined(shots)


def _dark(rng: np.random.Generator, variant: int) -> Made:
    level = (0.25, 0.16, 0.1)[variant]
    shots = [
        [_grained(rng, (picture * level).astype(np.uint8), 1.5) for picture in shot] for shot in _film(rng, 0, 0, 0)
    ]
    return _joined(shots)


def _beside(rng: np.random.Generator, variant: int) -> Made:
    frames, cuts = _samples(rng) if variant == 0 else _joined(_film(rng, 0, 0, 0, 0))
    still = _still(rng, variant)
    return [np.hstack((still, frame) if variant % 2 else (frame, still)) for frame in frames], cuts


def _above(rng: np.random.Generator, variant: int) -> Made:
    frames, cuts = _samples(rng) if variant == 1 else _joined(_film(rng, 0, 0, 0, 0))
    still = _still(rng, variant + 1)
    return [np.vstack((still, frame) if variant % 2 else (frame, still)) for frame in frames], cuts


def _letterbox(rng: np.random.Generator, variant: int) -> Made:
    frames, cuts = _joined(_film(rng, 0, 0, 0, 0))
    logo = _letters(rng, 40, 12, lines=1)
    boxed = []
    for frame in frames:
        bar = np.zeros((24 + 16 * variant, WIDTH, 3), np.uint8)
        marked = bar.copy()
        marked[4:16, 110:150] = logo
        boxed.append(np.vstack((bar, frame, marked)))
    return boxed, cuts


def _grain(rng: np.random.Generator, variant: int) -> Made:
    sigma = (10, 18, 28)[variant]
    return _joined([[_grained(rng, picture, sigma) for picture in shot] for shot in _film(rng, 0, 0, 0)])


def _fade(rng: np.random.Generator, variant: int) -> Made:
    length = 8 + 6 * variant
    [faded] = _film(rng, 2 * length + 36)
    levels = [1.0] * 18 + list(np.linspace(1, 0, length)) + list(np.linspace(0, 1, length)) + [1.0] * 18
    ground = 255 if variant else 0
    frames = [(p * level + ground * (1 - level)).astype(np.uint8) for p, level in zip(faded, levels, strict=True)]
    return _joined([frames, *_film(rng, 0, 0)])


def _ticker(rng: np.random.Generator, variant: int) -> Made:
    frames, cuts = _joined(_film(rng, 0, 0, 0))
    if variant:  # a chart beside the picture, too
        chart = _chart(rng)
        frames = [np.hstack((frame, chart)) for frame in frames]
    width = frames[0].shape[1]
    band = _letters(rng, width + 4 * len(frames), 24, lines=1)
    return [np.vstack((f, band[:, 3 * k : 3 * k + width])) for k, f in enumerate(frames)], cuts


KINDS: dict[str, tuple[int, Callable[[np.random.Generator, int], Made]]] = {
    "cuts": (4, _plain),
    "fast pan": (3, _pan),
    "whip": (3, _whip),
    "flash": (3, _flash),
    "dissolve": (3, _dissolve),
    "overlay": (3, _overlay),
    "held drawings": (3, _held),
    "dark": (3, _dark),
    "beside a still": (3, _beside),
    "above a still": (3, _above),
    "letterbox": (2, _letterbox),
    "grain": (3, _grain),
    "fade": (2, _fade),
    "ticker": (2, _ticker),
}


# Footage.


def _joined(shots: list[Pictures]) -> Made:
    return [frame for shot in shots for frame in shot], list(np.cumsum([len(shot) for shot in shots])[:-1].tolist())


def _film(rng: np.random.Generator, *counts: int) -> list[Pictures]:
    """Shots of so many frames, 0: 16 to 22. Half of the films keep one style throughout."""
    style = str(rng.choice(list(STYLES))) if rng.random() < 0.5 else None
    return [_shot(rng, count or int(rng.integers(16, 23)), style) for count in counts]


def _samples(rng: np.random.Generator) -> Made:
    """Five of the sample clips, in any order, one after the other."""
    names = rng.permutation(["ball", "cube", "orbit", "twos", "pan"])
    clips = [[frame.pixels for frame in read(SAMPLES / f"{name}.mp4").frames()][:20] for name in names]
    small = [[cv2.resize(p, (WIDTH, WIDTH), interpolation=cv2.INTER_AREA) for p in clip] for clip in clips]
    return _joined([[_cropped(picture) for picture in clip] for clip in small])


def _shot(rng: np.random.Generator, count: int, style: str | None = None) -> Pictures:
    kind = str(rng.choice(["world", "camera", "drawing"], p=[0.4, 0.4, 0.2]))
    if kind == "world" or (kind == "drawing" and style is not None):
        return _world(rng, style, count=count)
    if kind == "drawing":
        return _drawn(rng, count, speed=3)
    wide, start, speed = _panorama(rng, style), rng.uniform(200, 400), rng.uniform(-4, 4)
    shake = np.cumsum(rng.normal(0, 0.6, (count, 2)), axis=0)
    zoom = 1 + rng.uniform(-0.01, 0.01) * np.arange(count)
    return [_view(wide, start + speed * k + shake[k, 0], shake[k, 1], zoom[k]) for k in range(count)]


def _world(rng: np.random.Generator, style: str | None = None, scene: Scene | None = None, count: int = 18) -> Pictures:
    """A scene of the world that moves."""
    style = style or str(rng.choice(list(STYLES)))
    scene = scene or random_scene(int(rng.integers(10**6)))
    return [_cropped(_rendered(scene.at(time), style, WIDTH)) for time in np.linspace(0, count / 24, count).tolist()]


def _rendered(instant: Instant, style: str, size: int) -> np.ndarray:
    picture = render([instant], [style], size, supersample=1)[style][0]
    return (picture * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def _cropped(square: np.ndarray) -> np.ndarray:
    top = (square.shape[0] - HEIGHT) // 2
    return np.ascontiguousarray(square[top : top + HEIGHT])


def _panorama(rng: np.random.Generator, style: str | None = None) -> np.ndarray:
    """A picture of 1200 x 150: a scene, its mirror image, and again; or, in no style, coloured clouds."""
    if style is not None or rng.random() < 0.65:
        scene = random_scene(int(rng.integers(10**6)), things=int(rng.integers(1, 4)))
        square = _rendered(scene.at(0.5), style or str(rng.choice(list(STYLES))), 300)
        strip = square[60:210]
        return np.hstack((strip, strip[:, ::-1], strip, strip[:, ::-1]))
    return _clouds(rng, 1200, 150)


def _clouds(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    total = np.zeros((height, width, 3), np.float32)
    for cell, weight in ((75, 1.0), (30, 0.6), (10, 0.4), (5, 0.25)):
        coarse = rng.normal(0, weight, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    base, contrast = rng.uniform(60, 200, 3), rng.uniform(25, 70)
    return (base + contrast * total).clip(0, 255).astype(np.uint8)


def _view(wide: np.ndarray, x: float, y: float = 0.0, zoom: float = 1.0) -> np.ndarray:
    """WIDTH x HEIGHT pixels of a panorama from ``x`` on."""
    columns = (np.arange(WIDTH) - WIDTH / 2) / zoom + WIDTH / 2 + x
    rows = (np.arange(HEIGHT) - HEIGHT / 2) / zoom + wide.shape[0] / 2 + y
    map_x, map_y = np.meshgrid(columns, rows)
    interpolation, border = cv2.INTER_LINEAR, cv2.BORDER_REFLECT
    return cv2.remap(wide, map_x.astype(np.float32), map_y.astype(np.float32), interpolation, borderMode=border)


def _drawn(rng: np.random.Generator, count: int, speed: float) -> Pictures:
    """Flat shapes that move over two flat grounds, ``speed`` pixels a frame at most."""
    sky, ground, *colours = (tuple(int(c) for c in rng.integers(20, 236, 3)) for _ in range(6))
    horizon = int(rng.integers(40, 90))
    places, ways = rng.uniform((20, 30), (140, 100), (4, 2)), rng.uniform(-speed, speed, (4, 2)) * (1, 0.3)
    sizes, kinds = rng.integers(8, 30, 4), rng.integers(0, 2, 4)
    frames = []
    for k in range(count):
        picture = np.full((HEIGHT, WIDTH, 3), sky, np.uint8)
        picture[horizon:] = ground
        for (x, y), size, kind, colour in zip(places + k * ways, sizes, kinds, colours, strict=True):
            x = abs((x + WIDTH) % (2 * WIDTH) - WIDTH)  # turns back at the edges
            if kind:
                cv2.circle(picture, (int(x), int(y)), int(size), colour, -1, cv2.LINE_AA)
            else:
                corner = int(x - size), int(y - size)
                cv2.rectangle(picture, corner, (int(x + size), int(y + size)), colour, -1)
        frames.append(picture)
    return frames


def _still(rng: np.random.Generator, variant: int) -> np.ndarray:
    return _chart(rng) if variant % 3 == 0 else _film(rng, 1)[0][0]


def _chart(rng: np.random.Generator) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), rng.integers(200, 256, 3), np.uint8)
    for x in range(20, 140, 20):
        colour = tuple(int(c) for c in rng.integers(0, 200, 3))
        cv2.rectangle(picture, (x, 100), (x + 12, int(rng.integers(20, 90))), colour, -1)
    cv2.line(picture, (12, 100), (148, 100), (30, 30, 30), 1)
    return picture


def _letters(rng: np.random.Generator, width: int, height: int, lines: int) -> np.ndarray:
    picture = np.full((height, width, 3), rng.integers(0, 90, 3), np.uint8)
    for line in range(lines):
        text = "".join(chr(c) for c in rng.integers(65, 91, width // 6))
        place = 4, int(height * (line + 0.75) / lines)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (235, 235, 235), 1, cv2.LINE_AA)
    return picture


def _grained(rng: np.random.Generator, picture: np.ndarray, sigma: float) -> np.ndarray:
    return (picture + rng.normal(0, sigma, picture.shape)).clip(0, 255).astype(np.uint8)


def _encoded(frames: Pictures, crf: int) -> Pictures:
    """The frames after x264 at ``crf``."""
    height, width = frames[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mkv"
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(FPS), "-i", "pipe:0"]
        codec = ["-c:v", "libx264", "-threads", "1", "-crf", str(crf), "-pix_fmt", "yuv420p"]
        command = [executable(), "-v", "error", *raw, *codec, str(path)]
        subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), check=True)
        return [frame.pixels for frame in read(path).frames()]
