"""A compiled network answers as before, and edits come and go in it as ever."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnpvideo.backends.compiled import compile_blocks
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.edits.structure import FeatureInjection
from pnpvideo.injection import Kind, Lanes, Moment, Until, injected, select

NOW = Moment(0, 1, 501)


def answers(backend: StableDiffusion) -> list[Tensor]:
    """Plain, for an edited lane beside its source, and plain again; of four rows, then of two."""
    edits = [FeatureInjection(select(backend.sites, Kind.RESIDUAL, "decoder", [4]), Until(1.0))]
    found = []
    for frames in (4, 2):
        draw = torch.Generator().manual_seed(frames)
        x, other = (torch.randn((frames, 4, 8, 8), generator=draw) for _ in range(2))
        words, rows = backend.embed("a hen").batch(frames), tuple(range(frames))
        with torch.no_grad():
            found.append(backend.predict(x, 501, words))
            with injected(backend.network, edits) as session:
                with session.during(NOW, Lanes(("source",), rows)):
                    backend.predict(other, 501, words)
                with session.during(NOW, Lanes(("positive",), rows)):
                    found.append(backend.predict(x, 501, words))
            found.append(backend.predict(x, 501, words))
    return found


@pytest.mark.parametrize("compiler", [pytest.param("eager"), pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("ignore")  # of the compiler, about itself
def test_compiled_is_the_same_and_edits_come_and_go(
    compiler: str, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", torch._dynamo.config.recompile_limit)
    backend = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)
    expected = answers(backend)
    compile_blocks(backend.network, compiler)
    found = answers(backend)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    assert torch.equal(found[0], found[2]) and not torch.allclose(found[0], found[1], atol=1e-3)
