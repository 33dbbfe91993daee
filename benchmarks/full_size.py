"""Cost of a clip on Stable Diffusion's topologies, and how close it comes to the peak of the device.

    python -m benchmarks.full_size --topology sd15 --device cuda --dtype bfloat16 --plain --long 1000 --compile
    python -m benchmarks.full_size --topology sd15 --width 0.25 --size 128 --frames 8

The weights are random: no figure depends on their values. The peak is measured with large matrix products in the same
dtype; "of peak" is the counted operations of an evaluation times evaluations a second, over the peak. Memory is beyond
what was in use before the row.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.length import make_clip
from benchmarks.topology import TOPOLOGIES, write_checkpoint
from pnpvideo.backends.device import choose_device, choose_dtype
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.measure.footage import Footage
from pnpvideo.measure.peak import PeakMemory
from pnpvideo.measure.speed import (
    PUBLISHED_RECIPES,
    PUBLISHED_TOKENFLOW,
    SAME_STEPS_PUBLISHED,
    PublishedRecipe,
    machine_info,
    translate_timed,
)
from pnpvideo.miniature.recipe.data import HELD_OUT
from pnpvideo.miniature.world import random_scene
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.settings.presets import PRESETS

PROFILED = 16
"""Operations in the table of the profile."""


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of the fastest of some matrix products."""
    best = 0.0
    for side in (4096, 8192) if device.type == "cuda" else (1024, 2048):
        a, b = (torch.randn((side, side), device=device).to(dtype) for _ in range(2))
        for _ in range(5):
            synchronize(device)
            started = time.perf_counter()
            _ = a @ b
            synchronize(device)
            best = max(best, 2 * side**3 / (time.perf_counter() - started))
    return best


def flops_per_evaluation(backend: StableDiffusion, size: int) -> int:
    """Floating-point operations of one evaluation; a multiplication and an addition count as two."""
    x = torch.zeros((1, *backend.latent_shape(size, size)), device=backend.device)
    words = backend.embed("").batch()
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        backend.predict(x, 1, words)
    return int(counter.get_total_flops())


def network_throughput(backend: StableDiffusion, size: int, batch: int) -> float:
    """Evaluations a second of the network alone."""
    x = torch.zeros((batch, *backend.latent_shape(size, size)), device=backend.device)
    words = backend.embed("").batch(batch)
    seconds = []
    with torch.no_grad():
        for _ in range(4):
            synchronize(backend.device)
            started = time.perf_counter()
            backend.predict(x, 1, words)
            synchronize(backend.device)
            seconds.append(time.perf_counter() - started)
    return batch / min(seconds)


def table_rows(backend: StableDiffusion, base: Options, frames: int, size: int, plain: bool) -> Iterator[list[str]]:
    """Yield the cells of the table: the network alone, each preset and, if ``plain``, the published recipes."""
    footage = Footage(random_scene(HELD_OUT), "cartoon", "photo", frames, size)
    recipes: dict[str, PublishedRecipe | dict[str, Any]] = {
        **({name: PUBLISHED_RECIPES[name] for name in (SAME_STEPS_PUBLISHED, PUBLISHED_TOKENFLOW)} if plain else {}),
        **{name: {"preset": name} for name in reversed(PRESETS)},
    }
    top, once = peak_flops(backend.device, backend.dtype), flops_per_evaluation(backend, size)
    speed = network_throughput(backend, size, base.runtime.batch)
    yield ["the network alone", "-", "-", f"{speed:.2f}", f"{speed * once / top:.0%}", "-"]
    for name, recipe in recipes.items():
        _, cost = translate_timed(backend, base, recipe, footage)
        speed = cost["evaluations"] / cost["seconds"]
        yield [
            name,
            f"{cost['evaluations']:.0f}",
            f"{cost['seconds']:.3f}",
            f"{speed:.2f}",
            f"{speed * once / top:.0%}",
            f"{cost['mebibytes']:.0f}",
        ]


def long_clip_row(backend: StableDiffusion, base: Options, frames: int) -> list[str]:
    """The cells of a clip with ``frames`` frames, by the preset draft, including reading and writing of files."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, peak, started = make_clip(folder, frames, 1), PeakMemory(backend.device), time.perf_counter()
        options = base.changed({"preset": "draft", "source_prompt": "", "store": folder / "store"})
        translate(source, "a photo of a ball", folder / "out.mkv", options, backend=backend)
        seconds = (time.perf_counter() - started) / frames
    return [f"draft, {frames:,} frames", "-", f"{seconds:.3f}", "-", "-", f"{peak.bytes() / 2**20:.0f}"]


def profile(backend: StableDiffusion, base: Options, size: int) -> str:
    """Profile eight frames in two steps, by operation."""
    footage = Footage(random_scene(HELD_OUT), "cartoon", "photo", 8, size)
    with torch.profiler.profile() as found:
        translate_timed(backend, base, {"steps": 2}, footage)
    key = "self_cuda_time_total" if backend.device.type == "cuda" else "self_cpu_time_total"
    return str(found.key_averages().table(sort_by=key, row_limit=PROFILED, max_name_column_width=60))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--topology", choices=tuple(TOPOLOGIES), default="sd15")
    parser.add_argument("--width", type=float, default=1.0, help="share of the channels; 1: full size")
    parser.add_argument("--size", type=int, default=512, help="width and height in pixels")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "float16", "bfloat16"))
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--plain", action="store_true", help="also the published recipes, which take long")
    parser.add_argument("--long", type=int, metavar="FRAMES", help="also a clip of so many frames, by draft")
    parser.add_argument("--profile", action="store_true", help="also a profile by operation")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        dtype, topology = choose_dtype(arguments.dtype, device), TOPOLOGIES[arguments.topology]
        model = write_checkpoint(Path(folder) / arguments.topology, topology, arguments.width, dtype)
        base = Options.from_flat(
            {
                "model": str(model),
                "size": arguments.size,
                "batch": arguments.batch,
                "device": str(device),
                "dtype": str(dtype).removeprefix("torch."),
                "compile": arguments.compile,
            }
        )
        backend = StableDiffusion(str(model), device, dtype, arguments.compile)
        print(machine_info(device), f"{sum(weight.numel() for weight in backend.network.parameters()):,} weights")
        print(f"{peak_flops(device, dtype) / 1e12:.2f} T operations a second at peak", end=", ")
        print(f"{flops_per_evaluation(backend, arguments.size) / 1e12:.3f} T an evaluation\n")
        print("| recipe | evaluations a frame | seconds a frame | evaluations a second | of peak | MiB |")
        print("|---|---|---|---|---|---|")
        for cells in table_rows(backend, base, arguments.frames, arguments.size, arguments.plain):
            print(f"| {' | '.join(cells)} |", flush=True)
        if arguments.profile:
            found = profile(backend, base, arguments.size)
        if arguments.long:
            print(f"| {' | '.join(long_clip_row(backend, base, arguments.long))} |", flush=True)
        if arguments.profile:
            print(f"\n{found}")


if __name__ == "__main__":
    main()
