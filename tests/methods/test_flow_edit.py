"""FlowEdit against its paper's algorithm, written plainly, and against the analytic answer of a Gaussian world."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pnpvideo.backends.fake import FakeBackend
from pnpvideo.coherence.coherence import Place
from pnpvideo.coherence.independent import Independent
from pnpvideo.diffusion.noise import shot_noise
from pnpvideo.diffusion.prediction import Prediction
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.engine.inversion import source_trajectory
from pnpvideo.engine.run import Run, Window
from pnpvideo.engine.sampling import sample_window
from pnpvideo.errors import OptionError
from pnpvideo.events import ignore
from pnpvideo.methods.flow_edit import FlowEdit
from pnpvideo.settings.options import Options, Sampling
from pnpvideo.store import Store
from pnpvideo.words.script import Script

MEANS = {"dusk": (-0.3, -0.2, 0.1), "noon": (0.2, 0.3, 0.0), "": (0.05, -0.1, 0.0)}
SHAPE = (3, 8, 8)
SEED, SHOT = 7, 2


class NotQuiteClean(FakeBackend):
    """Its schedule keeps a little noise at level 0, as Stable Diffusion's own does."""

    def schedule(self, steps: int, spacing: str = "checkpoint") -> Schedule:
        found = super().schedule(steps, spacing)
        return replace(found, signals=(0.9991**0.5, *found.signals[1:]), noises=(0.0009**0.5, *found.noises[1:]))


def edited(
    backend: FakeBackend, method: FlowEdit, steps: int, folder: Path, guidance: float, frames: int = 2
) -> tuple[Tensor, Tensor]:
    """The clean source and its edit, (f, 3, 8, 8)."""
    sampling = Sampling(steps=steps, guidance=guidance, seed=SEED)
    options = Options(method=method, coherence=Independent(), sampling=sampling)
    run = Run.of(backend, options, Store(folder), ignore)
    words = {"source": backend.embed("dusk"), "positive": backend.embed("noon"), "empty": backend.embed("")}
    pixels = torch.randint(0, 256, (frames, 8, 8, 3), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    window = Window(
        place=Place(SEED, SHOT),
        pixels=pixels.numpy(),
        times=tuple(float(n) for n in range(frames)),
        script=Script("dusk", "noon", "", words),
        guidance=run.guidance(False),
        noise=shot_noise(SHAPE, SEED, SHOT),
    )
    trajectory, key = source_trajectory(run, window, None, "key")
    latents, _ = sample_window(run, window, trajectory, [], None, key)
    return trajectory.at(0), latents


def reference(
    backend: FakeBackend, x0: Tensor, steps: int, start: int, guidance: float, source_guidance: float
) -> Tensor:
    """Algorithm 1 with n_avg = 1 and n_min = 0, in the paper's variables: t = noise / (signal + noise), at last 0."""
    schedule = backend.schedule(steps)
    times = [n / (s + n) for s, n in zip(schedule.signals, schedule.noises, strict=True)]
    times[0] = 0.0
    total = [s + n for s, n in zip(schedule.signals, schedule.noises, strict=True)]

    def velocity(z: Tensor, level: int, text: str, scale: float) -> Tensor:
        """V of guided outputs: eps - x0 of the network at x = (signal + noise) z."""
        x = total[level] * z
        outputs = [
            backend.predict(x, schedule.timestep(level), backend.embed(each).batch(len(x))) for each in ("", text)
        ]
        found = schedule.estimate(x, outputs[0] + scale * (outputs[1] - outputs[0]), level)
        return found.eps - found.x0

    z_edit = x0
    for level in range(start, 0, -1):
        noise = shot_noise(SHAPE, SEED, SHOT, stream=level + 2)
        z_source = (1 - times[level]) * x0 + times[level] * noise
        difference = velocity(z_edit + z_source - x0, level, "noon", guidance)
        difference = difference - velocity(z_source, level, "dusk", source_guidance)
        z_edit = z_edit + (times[level - 1] - times[level]) * difference
    return z_edit


@pytest.mark.parametrize("kind", [FakeBackend, NotQuiteClean])
@pytest.mark.parametrize("prediction", Prediction)
@pytest.mark.parametrize(("guidance", "source_guidance"), [(1.0, 1.0), (3.0, 1.0), (3.0, 1.5)])
def test_the_latents_are_those_of_the_paper(
    prediction: Prediction, guidance: float, source_guidance: float, kind: type[FakeBackend], tmp_path: Path
) -> None:
    backend = kind(MEANS, prediction=prediction)
    method = FlowEdit(strength=0.7, source_guidance=source_guidance)
    x0, found = edited(backend, method, 10, tmp_path, guidance)
    expected = reference(backend, x0, 10, 7, guidance, source_guidance)
    assert torch.allclose(found, expected, atol=1e-5)
    assert float((found - x0).abs().max()) > 0.1


def test_from_pure_noise_a_gaussian_moves_by_the_difference_of_the_means(tmp_path: Path) -> None:
    """Both prompts' pictures are N(mean, s^2) with one s: Z is carried by mean' - mean, whatever the noise."""
    backend = FakeBackend(MEANS)
    shift = backend.embed("noon").tokens[0] - backend.embed("dusk").tokens[0]
    for steps in (3, 10):
        x0, found = edited(backend, FlowEdit(strength=1.0), steps, tmp_path / str(steps), 1.0)
        assert torch.allclose(found - x0, shift.reshape(1, 3, 1, 1).expand_as(x0), atol=1e-4)


@pytest.mark.parametrize("kind", [FakeBackend, NotQuiteClean])
@pytest.mark.parametrize("prediction", Prediction)
def test_equal_prompts_change_nothing(kind: type[FakeBackend], prediction: Prediction, tmp_path: Path) -> None:
    """To the bit, and without a trace of the noise in which the scheduler ends."""
    backend = kind({"dusk": MEANS["dusk"], "noon": MEANS["dusk"]}, prediction=prediction)
    x0, found = edited(backend, FlowEdit(strength=0.9), 6, tmp_path, 1.0)
    assert torch.equal(found, x0)


def test_all_frames_share_the_noise_of_a_step(tmp_path: Path) -> None:
    backend = FakeBackend(MEANS)
    x0, found = edited(backend, FlowEdit(), 6, tmp_path, 2.0, frames=1)
    again, both = edited(backend, FlowEdit(), 6, tmp_path / "two", 2.0, frames=2)
    assert torch.allclose((both - again)[0], (both - again)[1], atol=1e-5)  # a Gaussian's edit is one shift
    assert found.shape == x0.shape


def test_a_solver_that_looks_back_is_refused(tmp_path: Path) -> None:
    backend = FakeBackend(MEANS)
    options = Options(method=FlowEdit(), sampling=Sampling(solver="2m"))
    with pytest.raises(OptionError, match="first order; use --solver ddim"):
        Run.of(backend, options, Store(tmp_path), ignore)
    chosen = replace(options, sampling=Sampling())
    assert Run.of(backend, chosen, Store(tmp_path), ignore).options.sampling.solver == "ddim"
