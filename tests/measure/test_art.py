"""The benchmark of drawings: its truth, exact motion, and a run on made drawings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pnpvideo.cli.main import main

from pnpvideo.errors import OptionError
from pnpvideo.measure.art import ArtFootage, ArtOptions, measure_art, measure_drawing
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.motion import Motion
from pnpvideo.measure.temporal import warp_error
from pnpvideo.miniature.art.names import Name, held_out_names, training_names
from pnpvideo.miniature.art.scene import ArtInstant, ArtScene, ArtThing, PlainBackdrop
from pnpvideo.miniature.art.sprites import LOOKS, SIDE, Sprites
from pnpvideo.settings.options import Options


class Flags(Sprites):
    """A square of two colours, which differ by look, in place of every drawing."""

    def sprite(self, name: Name, look: str) -> np.ndarray:
        picture = np.zeros((SIDE, SIDE, 4), np.uint8)
        picture[32:-32, 32:-32] = (200, 40 + 60 * LOOKS.index(look), 40, 255)
        picture[32:128, 32:-32] = (40, 40 + 60 * LOOKS.index(look), 200, 255)
        return picture


def footage(motion: str, frames: int = 4, size: int = 128) -> ArtFootage:
    things = tuple(ArtThing(name=held_out_names()[n], x=0.4 + 0.2 * n, y=0.5, size=0.5, angle=0.2) for n in range(2))
    start = ArtInstant(things=things, backdrop=PlainBackdrop(colour="white", below="blue"))
    scene = ArtScene(start=start, motions=(motion, "slide"), amount=0.6)
    return ArtFootage(scene, "flat", "3d", frames, size, Flags(Path()))


@pytest.mark.parametrize("motion", ["slide", "bounce", "turn", "zoom"])
def test_the_motion_of_the_truth_is_exact(motion: str) -> None:
    clip = footage(motion)
    still = [Motion(np.zeros_like(each.flow), each.visible) for each in clip.motions]
    exact = warp_error(clip.truth, clip.motions)
    assert exact < 2e-3 and exact < warp_error(clip.truth, still) / 5
    assert all(0.7 < each.visible.mean() < 1 for each in clip.motions)
    backdrop = clip.fronts[0] == 0
    assert not clip.motions[0].flow[:, backdrop].any() and clip.motions[0].flow[:, ~backdrop].any()


def test_things_in_front_hide_others() -> None:
    front = footage("slide").fronts[0]
    assert set(np.unique(front)) == {0, 1, 2} and front[64, 70] == 2 and front[64, 35] == 1


def test_the_truth_scores_perfectly_and_the_source_does_not() -> None:
    clip, judge = footage("turn", frames=2), Judge()
    truth, source = (measure_drawing(judge, clip, each) for each in (clip.truth, clip.source))
    assert truth["psnr"] == np.inf and truth["sharp_inside"] == truth["laplacian"] == 1 and truth["worst"] == 0
    assert source["psnr"] < 30 and source["structure"] == pytest.approx(0, abs=1e-6)
    assert "warp" not in measure_drawing(judge, replace(clip, frames=1), clip.truth[:1])


def test_splits_have_their_own_names() -> None:
    for split, names in (("held-out", held_out_names()), ("tuning", training_names())):
        clip = ArtOptions(split=split).footage(("gradient", "3d"), 3, Flags(Path()))
        assert {thing.name for thing in clip.scene.start.things} <= set(names)
        assert clip.source_prompt.split(" of ")[1] == clip.prompt.split(" of ")[1]
        assert clip.prompt.startswith("a 3d render of") and clip.source_prompt.startswith("a gradient drawing of")
    with pytest.raises(OptionError, match="no style 'oil'"):
        ArtOptions(tasks=(("flat", "oil"),))


@pytest.mark.parametrize("frames", [1, 2])
def test_recipes_stand_beside_baselines(frames: int, checkpoint: Path) -> None:
    options = ArtOptions(clips=1, frames=frames, size=64, tasks=(("flat", "3d"),))
    base = Options.from_flat({"model": str(checkpoint), "steps": 2, "device": "cpu"})
    recipes = {"sdedit": {"method": "sdedit", "coherence": "none", "strength": 0.5}}
    found = measure_art(Flags(Path()), options, base, recipes)
    rows = found.rows["flat to 3d"]
    assert list(rows)[:2] == ["truth", "source"] and rows["truth"]["psnr"] == np.inf
    assert 0 < rows["sdedit"]["psnr"] < 40 and ("warp" in rows["sdedit"]) == (frames > 1)
    assert len(found.examples["flat to 3d"]["sdedit"]) == frames


def test_the_command_passes_on_folder_and_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measured(sprites: Sprites, options: ArtOptions, *_: object) -> object:
        asked.append((sprites.folder, options))
        raise OptionError("enough")

    monkeypatch.setattr("pnpvideo.measure.art.measure_art", measured)
    assert main(["measure", "art", str(tmp_path), "--task", "3d:flat", "--clips", "7"]) == 2
    assert asked == [(tmp_path, ArtOptions(clips=7, tasks=(("3d", "flat"),)))]
