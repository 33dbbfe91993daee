"""Peak memory and seconds of one step of cross-attention guidance on Stable Diffusion 1.5's topology.

    python -m benchmarks.guided_step --width 0.5

The weights are random: no figure depends on their values. Each row runs in its own process; memory is beyond the
weights, and ratios are to the first row. "maps of all steps kept" is the memory of the published code, which runs all
steps of the reference first; lock-step computes, uses and frees the maps of one step. The seconds of that row are those
of lock-step.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from benchmarks.topology import SCHEDULER, TOKENS, TOPOLOGIES, new_network
from pnpvideo.backends.backend import Backend
from pnpvideo.backends.sites import sites_of
from pnpvideo.coherence.independent import Independent
from pnpvideo.diffusion.guidance import Guidance
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.diffusion.scheduler_config import schedule_from_config
from pnpvideo.diffusion.trajectory import RecordedTrajectory
from pnpvideo.edits.cross_attention import CrossAttentionMaps
from pnpvideo.engine.denoiser import Denoiser
from pnpvideo.injection import Conditioning, Kind, Lanes, Moment, injected, select
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.measure.peak import PeakMemory
from pnpvideo.methods.method import Method
from pnpvideo.methods.pix2pix_zero import Pix2PixZero
from pnpvideo.methods.sdedit import SDEdit

TOPOLOGY = TOPOLOGIES["sd15"]
ROWS: dict[str, dict[str, Any]] = {
    "guidance by words alone": {"weight": None},
    "lock-step": {},
    "lock-step, checkpointing": {"checkpointing": True},
    "lock-step, maps of 256 pixels": {"map_pixels": 256},
    "lock-step, both": {"checkpointing": True, "map_pixels": 256},
    "maps of all steps kept": {"keep_all_maps": True},
}


class StepCost(NamedTuple):
    seconds: float
    mib: float


@dataclass(frozen=True)
class NetworkOnly:
    """The part of a backend that a step uses: a network with random weights."""

    network: UNet2DConditionModel
    dtype: torch.dtype

    @property
    def sites(self) -> tuple[Any, ...]:
        return tuple(sites_of(self.network))

    def predict(self, x: Tensor, timestep: float, context: Conditioning) -> Tensor:
        answer = self.network(x.to(self.dtype), timestep, context.tokens.to(self.dtype), return_dict=False)[0]
        return cast(Tensor, answer).float()


def measure(row: dict[str, Any], width: float, side: int, steps: int, device: torch.device, dtype: torch.dtype) -> None:
    """Print the StepCost of one of ROWS as JSON. width: share of the channels. side: of the latents, in cells."""
    row = dict(row)
    keep_all_maps = row.pop("keep_all_maps", False)
    plain = "weight" in row
    method: Method = (
        SDEdit()
        if plain
        else Pix2PixZero(
            cross_attention=0.1, map_pixels=row.get("map_pixels"), checkpointing=row.get("checkpointing", False)
        )
    )
    backend = cast(Backend, NetworkOnly(new_network(TOPOLOGY, width).to(device, dtype).requires_grad_(False), dtype))
    schedule = schedule_from_config(SCHEDULER, steps)
    draw = torch.Generator().manual_seed(1)
    x = torch.randn((1, 4, side, side), generator=draw)
    words = {
        lane: Conditioning(torch.randn((TOKENS, TOPOLOGY.towers[0].channels), generator=draw).to(device))
        for lane in ("source", "negative", "positive")
    }
    guidance = Guidance(scale=5.0, negative=True, empty_share=0.0)
    coherence = Independent()
    with injected(backend.network, []) as session:
        walked = RecordedTrajectory([x] * (steps + 1))
        step = Denoiser(
            backend, session, schedule, method, coherence, guidance, {**words, "empty": words["source"]}, walked
        )
        with torch.no_grad():
            backend.predict(x.to(device), 1, words["source"].batch())  # warm up
            peak = PeakMemory(device)
            reference_maps = (
                [_reference(backend, x.to(device), words, schedule, level) for level in range(steps)]
                if keep_all_maps
                else []
            )
            started = time.perf_counter()
            _, output = step(x.to(device), steps)
            assert bool(torch.isfinite(output).all())
            if device.type == "cuda":
                torch.cuda.synchronize(device)
    seconds = time.perf_counter() - started
    print(json.dumps(StepCost(seconds, peak.bytes() / 2**20)._asdict()))
    del reference_maps


def _reference(backend: Backend, x: Tensor, words: dict[str, Conditioning], schedule: Schedule, level: int) -> Any:
    """The cross-attention maps of one step of the reference pass."""
    watch = CrossAttentionMaps(select(backend.sites, Kind.CROSS))
    moment = Moment(level, schedule.steps, schedule.timestep(level + 1))
    with injected(backend.network, [watch]) as session, session.during(moment, Lanes((SOURCE,), (0,))):
        backend.predict(x, moment.timestep, words["source"].batch())
    return watch.take()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=0.5, help="share of SD 1.5's channels; 1: full width")
    parser.add_argument("--side", type=int, default=64, help="of the latents, in cells; 64: 512 pixels")
    parser.add_argument("--steps", type=int, default=50, help="whose maps the published way keeps")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=("float32", "float16", "bfloat16"))
    parser.add_argument("--row", choices=tuple(ROWS), help="only this row, as JSON")
    arguments = parser.parse_args()
    if arguments.row:
        measure(
            ROWS[arguments.row],
            arguments.width,
            arguments.side,
            arguments.steps,
            torch.device(arguments.device),
            getattr(torch, arguments.dtype),
        )
        return
    first: StepCost | None = None
    print("| one step | seconds | ratio | peak MiB | ratio |\n|---|---|---|---|---|")
    for name in ROWS:
        ran = subprocess.run([sys.executable, "-m", "benchmarks.guided_step", *sys.argv[1:], "--row", name], stdout=-1)
        if ran.returncode != 0:
            print(f"| {name} | out of memory, or failed | | | |", flush=True)
            continue
        found = StepCost(**json.loads(ran.stdout))
        first = first or found
        ratios = found.seconds / first.seconds, found.mib / max(1.0, first.mib)
        print(f"| {name} | {found.seconds:.2f} | {ratios[0]:.2f} | {found.mib:.0f} | {ratios[1]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
