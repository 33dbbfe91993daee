"""Time and memory of a run by its length, its keyframes and its held drawings.

    python -m benchmarks.length

Clips are moving test pictures of 1280 x 720, so that frames kept in memory would show; the miniature runs at a small
size. Each row runs in its own process. Memory is the peak of the process; for keyframes, the peak beyond weights and
latents while all keyframes of a step go through the network. Ratios are to the row before.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.joint import JointAttention
from pnpvideo.injection import Lanes, Moment, injected
from pnpvideo.measure.peak import PeakMemory
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.video.ffmpeg import executable


def make_clip(folder: Path, frames: int, hold: int) -> Path:
    """Write a clip of ``frames`` frames in one shot, each drawing shown ``hold`` times."""
    path = folder / "clip.mkv"
    drawings = -(-frames // hold)
    source = f"testsrc2=size=1280x720:rate=24:duration={drawings / 24}"
    repeat = f"loop=loop=0:size=1,setpts=N*{hold}/24/TB,fps=24" if hold > 1 else "null"
    command = ["-f", "lavfi", "-i", source, "-vf", repeat, "-frames:v", str(frames), "-c:v", "libx264", "-crf", "12"]
    subprocess.run([executable(), "-nostdin", "-v", "error", *command, str(path)], check=True)
    return path


def translate_clip(frames: int, hold: int, size: int, preset: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = Options.from_flat({"source_prompt": "", "size": size, "preset": preset, "store": folder / "store"})
        source, started = make_clip(folder, frames, hold), time.perf_counter()
        report = translate(source, "a photo of a red ball", folder / "out.mkv", options).report
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": seconds, "mebibytes": peak / 2**20, "windows": report["windows"], "drawings": report["drawings"]}


def attend_to_keyframes(keyframes: int, size: int) -> dict[str, float]:
    """Cost of one pass of shared attention over ``keyframes`` keyframes."""
    backend = StableDiffusion("miniature", torch.device("cpu"), torch.float32)
    coherence = JointAttention(keyframe_every=1)
    chosen = tuple(range(keyframes))
    sharing = coherence.edits([], backend.sites, [float(frame) for frame in chosen])
    x, words = torch.zeros(keyframes, *backend.latent_shape(size, size)), backend.embed("")
    lanes, moment = Lanes(("positive",), chosen), Moment(0, 1, 1, chosen)
    with torch.no_grad(), injected(backend.network, sharing) as session:
        backend.predict(x[:1], 1, words.batch())
        peak, started = PeakMemory(backend.device), time.perf_counter()
        for edit in session.edits:
            edit.begin(moment)
        with session.during(moment, lanes):
            backend.predict(x, 1, words.batch(keyframes))
    return {"seconds": time.perf_counter() - started, "mebibytes": peak.bytes() / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs=2, default=(100, 1000))
    parser.add_argument("--size", type=int, default=64, help="working size in pixels")
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--row", type=json.loads, help="only this row, as JSON")
    arguments = parser.parse_args()
    if arguments.row is not None:
        kind, count, other = arguments.row
        print(
            json.dumps(
                translate_clip(count, other, arguments.size, arguments.preset)
                if kind == "run"
                else attend_to_keyframes(count, other)
            )
        )
        return
    few, many = arguments.frames
    pairs = [
        ((f"{few} frames", ["run", few, 1]), (f"{many:,} frames", ["run", many, 1])),
        ((f"{few} frames on ones", ["run", few, 1]), (f"{few} frames on twos", ["run", few, 2])),
        (("10 keyframes", ["attention", 10, 128]), ("100 keyframes", ["attention", 100, 128])),
    ]
    print("| row | drawings | windows | seconds | ratio | MiB | ratio |\n|---|---|---|---|---|---|---|")
    for pair in pairs:
        before: dict[str, float] | None = None
        for name, row in pair:
            command = [sys.executable, "-m", "benchmarks.length", *sys.argv[1:], "--row", json.dumps(row)]
            found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            first = before or found
            ratios = [found[key] / first[key] for key in ("seconds", "mebibytes")]
            counts = [f"{found[key]:.0f}" if key in found else "-" for key in ("drawings", "windows")]
            cells = f"{found['seconds']:.1f} | {ratios[0]:.2f} | {found['mebibytes']:.0f} | {ratios[1]:.2f}"
            print(f"| {name} | {' | '.join(counts)} | {cells} |", flush=True)
            before = found


if __name__ == "__main__":
    main()
