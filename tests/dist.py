"""Build the distribution and try it: ``python -m tests.dist`` (or ``make dist``) fills ``dist/``.

The source distribution is built from a copy of the tree, and the wheel from the source distribution. The wheel is
installed into an environment of its own, where the command translates a sample; then the tests of TESTS run in the
unpacked source distribution. ``out/dist`` has that environment and is made anew each time.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "dist"
LEFT_OUT = (".*cache", ".git", ".venv", "*.egg-info", "__pycache__", "build", "dist", "out")
TESTS = (
    *(
        "tests/test_kinds.py",
        "tests/test_option.py",
        "tests/test_package.py",
        "tests/test_reliability.py",
        "tests/test_dist.py",
    ),
    *("tests/diffusion", "tests/settings", "tests/store", "tests/cli/test_help.py", "tests/cli/test_reference.py"),
    "tests/video/test_read.py",
)
"""A few minutes' worth: of the package as a whole, and one room of each kind."""
SECONDS = 3600


def run(*command: str | Path, folder: Path = ROOT, quiet: bool = False) -> None:
    """Run a command and wait for it. Raises CalledProcessError, or TimeoutExpired after SECONDS."""
    print("$", *command, flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    words, output = [str(word) for word in command], subprocess.DEVNULL if quiet else None
    subprocess.run(words, check=True, cwd=folder, env=environment, timeout=SECONDS, stdout=output)


def build(folder: Path) -> tuple[Path, Path]:
    """(source distribution, wheel) in ``folder``, built offline with the setuptools of this environment."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT))
        built = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
        run(sys.executable, "-c", built, temporary, folder=tree, quiet=True)
        (source,) = Path(temporary).glob("*.tar.gz")
        pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q")
        run(*pip, source, "-w", temporary)
        (wheel,) = Path(temporary).glob("*.whl")
        return Path(shutil.copy(source, folder)), Path(shutil.copy(wheel, folder))


def try_wheel(wheel: Path, environment: Path) -> Path:
    """Install a wheel into a new environment and use its command there; return the environment's Python."""
    run(sys.executable, "-m", "venv", environment)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    python, command = programs / "python", programs / "pnpvideo"
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "-q", "-c", constraints, "torch")
    run(python, "-m", "pip", "install", "-q", "-c", constraints, f"{wheel}[plots]")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(ROOT / "samples" / "ball.mp4", folder)
        run(command, "--version", folder=folder)
        small = ("--frames", "0:2", "--steps", "2", "--size", "64", "--store", folder / "store")
        run(command, "translate", "ball.mp4", "a photo of a red ball", "-o", "out.mp4", *small, folder=folder)
        run(command, "probe", "out.mp4", folder=folder)
    return python


def try_source(source: Path, python: Path, folder: Path) -> None:
    """Unpack a source distribution, install it as a clone is installed, and run TESTS in it."""
    shutil.unpack_archive(source, folder)
    (tree,) = folder.iterdir()
    run(python, "-m", "pip", "install", "-q", "-c", tree / "constraints.txt", "-e", f"{tree}[test]")
    run(python, "-m", "pytest", "-q", *TESTS, folder=tree)


def main() -> None:
    shutil.rmtree(OUT, ignore_errors=True)
    source, wheel = build(ROOT / "dist")
    python = try_wheel(wheel, OUT / "environment")
    (OUT / "source").mkdir()
    try_source(source, python, OUT / "source")
    print(f"{source.relative_to(ROOT)} and {wheel.relative_to(ROOT)} are sound", flush=True)


if __name__ == "__main__":
    main()
