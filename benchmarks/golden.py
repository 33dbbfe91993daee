"""Compare what two checkouts write: the same runs in both, byte for byte.

    python -m benchmarks.golden OTHER_CHECKOUT

A refactoring must not change results, so every run below is made on this machine by this checkout and by the other
one, each with the Python of its own ``.venv``. The runs go through the command line, the part of the program that
changes least. Each takes few steps on the miniature, at 96 pixels, and writes lossless pictures where it can. Prints a
table of SHA-256 hashes and, where pictures differ, the largest difference of a value in 0 to 255; the exit status is 1
if anything differs.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[1]
BALL, CUT = str(ROOT / "samples" / "ball.mp4"), str(ROOT / "samples" / "cut.mp4")
SMALL = ("--size", "96", "--steps", "4", "--device", "cpu", "--progress", "none", "-q")
SEEN = ("--source-prompt", "a cartoon of a red ball on grass at sunset")
PHOTO = "a photo of a red ball on grass at sunset"
CLIP, STILL = ("--frames", "0:10"), ("--frames", "3:4")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One result. ``arguments``: of the command line, without the output. ``output``: its name, a folder or a file."""

    name: str
    output: str
    arguments: tuple[str, ...]
    stopped_at: str = ""
    """Where this run is terminated once, and then started again: the stage of a progress event, such as "sample"."""


def translation(name: str, output: str, *more: str, stopped_at: str = "") -> Run:
    """A run of ``pnpvideo translate`` on the rolling ball."""
    return Run(name=name, output=output, arguments=("translate", BALL, PHOTO, *SEEN, *more), stopped_at=stopped_at)


def edit(name: str, output: str, *more: str) -> Run:
    """A run of ``pnpvideo edit`` on the rolling ball, from ball to cube."""
    return Run(name=name, output=output, arguments=("edit", BALL, "--from", "ball", "--to", "cube", *more))


MASK, DIRECTION = "mask.png", "red2blue.safetensors"
RUNS = (
    Run(
        name="direction",
        output=DIRECTION,
        arguments=("direction", "build", "--from", "red", "--to", "blue", "--progress", "none", "-q"),
    ),
    translation("translate, clip", "clip", *CLIP, *SMALL),
    translation("translate, mp4", "clip.mp4", *CLIP, *SMALL),
    translation("translate, still", "still.png", *STILL, *SMALL),
    Run(
        name="translate, two shots, own captions",
        output="cut",
        arguments=("translate", CUT, "a photo of a house", *SMALL),
    ),
    translation(
        "translate, published recipe", "published", *CLIP, *SMALL, "--solver", "ddim", "--spacing", "checkpoint"
    ),
    translation(
        "translate, joint, fresh noise", "joint", *CLIP, *SMALL, "--coherence", "joint", "--fresh-noise", "0.3"
    ),
    translation("translate, frame by frame", "none", *CLIP, *SMALL, "--coherence", "none", "--batch", "3"),
    translation("translate, windows", "windows", *SMALL, "--window", "6", "--keyframe-every", "3"),
    translation("translate, mask", "masked", *CLIP, *SMALL, "--mask", MASK),
    translation("translate, direction", "directed", *CLIP, *SMALL, "--direction", f"{DIRECTION}:0.8"),
    translation("translate, pix2pix-zero", "p2p", *CLIP, *SMALL, "--method", "pix2pix-zero"),
    translation("translate, keep background", "kept", *CLIP, *SMALL, "--direction", DIRECTION, "--keep-background"),
    translation("sdedit, clip", "sdedit", *CLIP, *SMALL, "--method", "sdedit", "--seed", "7"),
    translation("sdedit, still", "sdedit.png", *STILL, *SMALL, "--method", "sdedit", "--strength", "0.9"),
    Run(
        name="generate, pnp",
        output="generated.png",
        arguments=("translate", "--generate", PHOTO, *SEEN, *SMALL),
    ),
    Run(
        name="generate, sdedit",
        output="generated-sdedit.png",
        arguments=("translate", "--generate", PHOTO, *SEEN, *SMALL, "--method", "sdedit"),
    ),
    edit("edit, clip", "edited", *CLIP, *SMALL),
    edit("edit, still", "edited.png", *STILL, *SMALL),
    edit("edit, pnp, keep background", "edited-pnp", *CLIP, *SMALL, "--method", "pnp", "--keep-background"),
    translation("resume an inversion", "inverted", *CLIP, *SMALL, "--steps", "16", stopped_at="invert"),
    translation("resume a sampling run", "sampled", *CLIP, *SMALL, "--steps", "16", stopped_at="sample"),
)

CHILD = """
import json, sys
from pnpvideo.cli.main import main
for arguments in json.load(sys.stdin):
    if status := main(arguments):
        sys.exit(f"{status}: {' '.join(arguments)}")
"""


def make(checkout: Path, folder: Path) -> None:
    """Write the results of all runs, made by ``checkout``, to ``folder``. CalledProcessError where a run fails."""
    white = np.zeros((256, 256), np.uint8)
    white[80:, 40:216] = 255
    Image.fromarray(white).save(folder / MASK)
    python = str(checkout / ".venv" / "bin" / "python")
    whole = [[*command_line(run, "store", folder)] for run in RUNS if not run.stopped_at]
    subprocess.run([python, "-c", CHILD], input=json.dumps(whole), text=True, cwd=folder, check=True)
    for run in RUNS:
        if run.stopped_at:
            again = command_line(run, f"store-{run.stopped_at}", folder)
            stop(python, again, run.stopped_at, folder)
            subprocess.run([python, "-c", CHILD], input=json.dumps([again]), text=True, cwd=folder, check=True)


def command_line(run: Run, store: str, folder: Path) -> list[str]:
    """The command line of a run, which is to be started in ``folder``."""
    store_option = [] if run.arguments[0] == "direction" else ["--store", store]
    return [*run.arguments, *store_option, "-o", run.output]


def stop(python: str, command: list[str], stage: str, folder: Path) -> None:
    """Start ``command`` and terminate it after two events of ``stage``; what it has finished is kept in its store."""
    words = [word for word in command if word != "-q"]
    words[words.index("none")] = "json"
    started = [python, "-m", "pnpvideo.cli.main", *words]
    with subprocess.Popen(started, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stderr is not None
        events = 0
        for line in process.stderr:
            if f'"{stage}"' in line:
                events += 1
                if events == 2:
                    process.terminate()
    if process.returncode != 143:
        raise RuntimeError(f"the run ended with status {process.returncode}, not 143: it was not stopped in {stage}")


def files(result: Path) -> list[Path]:
    """The files of a result, a folder or a file."""
    return sorted(result.iterdir()) if result.is_dir() else [result]


def digest(result: Path) -> str:
    """SHA-256 of the names and contents of a result's files; a direction counts whatever the order of its metadata."""
    found = hashlib.sha256()
    for path in files(result):
        found.update(path.name.encode() + b"\0")
        found.update(direction(path) if path.suffix == ".safetensors" else path.read_bytes())
    return found.hexdigest()


def direction(path: Path) -> bytes:
    """Metadata and tensors of a safetensors file, in the order of their names."""
    with safe_open(path, framework="numpy") as file:
        tensors = [file.get_tensor(name).tobytes() for name in sorted(file.keys())]
        return repr(sorted((file.metadata() or {}).items())).encode() + b"".join(tensors)


def difference(one: Path, other: Path) -> str:
    """The largest difference of two results' pictures, in 0 to 255; "-" for what is no picture."""
    if one.suffix not in ("", ".png"):
        return "-"
    pairs = [
        (np.asarray(Image.open(a), np.int16), np.asarray(Image.open(b), np.int16))
        for a, b in zip(files(one), files(other), strict=True)
    ]
    return str(max(int(np.abs(a - b).max()) for a, b in pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the checkout to compare with; its .venv must be made")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name, "this"), Path(name, "other")]
        for checkout, folder in zip((ROOT, arguments.other.resolve()), folders, strict=True):
            folder.mkdir()
            make(checkout, folder)
        differing = 0
        print("| run | this | other | |\n|---|---|---|---|")
        for run in RUNS:
            one, other = (folder / run.output for folder in folders)
            hashes = digest(one), digest(other)
            same = hashes[0] == hashes[1]
            differing += not same
            verdict = "identical" if same else f"differs by {difference(one, other)}"
            print(f"| {run.name} | {hashes[0][:16]} | {hashes[1][:16]} | {verdict} |")
    print(f"{len(RUNS) - differing} of {len(RUNS)} identical")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
