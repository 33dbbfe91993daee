"""The checks of ``pnpvideo doctor MODEL``: a model is loaded and asked once."""

import time
from collections import Counter
from collections.abc import Iterator

import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.branches import IDLE, Branch, decoder_branches
from pnpvideo.backends.load import load
from pnpvideo.errors import NotFiniteError, PnPVideoError
from pnpvideo.events import Report
from pnpvideo.injection import Role
from pnpvideo.settings.options import Options

from .checks import Check


def examine_model(options: Options, report: Report) -> Iterator[Check]:
    """Load the model of ``options`` with what changes it, and call its network once at its native size."""
    try:
        backend = load(options.model, options.runtime, report, options.customization)
    except PnPVideoError as error:
        yield Check(name="model", ok=False, found=str(error), fix="docs/checkpoints.md says what is read")
        return
    size, channels = backend.size, backend.latent_shape(backend.size, backend.size)[0]
    few = ", distilled to few steps" if backend.few_step else ""
    yield Check(
        name="model",
        ok=True,
        found=f"{size} x {size} pixels, {channels} latent channels, text of {backend.text.length} tokens by "
        f"{backend.text.width}, predicts {backend.prediction}{few}; weights {backend.fingerprint[:12]}",
    )
    yield Check(name="precision", ok=True, found=f"{str(backend.dtype).removeprefix('torch.')} on {backend.device}")
    counts = Counter(site.kind.value for site in backend.sites)
    yield Check(name="sites", ok=True, found=", ".join(f"{count} {kind}" for kind, count in counts.items()))
    holds = backend.footprint(size, size)
    yield Check(
        name="memory",
        ok=True,
        found=f"{_gib(holds.weights)} of weights, {_gib(holds.call)} for a call with one frame, {_gib(holds.picture)} "
        "to decode one",
    )
    call = _call(backend)
    yield call
    if call.ok and (branches := decoder_branches(backend)):
        yield Check(name="structure", ok=True, found=_structure(backend, branches))


def _call(backend: Backend) -> Check:
    x = torch.randn((1, *backend.latent_shape(backend.size, backend.size)), generator=torch.Generator().manual_seed(0))
    words = backend.embed("a photo").batch(1)
    started = time.monotonic()
    try:
        with backend.busy, torch.inference_mode():
            backend.predict(x, 500.0, words)
    except NotFiniteError as error:
        return Check(name="call", ok=False, found=str(error), fix="try --dtype float32")
    except PnPVideoError as error:
        return Check(name="call", ok=False, found=str(error), fix="try --dtype bfloat16, or another --device")
    seconds = time.monotonic() - started
    return Check(name="call", ok=True, found=f"{seconds:.2g} s for the first call with one frame of that size")


def _structure(backend: Backend, branches: tuple[Branch, ...]) -> str:
    """Which layers' features are injected for structure, and whether their branches contribute."""
    layers = {site.layer for site in backend.sites if Role.STRUCTURE_FEATURES in site.roles}
    chosen = [branch for branch in branches if branch.layer in layers]
    said = "; ".join(
        f"decoder layer {each.layer}: its branch is {each.share:.1%} of the stream, {each.from_picture:.0%} of it from "
        "the picture"
        for each in chosen
    )
    if max(branch.weight for branch in chosen) >= IDLE:
        return said
    active = [branch.layer for branch in branches if branch.weight >= IDLE][:3]
    return f'{said}; it is idle, the first that are not are {active}: name them as "structure_layers" in pnpvideo.json'


def _gib(count: int) -> str:
    return f"{count / 2**30:.2g} GiB"
