"""The checks of ``pnpvideo doctor MODEL``: a model is loaded and asked once."""

import time
from collections import Counter
from collections.abc import Iterator

import torch

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.influence import IDLE, influences
from pnpvideo.backends.load import load
from pnpvideo.errors import NotFiniteError, PnPVideoError
from pnpvideo.events import Report
from pnpvideo.injection import Kind, Role, select, with_role
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
    if call.ok:
        yield _structure(backend)


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


def _structure(backend: Backend) -> Check:
    """Whether the features that are injected for structure have an influence on what the network predicts."""
    chosen = with_role(backend.sites, Role.STRUCTURE_FEATURES)
    found = influences(backend, chosen)
    layers = ", ".join(f"{site.part} layer {site.layer}: {found[site]:.0%}" for site in chosen)
    said = f"features that two pictures exchange change the prediction by {layers} of the pictures' difference"
    if max(found.values()) < IDLE:
        others = [site for site in select(backend.sites, Kind.RESIDUAL, chosen[0].part) if site not in found]
        active = [site.layer for site, influence in influences(backend, others).items() if influence >= IDLE]
        said += f'; idle. Not idle: {active}; name some as "structure_layers" in pnpvideo.json'
    return Check(name="structure", ok=True, found=said)


def _gib(count: int) -> str:
    return f"{count / 2**30:.2g} GiB"
