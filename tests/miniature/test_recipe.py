"""The recipe: it resumes exactly, and its exports load as any checkpoint does."""

import multiprocessing
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoProcessor, BlipForConditionalGeneration, CLIPModel, CLIPProcessor

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import PnPVideoError
from pnpvideo.measure.judge import Judge, Tower, model_type
from pnpvideo.miniature import WEIGHTS
from pnpvideo.miniature.recipe import __main__ as recipe
from pnpvideo.miniature.recipe import data, samples
from pnpvideo.miniature.recipe import stage as stage_module
from pnpvideo.miniature.recipe.augmentation import PATCH, Augmentation, preprocess
from pnpvideo.miniature.recipe.data import LOOKS_PER_SCENE, Pictures, make_shards, training_instant, training_styles
from pnpvideo.miniature.recipe.judge import patch_contents
from pnpvideo.miniature.recipe.stage import Stage, averaged_weights, keep_weights, train
from pnpvideo.miniature.recipe.workers import Gradients, batch_workers
from pnpvideo.miniature.world import STYLES, render, trace_gbuffer
from pnpvideo.miniature.world.shapes import SHAPES
from pnpvideo.words.caption import Captioner


@pytest.fixture(scope="module")
def small_shards() -> object:
    """Shards of two scenes, rendered here: a pool of processes would be started for nothing. Sheets of three pictures,
    drawn in one step."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (data, recipe):
            patch.setattr(module, "SHARD", 2)
        patch.setattr(samples, "COUNT", 3)
        patch.setattr(samples, "STEPS", 1)
        contexts = multiprocessing.get_context
        patch.setattr(multiprocessing, "get_context", lambda kind: NoPool() if kind == "spawn" else contexts(kind))
        yield


class NoPool:
    def Pool(self, *_: object) -> "NoPool":
        return self

    def __enter__(self) -> "NoPool":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def starmap(self, call, tasks, chunksize: int) -> None:
        for task in tasks:
            call(*task)


@pytest.fixture(scope="module")
def made(small_shards: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every stage run for two steps on four scenes, in two slices, and exported."""
    folder = tmp_path_factory.mktemp("recipe")
    steps = [f"--{name}-steps=2" for name in recipe.STAGES]
    scenes = ["--scenes=4", "--half-size-scenes=2", "--art-scenes=0"]
    asked = [
        "recipe",
        "--folder",
        str(folder),
        *scenes,
        "--batch=0.1",
        "--widths=8,8,16,16",
        *steps,
        "--precision=bf16",
        f"--kept={folder / 'kept'}",
    ]
    with pytest.MonkeyPatch.context() as patch:
        start = f"--start-from={WEIGHTS}"
        patch.setattr(sys, "argv", [*asked, "--only=autoencoder", start, f"--export={folder / 'never'}"])
        recipe.main()
        assert (folder / "pid").read_text() == f"{os.getpid()}\n"
        patch.setattr(sys, "argv", [*asked, start, f"--export={folder / 'made'}"])
        recipe.main()
    assert not (folder / "never").exists()
    assert {path.name for path in folder.glob("*.png")} == {"half-size-denoiser-2.png", "denoiser-2.png"}
    return folder / "made"


def test_shards_hold_renders_of_the_world(made: Path) -> None:
    pictures = Pictures(made.parent / "data", 4, 2)
    assert len(pictures) == 4 and pictures[3].shape == (LOOKS_PER_SCENE, 3, 256, 256)
    assert pictures.scenes == 6
    half = torch.nn.functional.avg_pool2d(pictures[3].float(), 2)
    assert (pictures.half_size(3).float() - half).abs().max() <= 0.5
    small = render([training_instant(5)], list(training_styles(5)), 128)[training_styles(5)[2]][0]
    assert torch.equal(pictures.half_size(5)[2], (small * 255).round().to(torch.uint8))
    styles = training_styles(3)
    assert len(set(styles)) == LOOKS_PER_SCENE and set(styles) < set(STYLES)
    fresh = (render([training_instant(3)], list(styles), 256)[styles[1]][0] * 255).round().to(torch.uint8)
    assert torch.equal(pictures.picture(3, 1), fresh)
    assert torch.equal(pictures.crop(3, 1, 8, 16, 24), fresh[:, 8:32, 16:40])


def test_stages_begin_with_kept_weights(
    made: Path, small_shards: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("whole-autoencoder", "sight", "captioner", "denoiser")
    for name in names:
        keep_weights(made.parent, name, tmp_path / "kept")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "data").symlink_to(made.parent / "data")
    asked = ["recipe", "--folder", str(folder), "--scenes=4", "--half-size-scenes=2", "--art-scenes=0"]
    asked += ["--batch=0.1", "--widths=8,8,16,16", f"--kept={tmp_path / 'kept'}", f"--export={folder / 'made'}"]
    monkeypatch.setattr(sys, "argv", asked + [f"--{name}-steps=2" for name in recipe.STAGES])
    recipe.main()
    assert not list(folder.glob("*.pt"))  # every stage was done already, half of them by what follows them
    exported = [path.relative_to(made) for path in made.rglob("*.safetensors")]
    assert len(exported) > 4
    for path in exported:
        before, after = load_file(made / path), load_file(folder / "made" / path)
        assert all(torch.allclose(before[name], after[name], atol=2e-2) for name in before)


def test_existing_shards_are_not_rendered_again(made: Path, small_shards: object) -> None:
    before = {path: path.stat().st_mtime_ns for path in (made.parent / "data").iterdir()}
    make_shards(made.parent / "data", 2, more=1)
    assert {path: path.stat().st_mtime_ns for path in (made.parent / "data").iterdir()} == before


def test_shards_of_other_scenes_are_refused(made: Path, small_shards: object, tmp_path: Path) -> None:
    """Captions are those of this version, so they would belong to other pictures."""
    shutil.copytree(made.parent / "data", tmp_path / "data")
    path = next(each for each in sorted((tmp_path / "data").iterdir()) if each.name == "pictures-0001.npy")
    np.save(path, np.load(path)[::-1])
    with pytest.raises(PnPVideoError, match=r"pictures-0001\.npy shows other scenes than this version renders"):
        make_shards(tmp_path / "data", 2, more=1)


def test_patch_contents_match_the_scene() -> None:
    scenes = [training_instant(2), training_instant(5)]
    shares = patch_contents(scenes, [Augmentation(), Augmentation()], "cpu")
    assert shares.shape == (2, 64, 2 + len(SHAPES))
    assert torch.allclose(shares.sum(-1), torch.ones(2, 64))
    for scene, row in zip(scenes, shares, strict=True):
        seen = {list(SHAPES)[index] for index in (row[:, 2:].sum(0) > 0).nonzero().flatten()}
        assert seen <= {thing.shape for thing in scene.things} and seen
        assert row[:8, 0].mean() > 0.5 and row[-8:, 1].mean() > 0.3  # sky above, ground below


def test_an_augmentation_moves_picture_and_patches_together() -> None:
    scene = training_instant(2)
    augmentation = Augmentation(flipped=True, right=-1, down=1, brightness=0.5)
    picture = (torch.arange(3 * 128 * 128) % 251).reshape(3, 128, 128).to(torch.uint8)
    seen = augmentation.apply(picture)
    step = PATCH // 2
    assert torch.equal(seen[:, step:, :-step], (picture.flip(2)[:, :-step, step:].float() * 0.5).to(torch.uint8))
    assert torch.equal(seen[:, :step], seen[:, step : step + 1].expand(-1, step, -1))
    assert torch.equal(Augmentation().apply(picture), picture)

    def grid(augmentation: Augmentation) -> torch.Tensor:
        return patch_contents([scene], [augmentation], "cpu").unflatten(1, (8, 8))[0]

    assert torch.equal(grid(Augmentation(flipped=True)), grid(Augmentation()).flip(1))
    sky = (trace_gbuffer([scene], 16, "cpu").ids.reshape(16, 16) == 0).float()
    moved = sky[:, (torch.arange(16) - 1).clamp(0)]  # what a half patch to the right uncovers repeats the edge
    assert torch.equal(grid(Augmentation(right=1))[..., 0], moved.reshape(8, 2, 8, 2).mean((1, 3)))
    moved = sky.flip(1)[(torch.arange(16) - 1).clamp(0)][:, (torch.arange(16) + 1).clamp(max=15)]
    assert torch.equal(grid(augmentation)[..., 0], moved.reshape(8, 2, 8, 2).mean((1, 3)))


def test_scenes_that_fill_no_whole_shard_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no whole shards"):
        Pictures(tmp_path, data.SHARD + 1, data.SHARD)
    monkeypatch.setattr(sys, "argv", ["recipe", "--folder", str(tmp_path), "--scenes=7"])
    with pytest.raises(SystemExit):
        recipe.main()


def test_the_export_is_a_complete_checkpoint(made: Path) -> None:
    backend = StableDiffusion(str(made), torch.device("cpu"), torch.float32)
    picture = np.full((1, 64, 64, 3), 128, np.uint8)
    assert backend.decode(backend.encode(picture)).shape == picture.shape
    judge = CLIPModel.from_pretrained(made / "judge", dtype=torch.float32)
    text = judge.text_model.state_dict()
    for name, value in backend.text.encoders["text_encoder"].state_dict().items():
        assert torch.allclose(value, text[name], atol=2e-3), name  # the same tower, once in fp16


def test_judge_and_captioner_load_with_transformers(made: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)
    judge = Judge(str(made / "judge"))
    direct = CLIPModel.from_pretrained(made / "judge", dtype=torch.float32).eval()
    given = CLIPProcessor.from_pretrained(made / "judge")(text=["a red ball"], images=[picture], return_tensors="pt")
    with torch.no_grad():
        cosine = float(direct(**given).logits_per_image / direct.logit_scale.exp())
    assert float(judge.cosines([picture], ["a red ball"])) == pytest.approx(cosine, abs=1e-5)
    assert model_type(str(made / "judge")) == "clip" and model_type(str(made / "captioner")) == "blip"
    assert Tower.load(str(made / "judge")).keys([picture]).shape == (1, 65, 128)

    said = Captioner(made / "captioner").captions([picture, picture])
    assert len(said) == 2 and said[0] == said[1]
    assert isinstance(AutoModel.from_pretrained(made / "captioner").config.vision_config.hidden_size, int)
    network = BlipForConditionalGeneration.from_pretrained(made / "captioner", dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(made / "captioner")
    tokens = network.generate(**processor(images=picture, return_tensors="pt"), max_new_tokens=40, do_sample=False)
    assert processor.decode(tokens[0], skip_special_tokens=True).strip() == said[0]


def test_training_preprocesses_as_the_exported_processor_does(made: Path) -> None:
    picture = (render([training_instant(1)], ["cartoon"], 256)["cartoon"] * 255).round().to(torch.uint8)
    trained = preprocess(picture)
    shown = Judge(str(made / "judge")).tower.preprocess([picture[0].permute(1, 2, 0).numpy()])
    assert (trained - shown).abs().mean() < 0.05


def test_workers_average_their_gradients(tmp_path: Path) -> None:
    def stage(module: torch.nn.Module, batches: int) -> Stage:
        def loss(step: int, draw: torch.Generator) -> torch.Tensor:
            numbers = range(step * batches, (step + 1) * batches)
            x = torch.cat([torch.randn(4, 3, generator=torch.Generator().manual_seed(n)) for n in numbers])
            return (module(x) - 1).square().mean()

        return Stage(name="line", module=module, loss=loss, batch=4 * batches, steps=5, rate=1e-2, warm_up=3)

    found = []
    for workers in (1, 2):
        torch.manual_seed(0)
        module = torch.nn.Linear(3, 1)
        far = time.monotonic() + 60
        train(
            stage(module, 2 if workers == 1 else 1),
            tmp_path / str(workers),
            far,
            "cpu",
            workers=workers,
            dtype=torch.float32,
        )
        found.append(torch.cat([p.detach().flatten() for p in module.parameters()]))
    assert torch.allclose(found[0], found[1], atol=1e-6)
    assert found[0].abs().sum() > 0


@pytest.mark.parametrize("fault", ["raises", "is killed"])
def test_a_worker_that_fails_ends_the_training_with_an_error(fault: str, tmp_path: Path) -> None:
    module, parent = torch.nn.Linear(3, 1), os.getpid()

    def loss(step: int, draw: torch.Generator) -> torch.Tensor:
        if step >= 6 and os.getpid() != parent:
            if fault == "is killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("no memory")
        found: torch.Tensor = module(torch.randn(4, 3, generator=draw)).square().mean()
        return found

    stage = Stage(name="line", module=module, loss=loss, batch=4, steps=50, rate=1e-2)
    with pytest.raises(PnPVideoError, match="no memory" if fault == "raises" else "a worker of the training has ended"):
        train(stage, tmp_path, time.monotonic() + 60, "cpu", workers=2, dtype=torch.float32)
    assert not multiprocessing.active_children()


def test_without_forks_one_process_computes_all_batches() -> None:
    asked: list[int] = []

    def gradients(number: int) -> Gradients:
        asked.append(number)
        return torch.tensor(float(number)), (torch.full((1, 3), float(number)), None)

    with batch_workers(gradients, torch.nn.Linear(3, 1), 3, "meta") as workers:
        found = workers.batches(2)
    assert asked == [6, 7, 8] and workers.processor_seconds == 0
    assert [float(loss) for loss, _ in found] == [6, 7, 8]


def test_forks_compute_the_other_batches_with_the_parameters_as_they_are_now() -> None:
    module = torch.nn.Linear(3, 1)

    def gradients(number: int) -> Gradients:
        weight = number * module.weight.detach() + float(os.getpid() == parent)
        return torch.tensor(float(number)), (weight.clone(), None)

    parent = os.getpid()
    with batch_workers(gradients, module, 3, "cpu") as workers:
        for step, value in enumerate((1.0, 5.0)):
            with torch.no_grad():
                module.weight.fill_(value)
            found = [grads for _, grads in workers.batches(step)]
            assert [float(weight[0, 0]) for weight, _ in found if weight is not None] == [
                3 * step * value + 1,
                (3 * step + 1) * value,
                (3 * step + 2) * value,
            ]
            assert all(bias is None for _, bias in found)
    assert not multiprocessing.active_children()


def test_an_interrupted_run_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stage(steps: int) -> Stage:
        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))

        def loss(step: int, draw: torch.Generator) -> torch.Tensor:
            x = torch.randn(16, 3, generator=draw)
            return (module(x) - x.sum(1, keepdim=True)).square().mean()

        return Stage(name="line", module=module, loss=loss, batch=16, steps=steps, rate=1e-2, warm_up=3)

    far = time.monotonic() + 60
    assert train(stage(40), tmp_path / "whole", far, "cpu", dtype=torch.float32)
    interrupted = stage(40)
    spent, plain = 0, interrupted.loss

    def counted(step: int, draw: torch.Generator) -> torch.Tensor:
        nonlocal spent
        spent += 1
        if spent == 15:
            raise KeyboardInterrupt
        return plain(step, draw)

    assert not train(
        stage(40), tmp_path / "sliced", time.monotonic() - 1, "cpu", dtype=torch.float32
    )  # no time at all: step 0 is kept
    interrupted.loss = counted
    monkeypatch.setattr(stage_module, "SAVE_SECONDS", -1)  # every step is kept, as if each took minutes
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, tmp_path / "sliced", far, "cpu", dtype=torch.float32)
    assert torch.load(tmp_path / "sliced" / "line.pt", weights_only=True)["step"] == 14
    assert train(stage(40), tmp_path / "sliced", far, "cpu", dtype=torch.float32)
    whole, sliced = (averaged_weights(tmp_path / name, "line") for name in ("whole", "sliced"))
    assert all(torch.equal(whole[name], sliced[name]) for name in whole)
