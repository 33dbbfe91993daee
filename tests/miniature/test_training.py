"""The recipe's losses, initial networks, ablation table, training loop and log."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import Attention
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from PIL import Image
from safetensors.torch import load_file

from pnpvideo.errors import PnPVideoError
from pnpvideo.miniature.recipe import attention as attention_module
from pnpvideo.miniature.recipe import carry, memory
from pnpvideo.miniature.recipe.ablation import ProbeBatch, ablate_levels, branches, level_of, mean_errors, noise_errors
from pnpvideo.miniature.recipe.attention import TrainingAttention, attention_with_kept_map
from pnpvideo.miniature.recipe.autoencoder import autoencoder_stage, encode_pictures, standardise_latents
from pnpvideo.miniature.recipe.data import Pictures
from pnpvideo.miniature.recipe.denoiser import MIN_SNR, error_over_scales, new_scheduler, new_unet, timestep_weights
from pnpvideo.miniature.recipe.losses import contrast_loss, sharpness_loss
from pnpvideo.miniature.recipe.samples import SampleSheet, sheet_captions
from pnpvideo.miniature.recipe.stage import (
    Stage,
    TrainingSettings,
    averaged_weights,
    fastest_dtype,
    has_weights,
    keep_weights,
    train,
)
from pnpvideo.miniature.recipe.warm_start import grow_autoencoder


def small_autoencoder(widths: tuple[int, ...] = (8, 16), channels: int = 4) -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        latent_channels=channels,
        norm_num_groups=4,
        mid_block_add_attention=False,
    )


def line(steps: int = 200, batch: int = 16) -> Stage:
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 1)

    def loss(step: int, draw: torch.Generator) -> torch.Tensor:
        return (module(torch.randn(batch, 3, generator=draw)) - 1).square().mean()

    return Stage(name="line", module=module, loss=loss, batch=batch, steps=steps, rate=1e-2)


class Grey(Pictures):
    """Ten pictures of noise on grey, without a file."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        self.count = self.scenes = 10
        self.noise = torch.randint(64, 192, (10, 3, 3, 256, 256), generator=draw, dtype=torch.uint8)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.noise[index]

    def half_size(self, index: int) -> torch.Tensor:
        return self.noise[index, :, :, ::2, ::2]

    def picture(self, index: int, column: int) -> torch.Tensor:
        return self.noise[index, column]

    def crop(self, index: int, column: int, top: int, left: int, side: int) -> torch.Tensor:
        return self.noise[index, column, :, top : top + side, left : left + side]


def test_timesteps_are_weighted_by_the_root_of_the_noise_and_less_where_there_is_hardly_any() -> None:
    alphas = torch.tensor([0.99, 0.9, 0.5, 0.2, 0.01], dtype=torch.float64)
    weights = timestep_weights(alphas)
    assert float(weights.mean()) == pytest.approx(1)
    for alpha, weight in zip(alphas.tolist(), (weights / weights[2]).tolist(), strict=True):
        snr = alpha / (1 - alpha)
        assert weight == pytest.approx(min(1, MIN_SNR / snr) / snr**0.5)


def test_every_scale_of_the_error_counts_and_coarse_ones_as_much_as_their_size() -> None:
    error = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    blocks = [error.reshape(2, 3, 8 // size, size, 8 // size, size).mean((3, 5)) for size in (1, 2, 4, 8)]
    scales = [size * each.square().mean((1, 2, 3)) for size, each in zip((1, 2, 4, 8), blocks, strict=True)]
    assert torch.allclose(error_over_scales(error), torch.stack(scales).mean(0))
    assert torch.allclose(error_over_scales(torch.ones(1, 1, 8, 8)), torch.tensor([(1 + 2 + 4 + 8) / 4]))


@pytest.mark.parametrize("loss", [contrast_loss, sharpness_loss])
def test_losses_are_zero_for_the_truth_and_rise_with_blur(loss) -> None:
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    assert float(loss(x, x)) == pytest.approx(0, abs=1e-3)
    assert float(loss(blurred, x)) > 0.1


def test_the_contrast_loss_depends_on_contrast_of_faint_detail_too() -> None:
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    fainter = 0.5 * x
    assert float(contrast_loss(fainter, x)) > 0.15
    faint = contrast_loss(0.05 * fainter, 0.05 * x)
    assert float(faint) == pytest.approx(float(contrast_loss(fainter, x)), abs=0.1)  # as much as a bold one


def test_the_sharpness_loss_compares_how_much_detail_there_is() -> None:
    draw = torch.Generator().manual_seed(0)
    x, other = (torch.rand(1, 3, 64, 64, generator=draw) * 2 - 1 for _ in range(2))
    assert float(sharpness_loss(x, x)) == 0
    assert float(sharpness_loss(0.5 * x, x)) == pytest.approx(0.5, abs=0.02)
    assert float(sharpness_loss(other, x)) < 0.05 < 0.5 < float(contrast_loss(other, x))  # grain in another place


def test_a_grown_autoencoder_computes_the_same_function() -> None:
    small = small_autoencoder((4, 8, 32))
    large = grow_autoencoder(small, small_autoencoder((8, 16, 32), channels=6))
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        before, after = small.encode(x).latent_dist, large.encode(x).latent_dist
        assert after.mean.shape[1] == 6
        assert torch.allclose(before.mean, after.mean[:, :4], atol=1e-4)
        assert torch.allclose(before.logvar, after.logvar[:, :4], atol=1e-4)
        assert after.mean[:, 4:].std() > 0
        assert torch.allclose(small.decode(before.mean).sample, large.decode(after.mean).sample, atol=1e-4)
    with pytest.raises(ValueError, match="fewer"):
        grow_autoencoder(large, small)


def test_standardised_latents_decode_to_the_same_pictures() -> None:
    model, world = small_autoencoder(), Grey()
    x = world.picture(0, 0)[None, :, :64, :64].float() / 127.5 - 1
    with torch.no_grad():
        before = model.decode(model.encode(x).latent_dist.mean).sample
        standardise_latents(model, [world], count=10)
        after = model.decode(model.encode(x).latent_dist.mean).sample
        latents = torch.cat(
            [model.encode(world.picture(i, i % 3)[None].float() / 127.5 - 1).latent_dist.mean for i in range(10)]
        )
    assert torch.allclose(before, after, atol=1e-3)
    assert torch.allclose(latents.mean((0, 2, 3)), torch.zeros(4), atol=1e-2)
    assert torch.allclose(latents.std((0, 2, 3)), torch.ones(4), atol=1e-2)
    assert model.config.scaling_factor == 1.0


def test_cached_latents_are_those_of_every_picture_and_its_mirror_image(tmp_path: Path) -> None:
    world, model = Grey(), small_autoencoder((8, 8, 8, 8))
    model.register_to_config(scaling_factor=0.5)
    for half_size in (False, True):
        path = tmp_path / f"{half_size}.npy"
        encode_pictures(model, world, path, "cpu", half_size=half_size, workers=2)
        latents = torch.from_numpy(np.load(path)).float()
        assert latents.shape == (10, 3, 2, 4, 16 if half_size else 32, 16 if half_size else 32)
        x = (world.half_size(7) if half_size else world[7])[1:2].float() / 127.5 - 1
        with torch.no_grad():
            for mirrored, picture in enumerate((x, x.flip(3))):
                expected = 0.5 * model.encode(picture).latent_dist.mean[0]
                assert torch.allclose(latents[7, 1, mirrored], expected, atol=2e-3)
        made = path.stat().st_mtime_ns
        encode_pictures(model, world, path, "cpu", half_size=half_size)
        assert path.stat().st_mtime_ns == made


def test_the_autoencoder_loss_depends_on_the_generator_alone() -> None:
    stage = autoencoder_stage(
        "autoencoder",
        small_autoencoder(),
        [(Grey(), 0.5), (Grey(), 0.5)],
        sides=((32, 0.5), (64, 0.5)),
        settings=TrainingSettings(batch=2, steps=5, rate=1e-3),
    )
    losses = [float(stage.loss(3, torch.Generator().manual_seed(3)).detach()) for _ in range(2)]
    assert losses[0] == losses[1] and losses[0] > 0


def test_attention_with_kept_map_equals_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_module, "CHUNK", 2 * 20 * 7)  # several parts, the last one shorter
    rng = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(1, 5, count, 8, generator=rng, dtype=torch.float64).requires_grad_() for count in (20, 7, 7)
    )
    expected = ((query @ key.mT) / 8**0.5).softmax(-1) @ value
    found = attention_with_kept_map(query, key, value)
    assert torch.allclose(found, expected, atol=1e-12)
    weight = torch.randn(found.shape, generator=rng, dtype=torch.float64)
    inputs = (query, key, value)
    for a, b in zip(
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("words", [None, 5])
def test_training_attention_computes_what_diffusers_does(words: int | None) -> None:
    torch.manual_seed(0)
    attention = Attention(query_dim=16, cross_attention_dim=words and 12, heads=2, dim_head=8)
    hidden, context = torch.randn(3, 10, 16), words and torch.randn(3, words, 12)
    expected = attention(hidden, context)
    attention.set_processor(TrainingAttention())
    assert torch.allclose(attention(hidden, context), expected, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        found = attention(hidden, context)
    assert found.dtype == torch.bfloat16 and torch.allclose(found.float(), expected, atol=0.02)


def test_the_denoiser_begins_with_every_branch_at_zero() -> None:
    unet = new_unet((8, 8, 16, 16))
    x = torch.randn(1, unet.config.in_channels, 16, 16)
    words = torch.randn(1, 4, unet.config.cross_attention_dim)
    assert float(unet(x, 500, words).sample.detach().abs().max()) == 0
    torch.nn.init.normal_(unet.conv_out.weight)
    whole = unet(x, 500, words).sample
    whole.square().mean().backward()
    parts = branches(unet)
    assert len(parts) > 20
    weights = [next(layer.parameters()) for layer in parts.values()]
    assert not any(weight.any() for weight in weights)
    assert all(weight.grad is not None and weight.grad.any() for weight in weights)


def test_the_error_of_the_mean_is_that_of_zeros_where_nothing_is_predicted_and_none_where_all_is_known() -> None:
    unet, alphas = new_unet((8, 8, 16, 16)), torch.zeros(1000)
    words = torch.randn(4, 4, unet.config.cross_attention_dim)
    probe = ProbeBatch(torch.zeros(4, unet.config.in_channels, 16, 16), words, words, alphas)
    noise = torch.randn(probe.latents.shape, generator=torch.Generator().manual_seed(0))
    means = 256 * float(noise.mean((2, 3)).square().mean())
    assert mean_errors(unet, probe) == pytest.approx([means] * 4)

    def perfect(sample: torch.Tensor, *_: object) -> UNet2DConditionOutput:
        return UNet2DConditionOutput(sample)  # without a picture the input is the noise

    unet.forward = perfect
    assert mean_errors(unet, probe) == [0, 0, 0, 0]


def test_the_ablation_table_finds_the_branch_that_contributes() -> None:
    torch.manual_seed(0)
    unet = new_unet((8, 8, 16, 16))
    torch.nn.init.normal_(unet.conv_out.weight, std=0.1)
    alive = "up_blocks.3.resnets.2"
    torch.nn.init.normal_(unet.get_submodule(alive).conv2.weight, std=0.1)
    probe = ProbeBatch(
        latents=torch.randn(2, unet.config.in_channels, 16, 16),
        context=torch.randn(2, 4, unet.config.cross_attention_dim),
        empty=torch.randn(2, 4, unet.config.cross_attention_dim),
        alphas=new_scheduler().alphas_cumprod,
    )
    found = ablate_levels(unet, probe)
    assert found["growth"]["empty caption"] == [0, 0, 0, 0]  # branches that read captions are at zero
    assert found["growth"]["level 3"] == [0, 0, 0, 0] and found["growth"]["levels 2 and below"] == [0, 0, 0, 0]
    assert max(abs(each) for each in found["growth"]["level 0"]) > 0
    assert found["shares"][alive] > 0 and found["shares"]["mid_block.resnets.0"] == 0
    assert found["streams"][alive] > 0
    assert noise_errors(unet, probe) == found["errors"]  # nothing stays cut
    assert [level_of(name, 3) for name in (alive, "mid_block.resnets.0", "down_blocks.1.resnets.0")] == [0, 3, 1]


def test_the_faster_dtype_is_chosen() -> None:
    seconds = {torch.float32: 2.0, torch.bfloat16: 3.0}
    assert fastest_dtype("cpu", seconds.__getitem__)[0] == torch.float32
    seconds[torch.bfloat16] = 1.0
    assert fastest_dtype("cpu", seconds.__getitem__) == (torch.bfloat16, {"torch.float32": 2.0, "torch.bfloat16": 1.0})
    assert fastest_dtype("cuda", seconds.__getitem__)[0] == torch.bfloat16


def test_the_log_counts_samples_per_hour(tmp_path: Path) -> None:
    stage = line()
    stage.inspect = lambda module, path: {"weights": float(next(module.parameters()).detach().abs().sum())}
    assert train(stage, tmp_path, time.monotonic() + 60, "cpu", workers=2)
    rows = [json.loads(row) for row in (tmp_path / "line.jsonl").read_text().splitlines()]
    assert set(rows[0]["seconds_a_batch"]) == {"torch.float32", "torch.bfloat16"}
    assert [row["samples"] for row in rows if "samples" in row] == [100 * 32, 200 * 32]
    assert all(row["samples_an_hour"] > 0 and row["samples_a_processor_hour"] > 0 for row in rows if "samples" in row)
    saved = torch.load(tmp_path / "line.pt", weights_only=True)
    weights = {name: float(saved[name]["weight"].abs().sum()) for name in ("averaged", "module")}
    assert rows[-1]["weights"] == pytest.approx(weights["averaged"]) != pytest.approx(weights["module"], abs=1e-6)
    assert rows[-1]["step"] == 200


def test_the_sheet_shows_a_picture_for_each_caption(tmp_path: Path) -> None:
    captions = sheet_captions(art=True)
    assert len(set(captions)) > 20 and sum("background" in text for text in captions) >= 3
    assert not any("3d" in text for text in sheet_captions(art=False))
    unet = new_unet((8, 8, 16, 16))
    context = torch.zeros(2, 4, unet.config.cross_attention_dim)
    autoencoder = small_autoencoder((8, 8, 8, 8), channels=unet.config.in_channels)
    SampleSheet(context, context[:1], autoencoder, new_scheduler()).draw(unet, 8, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet)
    assert pixels.shape == (64, 6 * 64, 3) and (pixels[:, 128:] == 255).all()
    assert all(pixels[:, left : left + 64].std() > 1 for left in (0, 64))


def test_the_rate_is_constant_between_warm_up_and_cooldown() -> None:
    stage = Stage(
        name="x", module=torch.nn.Identity(), loss=lambda *_: torch.zeros(()), batch=1, steps=1000, rate=1.0, warm_up=10
    )
    assert [stage.rate_at(step) for step in (0, 4, 9, 400, 799)] == [0.1, 0.5, 1, 1, 1]
    assert stage.rate_at(900) == pytest.approx(0.5) and stage.rate_at(999) == pytest.approx(0.005)


def test_a_stage_that_fits_the_run_ends_with_it(tmp_path: Path) -> None:
    stage = line(steps=10_000_000)
    assert train(stage, tmp_path, time.monotonic() + 0.2, "cpu", dtype=torch.float32, fit=True)
    step = torch.load(tmp_path / "line.pt", weights_only=True)["step"]
    assert train(line(steps=10_000_000), tmp_path, time.monotonic() + 60, "cpu", dtype=torch.float32)  # it is done
    assert torch.load(tmp_path / "line.pt", weights_only=True)["step"] == step > 0
    assert stage.rate_at(500, time_left=0.1) == stage.rate / 2 and stage.rate_at(500, time_left=0.5) == stage.rate


def test_a_nan_loss_is_an_error_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    stage, far = line(10), time.monotonic() + 60
    plain = stage.loss
    stage.loss = lambda step, draw: plain(step, draw) * (float("nan") if step == 5 else 1)
    assert not train(line(10), tmp_path, time.monotonic() - 1, "cpu", dtype=torch.float32)
    with pytest.raises(PnPVideoError, match="not a number at step 5"):
        train(stage, tmp_path, far, "cpu", dtype=torch.float32)
    assert torch.load(tmp_path / "line.pt", weights_only=True)["step"] == 0


def test_a_finished_stage_is_not_trained_again_from_its_reduced_checkpoint(tmp_path: Path) -> None:
    far = time.monotonic() + 60
    assert train(line(20), tmp_path, far, "cpu", dtype=torch.float32)
    average = averaged_weights(tmp_path, "line")
    path = keep_weights(tmp_path, "line", tmp_path / "kept")
    assert path == tmp_path / "kept" / "line.safetensors" and has_weights(path.parent, "line")
    assert train(line(40), path.parent, far, "cpu", dtype=torch.float32)
    assert not (path.parent / "line.pt").exists()
    kept = averaged_weights(path.parent, "line")
    assert all(torch.equal(kept[name], value.half().float()) for name, value in average.items())


def test_the_command_says_what_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(line(5), tmp_path, time.monotonic() + 60, "cpu", dtype=torch.float32)
    monkeypatch.setattr("sys.argv", ["carry", str(tmp_path), "line", str(tmp_path / "kept")])
    carry.main()
    path = Path(capsys.readouterr().out.strip())
    assert path == tmp_path / "kept" / "line.safetensors"
    assert {value.dtype for value in load_file(path).values()} == {torch.float16}


def test_an_unfinished_stage_goes_on_from_its_reduced_checkpoint(tmp_path: Path) -> None:
    stage = line(40)
    assert train(stage, tmp_path, time.monotonic() + 60, "cpu", dtype=torch.float32)
    saved = torch.load(tmp_path / "line.pt", weights_only=True)
    torch.save({**saved, "step": 30, "done": False}, tmp_path / "line.pt")
    keep_weights(tmp_path, "line", tmp_path / "kept")
    assert train(line(40), tmp_path / "kept", time.monotonic() + 60, "cpu", dtype=torch.float32)
    gone_on = torch.load(tmp_path / "kept" / "line.pt", weights_only=True)
    assert (gone_on["step"], gone_on["start"], gone_on["done"]) == (40, 30, True)
    assert gone_on["processor_seconds"] >= saved["processor_seconds"]
    moved = gone_on["module"]["weight"] - saved["averaged"]["weight"]
    assert 0 < float(moved.abs().max()) < 0.1  # ten small steps away from where it was
    assert stage.rate_at(35, start=30) == pytest.approx(stage.rate * 6 / stage.warm_up)


def test_an_unfinished_stage_is_kept_with_few_digits(tmp_path: Path) -> None:
    weights = torch.randn((20, 50), generator=torch.Generator().manual_seed(0))
    averaged = {"weight": weights, "bias": weights[0]}
    whole = {"module": {}, "averaged": averaged, "step": 3, "processor_seconds": 1.0}
    for done in (False, True):
        torch.save({**whole, "done": done}, tmp_path / "line.pt")
        found = load_file(keep_weights(tmp_path, "line", tmp_path / str(done)))
        kept = found["weight"]
        assert torch.equal(found["bias"], weights[0].half())  # which would shift what the network predicts
        assert kept.dtype == torch.float16 and kept.isfinite().all()
        off = float(((kept.float() - weights) / weights).abs().max())
        assert off < 1e-3 if done else 1e-3 < off <= 2**-6 + 1e-3
        assert len(set((kept.flatten().view(torch.int16) & 31).tolist())) == (32 if done else 1)


def test_freed_memory_is_kept_for_the_next_tensor() -> None:
    """In a process of its own, for it is changed for good: the second large block costs few page faults."""
    code = (
        "import resource\n"
        f"from {memory.__name__} import reuse_freed_memory\n"
        "print(int(reuse_freed_memory()))\n"
        "for _ in range(2):\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    block = bytearray(64 << 20)\n"
        "    del block\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    changed, first, second = map(int, made.stdout.split())
    assert not changed or second < first / 4
