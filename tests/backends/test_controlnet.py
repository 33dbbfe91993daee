"""Loaded ControlNets: kept for the next run, in the precision of the network that they steer, and what they hold."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from pnpvideo.backends.controlnet import ControlNetwork, LoadedControlNets
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.injection import NetworkCall
from tests.controlnets import new_controlnet, write_controlnet


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = UNet2DConditionModel.from_pretrained(checkpoint / "unet")
    return write_controlnet(tmp_path_factory.mktemp("control") / "net", network)


def test_those_of_the_last_run_stay_loaded(folder: Path, backend: StableDiffusion, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    one, two = backend.controlnets([str(folder), str(other)])
    assert backend.controlnets([str(other), str(folder)]) == (two, one)
    assert backend.controlnets([]) == () and backend.controlnets([str(folder)]) != (one,)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "norm_eps": 1e-4}))
    assert backend.controlnets([str(other)])[0].fingerprint != two.fingerprint


def test_it_follows_the_precision_of_the_call(backend: StableDiffusion) -> None:
    """A step that is computed again in fp32 has its ControlNet in fp32 too."""
    net = ControlNetwork(new_controlnet(backend.network).to(torch.bfloat16), "")
    condition, words = torch.rand(1, 3, 32, 32), backend.embed("a fox").tokens[None]
    for dtype in (torch.bfloat16, torch.float32, torch.bfloat16):
        call = NetworkCall(x=torch.ones(1, 4, 4, 4, dtype=dtype), timestep=500, text=words.to(dtype))
        with torch.no_grad():
            found = net.residuals(call, condition.to(dtype))
        assert {value.dtype for value in (*found.skips, found.middle)} == {dtype}


def test_a_footprint_grows_with_the_picture(backend: StableDiffusion) -> None:
    net = ControlNetwork(new_controlnet(backend.network), "")
    small, large = (net.footprint((side, side), (4, side // 8, side // 8), (20, 16)) for side in (64, 128))
    assert small.weights == large.weights == sum(value.nbytes for value in net.network.parameters())
    assert large.residuals == 4 * small.residuals and large.call > 2 * small.call > small.residuals
    assert LoadedControlNets().networks == {}
