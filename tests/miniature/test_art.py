"""Scenes of drawings: the same geometry in every look, captions, held-out names, and the packages they come from."""

import tarfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from pnpvideo.errors import PnPVideoError
from pnpvideo.miniature.art import packages
from pnpvideo.miniature.art.animation import animation
from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.drawing import draw_scene, place_sprite
from pnpvideo.miniature.art.names import Name, all_names, held_out_names, training_names
from pnpvideo.miniature.art.scene import BACKDROP_COLOURS, ArtInstant, ArtScene, ArtThing, PlainBackdrop, random_art
from pnpvideo.miniature.art.sprites import LOOKS, SIDE, Sprites, rasterise_svg
from pnpvideo.miniature.recipe.data import training_art_instant
from pnpvideo.miniature.world import Instant

CAT = Name("cat", "cat", "1f408", False)


class Discs(Sprites):
    """A disc in a colour of its own for every look, in place of the packages' drawings."""

    COLOURS: ClassVar = {"flat": (255, 0, 0), "gradient": (0, 255, 0), "3d": (0, 0, 255)}

    def sprite(self, name: Name, look: str) -> np.ndarray:
        rows, columns = np.mgrid[:SIDE, :SIDE]
        inside = np.hypot(rows - 127.5, columns - 127.5) < 96
        picture = np.zeros((SIDE, SIDE, 4), np.uint8)
        picture[inside] = (*self.COLOURS[look], 255)
        return picture


def test_150_names_are_held_out_and_none_of_them_is_trained_on() -> None:
    assert len(held_out_names()) == 150 and len(training_names()) >= 300
    assert len({name.text for name in all_names()}) == len(all_names())
    assert {name.text for name in training_names()} >= {"cat", "dog", "fish"}
    trained = {thing.name for index in range(400) for thing in training_art_instant(index).things}
    assert not trained & set(held_out_names())


def test_a_scene_is_the_same_in_every_look(tmp_path: Path) -> None:
    scene = ArtInstant(things=(ArtThing(name=CAT, x=0.4, y=0.6, size=0.5),), backdrop=PlainBackdrop(colour="white"))
    pictures = {look: draw_scene(scene, look, Discs(tmp_path), 64) for look in LOOKS}
    masks = [(picture.astype(int).min(2) < 128) for picture in pictures.values()]
    assert (masks[0] == masks[1]).all() and (masks[0] == masks[2]).all() and masks[0].any()
    rows, columns = np.nonzero(masks[0])
    assert rows.mean() == pytest.approx(0.6 * 64 - 0.5, abs=0.6) and columns.mean() == pytest.approx(25.1, abs=0.6)
    assert np.ptp(columns) == pytest.approx(0.75 * 32, abs=1.5)
    assert tuple(pictures["flat"][0, 0]) == (255, 255, 255)


def test_things_cast_a_shadow_on_the_ground_of_the_procedural_world(tmp_path: Path) -> None:
    seed = next(n for n in range(99) if isinstance(random_art(n, (CAT,) * 3).start.backdrop, Instant))
    scene = random_art(seed, (CAT,) * 3).start
    alone = draw_scene(ArtInstant(things=(), backdrop=scene.backdrop), "flat", Discs(tmp_path), 64)
    with_things = draw_scene(scene, "flat", Discs(tmp_path), 64)
    changed = np.abs(alone.astype(int) - with_things).max(2) > 8
    red = (with_things[..., 0] > 200) & (with_things[..., 1:].max(2) < 60)
    assert (changed & ~red).sum() > 10


@pytest.mark.parametrize("motion", ["slide", "bounce", "turn", "zoom"])
def test_every_motion_moves_the_thing(motion: str) -> None:
    scene = ArtScene(
        start=ArtInstant(things=(ArtThing(name=CAT, x=0.5, y=0.5, size=0.5),), backdrop=PlainBackdrop(colour="white")),
        motions=(motion,),
    )
    assert scene.at(0.3) != scene.at(0.6)
    assert scene.at(0.3) == scene.at(0.3)


def test_a_large_sprite_is_shrunk_without_aliasing() -> None:
    stripes = np.zeros((SIDE, SIDE, 4), np.uint8)
    stripes[:, ::2] = 255
    stripes[..., 3] = 255
    small = place_sprite(ArtThing(name=CAT, x=0.5, y=0.5, size=0.25), stripes, 64)
    inner = small[28:36, 28:36, 0]
    assert inner.min() > 0.45 and inner.max() < 0.55


def test_captions_name_thing_look_and_backdrop() -> None:
    scene = ArtInstant(things=(ArtThing(name=CAT, x=0.5, y=0.5, size=0.5),), backdrop=PlainBackdrop(colour="orange"))
    assert art_caption(scene, "3d") == "a 3d render of a cat on a plain orange background"
    assert art_caption(scene, "flat") == "a flat drawing of a cat on a plain orange background"
    for index in range(30):
        scene = training_art_instant(index)
        for thing in scene.things:
            assert thing.name.text in art_caption(scene, "gradient")


def test_svg_is_rendered_with_transparency() -> None:
    pytest.importorskip("resvg_py")
    picture = rasterise_svg('<rect width="16" height="32" fill="#f00"/>', 64)
    assert picture.shape == (64, 64, 4)
    assert tuple(picture[10, 10]) == (255, 0, 0, 255) and picture[10, 40, 3] == 0


def test_a_missing_package_without_npm_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PnPVideoError, match="npm"):
        packages.fetch_package(tmp_path, packages.FLAT)


@pytest.mark.parametrize("filters", [True, False])
def test_an_existing_archive_is_unpacked_without_npm(
    filters: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if not filters:  # as before Python 3.11.4
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    (tmp_path / "icons.json").write_text('{"icons": {"cat": {"body": "<g/>"}}}')
    with tarfile.open(
        tmp_path / f"iconify-json-fluent-emoji-flat-{packages.VERSIONS[packages.FLAT]}.tgz", "w:gz"
    ) as to:
        to.add(tmp_path / "icons.json", "package/icons.json")
    assert (packages.fetch_package(tmp_path, packages.FLAT) / "icons.json").exists()


@pytest.mark.parametrize("name", ["../out.json", "/out.json"])
def test_an_archive_that_leaves_its_folder_is_refused_before_python_3_11_4(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    archive = tmp_path / "art" / f"iconify-json-fluent-emoji-flat-{packages.VERSIONS[packages.FLAT]}.tgz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as to:
        to.addfile(tarfile.TarInfo(name))
    with pytest.raises(PnPVideoError, match="no plain file inside its folder"):
        packages.fetch_package(archive.parent, packages.FLAT)
    assert not list(tmp_path.rglob("out.json"))


def animated(folder: Path, frames: int) -> None:
    """A package whose cat is a white square that steps to the right in every frame."""
    assets = folder / f"lobehub-fluent-emoji-anim-1-{packages.VERSIONS[packages.ANIMATED]}" / "package" / "assets"
    assets.mkdir(parents=True)
    pictures = []
    for index in range(frames):
        pixels = np.zeros((64, 64, 4), np.uint8)
        pixels[16:48, 4 * index : 4 * index + 16] = 255
        pictures.append(Image.fromarray(pixels))
    pictures[0].save(
        assets / f"{CAT.code}.webp", save_all=True, append_images=pictures[1:], duration=40, lossless=True, disposal=2
    )


def test_an_animation_stands_on_its_backdrop(tmp_path: Path) -> None:
    animated(tmp_path, 9)
    frames = animation(tmp_path, CAT, 5, every=2, backdrop="red", size=128)
    assert len(frames) == 5 and frames[0].shape == (128, 128, 3)
    red = tuple(round(255 * value) for value in BACKDROP_COLOURS["red"])
    columns = []
    for frame in frames:
        assert tuple(frame[0, 0]) == tuple(frame[-1, -1]) == red
        columns.append(np.nonzero(frame[64].min(1) > 200)[0].mean())
    step = 2 * 4 * 109 / 64  # of two frames, on a drawing 109 pixels wide
    assert np.diff(columns) == pytest.approx([step] * 4, abs=1)


def test_a_drawing_that_does_not_move_long_enough_is_refused(tmp_path: Path) -> None:
    animated(tmp_path, 9)
    with pytest.raises(PnPVideoError, match="has 9 frames; 6, one in 2, need 11"):
        animation(tmp_path, CAT, 6, every=2)
    with pytest.raises(PnPVideoError, match="no animation of 'dog'"):
        animation(tmp_path, Name("dog", "dog", "1f415", False), 2)
