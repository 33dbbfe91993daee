"""Methods on Stable Diffusion 3: FlowEdit as its paper has it, inversion and back, and whole translations."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.coherence.coherence import Place
from pnpvideo.coherence.independent import Independent
from pnpvideo.coherence.registry import COHERENCES
from pnpvideo.diffusion.invert import invert
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, DPMSolver2M, Solver, State
from pnpvideo.engine.inversion import source_trajectory
from pnpvideo.engine.run import Run, Window
from pnpvideo.engine.sampling import sample_window
from pnpvideo.errors import NoMatchingSite
from pnpvideo.events import ignore
from pnpvideo.methods.flow_edit import FlowEdit
from pnpvideo.methods.registry import METHODS
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options, Sampling
from pnpvideo.store import Store
from pnpvideo.words.script import Script
from tests.solver_table import joint, off

SHAPE, SEED, SHOT = (16, 4, 4), 7, 2


def test_flow_edit_is_algorithm_1_of_its_paper(joint_backend: StableDiffusion3, tmp_path: Path) -> None:
    steps, start, scale = 6, 4, 3.0
    sampling = Sampling(steps=steps, guidance=scale, seed=SEED)
    options = Options(method=FlowEdit(strength=0.7), coherence=Independent(), sampling=sampling)
    run = Run.of(joint_backend, options, Store(tmp_path), ignore)
    words = {"source": joint_backend.embed("a hen"), "positive": joint_backend.embed("a fox")}
    words["empty"] = joint_backend.embed("")
    window = Window(
        place=Place(SEED, SHOT),
        pixels=np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8),
        times=(0.0, 1.0),
        script=Script("a hen", "a fox", "", words),
        guidance=run.guidance(False),
        noise=shot_noise(SHAPE, SEED, SHOT),
    )
    trajectory, key = source_trajectory(run, window, None, "key")
    found, _ = sample_window(run, window, trajectory, [], None, key)

    x, schedule = joint_backend.encode(window.pixels), joint_backend.schedule(steps)

    def velocity(z: Tensor, level: int, lane: str) -> Tensor:
        return joint_backend.predict(z, schedule.timestep(level), words[lane].batch(2))

    edit = x
    for level in range(start, 0, -1):
        t, after = schedule.noises[level], schedule.noises[level - 1]
        z = (1 - t) * x + t * shot_noise(SHAPE, SEED, SHOT, stream=level + 2)
        empty = velocity(edit + z - x, level, "empty")
        target = empty + scale * (velocity(edit + z - x, level, "positive") - empty)
        edit = edit + (after - t) * (target - velocity(z, level, "source"))
    assert torch.allclose(found, edit, atol=1e-4) and float((found - x).abs().max()) > 0.1


@pytest.mark.parametrize(("solver", "rounds"), [(DDIM(), 5), (DPMSolver2M(), 0)])
def test_an_inversion_returns(solver: Solver, rounds: int, joint_backend: StableDiffusion3) -> None:
    schedule, text = joint_backend.schedule(12), joint_backend.embed("a hen").batch()
    x0 = joint_backend.encode(np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3), np.uint8))

    def predict(x: Tensor, level: float) -> Tensor:
        return joint_backend.predict(x, schedule.timestep(level), text)

    noise = list(invert(predict, State(x0, 0), schedule, solver, rounds))[-1]
    back = list(sample(lambda x, level: (x, predict(x, level)), State(noise.x, 12), schedule, solver))[-1]
    assert float((noise.x - x0).abs().max()) > 0.3
    assert float((back.x - x0).abs().max()) < 0.05 * float((noise.x - x0).abs().max())


def test_an_inversion_by_rf_solver_returns_nearer_than_by_ddim(joint_backend: StableDiffusion3) -> None:
    """With as many steps, and with as many network calls."""
    flow = joint(joint_backend)
    found = {
        (name, steps): off(flow.returned(name, flow.inverted(name, steps)), flow.clean)
        for name, steps in (("rf", 8), ("ddim", 8), ("ddim", 12))
    }
    assert found["rf", 8] < 0.3 * min(found["ddim", 8], found["ddim", 12])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("coherence", COHERENCES)
def test_what_runs(method: str, coherence: str, joint_backend: StableDiffusion3, tmp_path: Path) -> None:
    """All but pix2pix-zero, which steers cross-attention."""
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 48, 3), np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number}.png")
    options = Options.from_flat(
        {
            "method": method,
            "coherence": coherence,
            "steps": 2,
            "size": 32,
            "source_prompt": "a hen",
            "store": tmp_path / "store",
        }
    )
    arguments = (tmp_path / "in", "a fox", tmp_path / "out.mp4", options)
    if method == "pix2pix-zero":
        with pytest.raises(NoMatchingSite, match="use --method pnp, sdedit or flowedit"):
            translate(*arguments, backend=joint_backend)
        assert not (tmp_path / "out.mp4").exists()
    else:
        translate(*arguments, backend=joint_backend)
        assert (tmp_path / "out.mp4").stat().st_size > 0
