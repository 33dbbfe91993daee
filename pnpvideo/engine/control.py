"""ControlNets in the engine: loaded for a run, with a condition for each drawing of a window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.controlnet import ControlNetwork
from pnpvideo.backends.footprint import Footprint
from pnpvideo.edits.control import ControlResiduals, acts
from pnpvideo.errors import OptionError
from pnpvideo.events import Report
from pnpvideo.injection import Edit
from pnpvideo.settings.control import Control, Stated
from pnpvideo.video.clip import Clip
from pnpvideo.video.conditions import MAKERS
from pnpvideo.video.conditions import Conditions as ConditionFiles
from pnpvideo.video.span import Span

Conditions = tuple[np.ndarray, ...]
"""Of each control, those of all drawings: (f, h, w, 3) uint8 at the working size."""
EFFORT = 0.5
"""Time of a ControlNet, as a multiple of an evaluation of the network that it steers: measured 0.53 at a quarter of
Stable Diffusion 1.5's width and 256 pixels."""


@dataclass(frozen=True, eq=False)
class LoadedControl:
    """A ControlNet and how it is used."""

    stated: Stated
    network: ControlNetwork

    @property
    def key(self) -> tuple[object, ...]:
        """What decides its effect, besides the conditions."""
        return self.network.fingerprint, self.stated.scale, self.stated.span


def load_controls(backend: Backend, options: Control) -> tuple[LoadedControl, ...]:
    """The controls that act, in their order. Raises ModelError for a ControlNet that does not fit the model."""
    stated = list(options.stated())
    networks = backend.controlnets([each.model for each in stated])
    return tuple(LoadedControl(one, network) for one, network in zip(stated, networks, strict=True))


def brought_conditions(
    options: Control, clip: Clip, span: Span | None, size: tuple[int, int], report: Report
) -> ConditionFiles | None:
    """The conditions that come from files; None where none does. Raises as Conditions does."""
    paths = options.brought()
    return ConditionFiles(paths, clip, span, size, report) if paths else None


def conditions_of(
    controls: Sequence[LoadedControl], pixels: np.ndarray, brought: Sequence[Sequence[np.ndarray]] | None = None
) -> Conditions:
    """The conditions of drawings (f, h, w, 3) uint8 at the working size.

    brought: for each drawing the pictures of the controls that come from files, in order; None: there are no files.
    """
    found, number = [], 0
    for control in controls:
        if control.stated.made:
            found.append(np.stack([MAKERS[control.stated.condition](picture) for picture in pixels]))
            continue
        if brought is None:
            raise OptionError(
                f"the control {control.stated.condition!r} belongs to the frames of one clip, which are not translated "
                "here; use one that is made from the input, such as canny"
            )
        found.append(np.stack([each[number] for each in brought]))
        number += 1
    return tuple(found)


def control_edits(controls: Sequence[LoadedControl], conditions: Conditions) -> list[Edit]:
    """The edits that steer a window. conditions: of all of its frames, anchors first."""
    return [
        ControlResiduals(control.network, torch.from_numpy(pictures), control.stated.scale, control.stated.span)
        for control, pictures in zip(controls, conditions, strict=True)
    ]


def effort(controls: Sequence[LoadedControl], step: int, steps: int) -> float:
    """Time that the controls add to an evaluation at ``step``, as a multiple of it."""
    return EFFORT * sum(acts(control.stated.span, step, steps) for control in controls)


def steered_footprint(backend: Backend, controls: Sequence[LoadedControl], size: tuple[int, int]) -> Footprint:
    """The model's footprint with its ControlNets. size: of the pictures, (width, height)."""
    held = backend.footprint(*size)
    context = backend.text.length, backend.text.width
    each = [control.network.footprint(size, backend.latent_shape(*size), context) for control in controls]
    if not each:
        return held
    residuals = max(one.residuals for one in each)  # one sum of them lives while the network runs
    while_summed = max(one.call for one in each) + (residuals if len(each) > 1 else 0)
    return held._replace(
        weights=held.weights + sum(one.weights for one in each), call=max(held.call + residuals, while_summed)
    )
