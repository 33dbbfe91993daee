"""Precision and recall of cut detectors on forty made clips whose hard cuts are known.

    python -m benchmarks.cuts [--seed 3] [--kinds KIND ...] [--before COMMIT]

Ours, and PySceneDetect's AdaptiveDetector and ContentDetector where `scenedetect` is installed: as they come, and
without their least length of a shot. That is 15 frames, and no shot of these clips has fewer than 16, nor a flash or
the like among its first 16. A cut counts as found if the detector names the very frame. Seeds 0 to 2
were for tuning.
"""

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from types import ModuleType

import numpy as np

from benchmarks.cut_clips import FPS, KINDS, Pictures, made_clips
from pnpvideo.video import shots
from pnpvideo.video.clip import Frame

Detector = Callable[[Pictures], list[int]]  # index of the first frame of each shot but the first


@dataclass
class Score:
    """Cuts that were found, places named where there is none, and cuts that were not found."""

    found: int = 0
    false: int = 0
    missed: int = 0

    def add(self, named: set[int], true: set[int]) -> None:
        self.found += len(named & true)
        self.false += len(named - true)
        self.missed += len(true - named)

    @property
    def precision(self) -> float:
        return self.found / max(self.found + self.false, 1)

    @property
    def recall(self) -> float:
        return self.found / max(self.found + self.missed, 1)


def ours(module: ModuleType = shots) -> Detector:
    def detect(pictures: Pictures) -> list[int]:
        frames = (Frame(index, Fraction(index, FPS), pixels) for index, pixels in enumerate(pictures))
        return [frame.index for frame, cut in module.cuts(frames) if cut]

    return detect


def before(commit: str) -> Detector:
    """Our detector as it was at ``commit``."""
    asked = ["git", "show", f"{commit}:pnpvideo/video/shots.py"]
    source = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    module = ModuleType(f"shots_{commit}")
    sys.modules[module.__name__] = module  # where its dataclasses look for it
    exec(compile(source, asked[-1], "exec"), module.__dict__)
    return ours(module)


def pyscenedetect() -> dict[str, Detector]:
    """PySceneDetect's detectors by name; none where it is not installed."""
    if find_spec("scenedetect") is None:
        return {}
    from scenedetect import FrameTimecode, SceneDetector
    from scenedetect.detectors import AdaptiveDetector, ContentDetector

    def detector(make: Callable[[], SceneDetector]) -> Detector:
        def detect(pictures: Pictures) -> list[int]:
            scenes, found = make(), []
            for index, pixels in enumerate(pictures):
                now = FrameTimecode(index, float(FPS))
                found += scenes.process_frame(now, np.ascontiguousarray(pixels[..., ::-1]))
            return [time.frame_num for time in (*found, *scenes.post_process(now))]

        return detect

    return {
        "AdaptiveDetector": detector(AdaptiveDetector),
        "AdaptiveDetector, min_scene_len=1": detector(lambda: AdaptiveDetector(min_scene_len=1)),
        "ContentDetector": detector(ContentDetector),
        "ContentDetector, min_scene_len=1": detector(lambda: ContentDetector(min_scene_len=1)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=3, help="of the clips; 0 to 2 were for tuning")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=(), help="only these kinds of clips")
    parser.add_argument("--before", metavar="COMMIT", help="our detector at this commit, too")
    asked = parser.parse_args()
    detectors = {"pnpvideo": ours()}
    if asked.before:
        detectors[f"pnpvideo at {asked.before}"] = before(asked.before)
    theirs = pyscenedetect()
    if not theirs:
        print("PySceneDetect is not installed (pip install scenedetect): ours alone.\n")
    detectors |= theirs

    scores: dict[str, dict[str, Score]] = {name: defaultdict(Score) for name in detectors}
    cuts: dict[str, int] = defaultdict(int)
    clips: dict[str, int] = defaultdict(int)
    for clip in made_clips(asked.seed, asked.kinds):
        cuts[clip.kind] += len(clip.cuts)
        clips[clip.kind] += 1
        for name, detect in detectors.items():
            named = set(detect(clip.frames))
            for row in (clip.kind, "all"):
                scores[name][row].add(named, set(clip.cuts))

    print("| detector | precision | recall |\n|---|---|---|")
    for name, rows in scores.items():
        print(f"| {name} | {rows['all'].precision:.3f} | {rows['all'].recall:.3f} |")
    print(f"\nMissed cuts + false ones:\n\n| clips | cuts | {' | '.join(detectors)} |")
    print("|---|---|" + "---|" * len(detectors))
    for kind, count in clips.items():
        cells = [f"{scores[name][kind].missed} + {scores[name][kind].false}" for name in detectors]
        print(f"| {kind} ({count}) | {cuts[kind]} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
