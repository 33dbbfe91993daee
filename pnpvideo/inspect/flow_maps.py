"""Which keyframe token each token of a frame copies, beside optical flow (TokenFlow, arXiv 2307.10373, figure 4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.coherence.coherence import Coherence, Place
from pnpvideo.edits.token_flow import Correspondences, neighbours
from pnpvideo.engine.run import Run
from pnpvideo.errors import InputError, OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.injection import Kind, Site
from pnpvideo.inspect.correspondence import agreement, flow_wheel, own_places, wheel, with_grid
from pnpvideo.inspect.facts import run_facts, site_facts, site_label, tensor_name
from pnpvideo.inspect.record import Level, each_level, levels_near, source_pass
from pnpvideo.inspect.sheet import Cell, Row, draw_sheet
from pnpvideo.inspect.subjects import Subject, first_frames, network_in_use, new_run, subjects
from pnpvideo.inspect.view import View, grid_of
from pnpvideo.measure.motion import estimated_motion
from pnpvideo.settings.options import Options

USUAL_FRAMES = 9
"""A keyframe every eight frames: two keyframes and the seven frames between them."""
LEAST_FRAMES = 3


class FirstAndLast(Coherence):
    """The first and the last frame are the keyframes, at every step."""

    def keyframes(self, frames: int, place: Place, step: int, anchors: int = 0) -> tuple[int, ...]:
        return (0, frames - 1)


@dataclass(frozen=True, eq=False)
class FlowMap:
    """Correspondences of all frames at one site and noise level.

    sources: (frames, h, w, 2) int: the (row, column) of the token that each token copies, in the keyframe that weighs
    more. agree: share of the tokens whose source lies within one token (maximum norm) of where optical flow leads.
    moving: share of the tokens that, by the flow, move farther than one token. moving_agree: ``agree`` of these alone.
    All are of the frames between the keyframes, and of tokens whose flow is reliable; NaN where there are none.
    """

    site: Site
    level: Level
    sources: np.ndarray
    agree: float
    moving: float
    moving_agree: float


@dataclass(frozen=True, eq=False)
class FlowMaps:
    """keyframe: of each frame, which keyframe weighs more, 0: the first, 1: the last. motions: optical flow from each
    frame to that keyframe, (2, h, w) in pixels, and where it is reliable, (h, w) bool. index: see tensor_name ->
    (frames, 2, tokens): of each token of the frames between, its nearest token in the first and in the last keyframe.
    """

    run: Run
    subjects: list[Subject]
    keyframe: tuple[int, ...]
    motions: list[tuple[np.ndarray, np.ndarray]]
    maps: list[FlowMap]
    index: dict[str, Tensor]

    def sheet(self, height: int = 128) -> Image.Image:
        """Frames in columns; for each layer a row of colours, and a row with the keyframe's grid, warped."""
        (subject,) = self.subjects
        last = len(subject.frames) - 1
        names = {0: "keyframe", last: "keyframe"}
        columns = [f"{names.get(n, 'frame')} {number}" for n, number in enumerate(subject.frames)]
        rows = [
            Row(("frames",), [Cell([picture]) for picture in subject.pixels]),
            Row(("optical flow", "grey: not reliable"), [Cell([flow_wheel(*motion)]) for motion in self.motions]),
        ]
        for found in self.maps:
            grid = found.sources.shape[1:3]
            label = (*site_label(found.site, grid), found.level.title)
            colours = [wheel(sources, grid) for sources in found.sources]
            rows.append(Row(label, [Cell([one], beside=[subject.pixels[0]]) for one in colours]))
            agreement = f"of the {_percent(found.moving)} that move:", _percent(found.moving_agree)
            warped = zip(subject.pixels, found.sources, strict=True)
            cells = [Cell([with_grid(picture, sources)]) for picture, sources in warped]
            rows.append(Row((f"{_percent(found.agree)} agree", *agreement), cells))
        title = (
            "Token flow: which token of a keyframe each token copies",
            "The keyframes have the colour wheel and the straight grid; frames between show what they copy from the "
            "nearer one. Violet: torn.",
            "Agree: within one token of optical flow, where that is reliable.",
        )
        return draw_sheet(title, columns, rows, height)

    def facts(self) -> dict[str, Any]:
        maps = [
            {
                **site_facts(found.site, found.level),
                "agree_with_optical_flow": _known(found.agree),
                "moving": _known(found.moving),
                "moving_agree_with_optical_flow": _known(found.moving_agree),
            }
            for found in self.maps
        ]
        return {"shows": "flow", **run_facts(self.run, self.subjects), "keyframe": self.keyframe, "maps": maps}

    def tensors(self) -> dict[str, Tensor]:
        return self.index


def flow(
    inputs: Sequence[Path | str],
    options: Options | None = None,
    view: View | None = None,
    *,
    backend: Backend | None = None,
    report: Report = ignore,
) -> FlowMaps:
    """Find the correspondences that token flow copies tokens along, between two keyframes of one clip.

    The first ``view.pictures`` frames (default USUAL_FRAMES) of the first shot are taken; the first and the last of
    them are keyframes. In a translation keyframes change at every step; the search is the same. view: layers (default:
    the last of each resolution of the decoder) and timesteps (default: 260). backend: as in ``features``. Raises
    InputError for another number of inputs than one, or fewer than three frames, and other PnPVideoErrors.
    """
    options = options or Options()
    view = view or View(timesteps=(260.0,))
    if len(inputs) != 1:
        raise InputError(f"flow looks into one clip; {len(inputs)} inputs were given")
    count = view.pictures or USUAL_FRAMES
    if count < LEAST_FRAMES:
        raise OptionError(f"pictures is {count}; flow needs at least {LEAST_FRAMES}, two of them keyframes")
    run = new_run(options, backend, report)
    sites = view.select_only(run.backend.sites, Kind.SELF)
    with network_in_use(run.backend):
        found = subjects(run, inputs, first_frames(count, LEAST_FRAMES))
        subject, maps, index = found[0], [], dict[str, Tensor]()
        frames = len(subject.frames)
        keyframe = tuple(_nearer(subject, frame) for frame in range(frames))
        motions = [_motion(subject, frame, keyframe[frame]) for frame in range(frames)]
        for level in each_level(levels_near(run.schedule, view.timesteps), report):
            correspondences = Correspondences(sites, subject.window.times)
            source_pass(run, subject, level, [correspondences], FirstAndLast())
            for site in sites:
                nearest = correspondences.of(site, range(1, frames - 1), torch.device("cpu"))
                index[tensor_name(0, site, level)] = nearest
                sources = _sources(nearest, keyframe, grid_of(site, nearest.shape[2], subject.grid))
                maps.append(FlowMap(site, level, sources, *agreement(sources, motions)))
    if not view.sites and not view.layers:
        maps = _last_of_each_grid(maps)
    return FlowMaps(run, found, keyframe, motions, maps, index)


def _nearer(subject: Subject, frame: int) -> int:
    """0 if the first keyframe weighs more for this frame, as token flow blends them, or as much; 1: the last."""
    last = len(subject.frames) - 1
    if frame in (0, last):
        return int(frame == last)
    (_, weight), _ = neighbours(subject.window.times, (0, last), frame)
    return int(weight < 0.5)


def _motion(subject: Subject, frame: int, keyframe: int) -> tuple[np.ndarray, np.ndarray]:
    """Optical flow (2, h, w) in pixels from a frame to its keyframe, and where it is reliable, (h, w) bool."""
    pixels = subject.pixels
    motion = estimated_motion(pixels[frame], pixels[-keyframe])
    return motion.flow, motion.visible


def _sources(nearest: Tensor, keyframe: Sequence[int], grid: tuple[int, int]) -> np.ndarray:
    """(frames, h, w, 2): row and column of the copied token; a keyframe's tokens are their own."""
    own = own_places(*grid)
    between = []
    for index, which in zip(nearest, keyframe[1:-1], strict=True):
        token = index[which].reshape(grid).numpy()
        between.append(np.stack((token // grid[1], token % grid[1]), 2))
    sources: np.ndarray = np.stack([own, *between, own])
    return sources


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _last_of_each_grid(maps: Sequence[FlowMap]) -> list[FlowMap]:
    """Of the layers with equally many tokens, the last one."""
    last = {found.sources.shape[1:3]: found.site for found in maps}
    return [found for found in maps if found.site in last.values()]


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.0f}%"
