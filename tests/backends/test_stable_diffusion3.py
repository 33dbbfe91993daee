"""Stable Diffusion 3: the same numbers as diffusers' pipeline, and what is refused."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    StableDiffusion3Pipeline,
)

from pnpvideo.backends.checkpoint import describe, locate_text
from pnpvideo.backends.joint_sites import joint_sites
from pnpvideo.backends.latent_model import LatentModel
from pnpvideo.backends.load import load
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.backends.text3 import T5_LENGTH, load_three_texts
from pnpvideo.diffusion.sample import sample
from pnpvideo.diffusion.solvers import DDIM, State
from pnpvideo.errors import ModelError, NoMatchingSite, OptionError
from pnpvideo.injection import Kind, Role, select, with_role
from pnpvideo.settings.options import Customization, Runtime
from pnpvideo.words.prompt_embedding import embed_prompt, token_weights
from pnpvideo.words.prompt_weights import Piece
from tests.joint import LENGTH, POOLED, WIDTH, pipeline_of, write_joint

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=["with T5", "without T5"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_joint(tmp_path_factory.mktemp("joint") / "random", t5=request.param == "with T5")


@pytest.fixture(scope="module")
def backend(folder: Path) -> StableDiffusion3:
    return StableDiffusion3(str(folder), CPU, torch.float32)


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> StableDiffusion3Pipeline:
    return pipeline_of(folder)


def noise(rows: int = 1, height: int = 8, width: int = 8) -> torch.Tensor:
    return torch.randn((rows, 16, height, width), generator=torch.Generator().manual_seed(0))


def test_texts_and_predictions_are_those_of_diffusers(
    backend: StableDiffusion3, pipeline: StableDiffusion3Pipeline
) -> None:
    with torch.no_grad():
        tokens, _, pooled, _ = pipeline.encode_prompt("a fox", "a fox", "a fox", do_classifier_free_guidance=False)
        x = noise(2, 4, 6)
        expected = pipeline.transformer(
            x, tokens.expand(2, -1, -1), pooled.expand(2, -1), torch.tensor([500.0, 500.0])
        ).sample
    found = backend.embed("a fox")
    assert found.pooled is not None and found.pooled.shape == (2 * POOLED,)
    assert found.tokens.shape == (LENGTH + T5_LENGTH, WIDTH) == (backend.text.length, backend.text.width)
    assert torch.equal(found.tokens, tokens[0]) and torch.equal(found.pooled, pooled[0])
    assert torch.equal(backend.predict(x, 500.0, found.batch(2)), expected)


def test_a_batch_is_its_pictures(backend: StableDiffusion3) -> None:
    x, text = noise(8), backend.embed("a fox")
    together = backend.predict(x, 250.0, text.batch(8))
    for row in range(8):
        assert torch.allclose(backend.predict(x[row : row + 1], 250.0, text.batch()), together[row], atol=1e-5)


def test_a_whole_sampling_with_guidance_is_that_of_diffusers(
    backend: StableDiffusion3, pipeline: StableDiffusion3Pipeline
) -> None:
    scale, steps = 4.0, 5
    asked = {"negative_prompt": "a hen", "guidance_scale": scale, "num_inference_steps": steps, "latents": noise()}
    expected = pipeline("a fox", **asked, output_type="latent").images
    picture = pipeline("a fox", **asked, output_type="np").images[0]
    schedule, fox, hen = backend.schedule(steps), backend.embed("a fox").batch(), backend.embed("a hen").batch()

    def guided(x: torch.Tensor, level: int) -> tuple[torch.Tensor, torch.Tensor]:
        positive, negative = (backend.predict(x, schedule.timestep(level), text) for text in (fox, hen))
        return x, negative + scale * (positive - negative)

    found = list(sample(guided, State(noise(), steps), schedule, DDIM()))[-1].x
    assert torch.allclose(found, expected, atol=1e-4)
    assert np.abs(backend.decode(found)[0] / 255 - picture).max() <= 0.5 / 255 + 1e-4


def test_pictures_are_encoded_as_diffusers_does(backend: StableDiffusion3) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 32, 48, 3), np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = (backend.vae.encode(x).latent_dist.mode() - 0.0609) * 1.5305
    assert torch.allclose(backend.encode(pixels), expected, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 7, 28])
def test_levels_are_those_of_the_scheduler(steps: int, backend: StableDiffusion3) -> None:
    theirs = FlowMatchEulerDiscreteScheduler(shift=3.0)
    theirs.set_timesteps(steps)
    for spacing in ("checkpoint", "karras"):
        schedule = backend.schedule(steps, spacing)
        assert np.allclose(schedule.noises[::-1], theirs.sigmas.numpy(), atol=1e-6)
        assert np.allclose(schedule.timesteps[::-1], theirs.timesteps.numpy(), atol=1e-3)


def test_it_is_loaded_by_its_folder_and_described_without_weights(folder: Path, backend: StableDiffusion3) -> None:
    loaded = load(str(folder), Runtime(device="cpu"))
    assert isinstance(loaded, StableDiffusion3) and loaded.fingerprint == backend.fingerprint
    found = describe(str(folder))
    assert (found.size, found.prediction, found.few_step) == (64, "flow", False) == (backend.size, "flow", False)
    assert backend.multiple == 16 and backend.latent_shape(64, 32) == (16, 4, 8)
    assert issubclass(StableDiffusion3, LatentModel) and issubclass(StableDiffusion, LatentModel)
    small, large = backend.footprint(32, 32), backend.footprint(64, 64)
    assert small.weights == large.weights > 0 and small.call < large.call and 4 * small.tokens == large.tokens
    with pytest.raises(OptionError, match="takes up to 128 pixels a side"):
        backend.latent_shape(64, 144)


def test_words_stand_among_the_tokens_of_clip(folder: Path) -> None:
    text = load_three_texts(folder, WIDTH, CPU, torch.float32)
    assert text.positions("a fox", "fox") == text.words.positions("a fox", "fox") and text.known("a")
    assert text.pieces("ab") == ("a", "b") and text.truncation("a") == ""
    with pytest.raises(ModelError, match="the network reads text of width 16"):
        load_three_texts(folder, 16, CPU, torch.float32)


def test_a_text_is_cut_off_where_the_encoder_that_reads_furthest_ends(folder: Path) -> None:
    text = load_three_texts(folder, WIDTH, CPU, torch.float32)
    medium, long = (" ".join(["a"] * words) for words in (60, 400))  # CLIP reads 18 here, T5 fewer than 256
    if text.t5 is None:
        assert text.truncation(medium) == text.words.truncation(medium) != ""
        return
    assert text.words.truncation(medium) and text.truncation(medium) == ""
    unread = text.truncation(long)
    read = text.t5[1](long.removesuffix(unread), verbose=False).input_ids
    assert unread.startswith("a") and T5_LENGTH - 1 <= len(read) <= T5_LENGTH  # a word may be two tokens


def test_each_tokenizer_has_a_block_of_the_tokens(backend: StableDiffusion3) -> None:
    """A letter is a token; T5 has one more where a word begins, which is of the word, and none for the start."""
    text = backend.text
    with_t5 = text.t5 is not None
    for prompt, phrase, clip, t5 in (
        ("a fox sits", "fox", (0, LENGTH, 2, 9), (LENGTH, LENGTH + T5_LENGTH, LENGTH + 2, LENGTH + 11)),
        ("a  Fox", "fox", (0, LENGTH, 2, 5), None),
        ("a red fox", "red fox", (0, LENGTH, 2, 8), (LENGTH, LENGTH + T5_LENGTH, LENGTH + 2, LENGTH + 10)),
        ("a foxy hen", "fox", (0, LENGTH, None, 9), (LENGTH, LENGTH + T5_LENGTH, None, LENGTH + 11)),
        ("", "fox", (0, LENGTH, None, 1), None),
        (
            20 * "b" + " fox",
            "fox",
            (0, LENGTH, None, LENGTH - 1),
            (LENGTH, LENGTH + T5_LENGTH, LENGTH + 21, LENGTH + 25),
        ),
    ):
        found = text.blocks(prompt, phrase)
        assert found[0] == clip and len(found) == 1 + with_t5
        assert not with_t5 or t5 is None or found[1] == t5, (prompt, found)


def test_weights_in_a_prompt_act_on_the_tokens_of_all_encoders(folder: Path, backend: StableDiffusion3) -> None:
    """Each letter is a token, after one for the start in CLIP, and in T5 after one that begins a word and is of it."""
    pieces = [Piece("a ", 1.0), Piece("fox", 1.5), Piece(" b", 1.0)]
    weights = token_weights(backend.text, pieces)
    assert weights.shape == (LENGTH + T5_LENGTH,)
    clip, t5 = weights[:LENGTH].tolist(), weights[LENGTH:].tolist()
    assert clip[:7] == [1, 1, 1.5, 1.5, 1.5, 1, 1] and set(clip[7:]) == {1}
    if backend.text.t5 is None:
        assert set(t5) == {1}
        return
    assert backend.text.t5[1].tokenize("a fox b") == ["▁", "a", "▁", "f", "o", "x", "▁", "b"]
    assert t5[:9] == [1, 1, 1.5, 1.5, 1.5, 1.5, 1, 1, 1] and set(t5[9:]) == {1}
    weighted, plain, empty = embed_prompt(backend, "a (fox:1.5) b"), backend.embed("a fox b"), backend.embed("")
    there = weights.unsqueeze(1)
    assert torch.allclose(weighted.tokens, empty.tokens + there * (plain.tokens - empty.tokens), atol=1e-6)
    assert weighted.pooled is not None and plain.pooled is not None and torch.equal(weighted.pooled, plain.pooled)


def test_sites_are_the_attentions_and_feed_forward_branches_of_every_block(joint_backend: StableDiffusion3) -> None:
    sites = joint_sites(joint_backend.network)
    names = [site.name.removeprefix("transformer_blocks.") for site in sites]
    assert names == ["0.attn", "0.attn2", "0.ff", "1.attn", "1.ff", "2.attn", "2.ff"]
    assert [site.name for site in with_role(sites, Role.STRUCTURE_FEATURES)] == ["transformer_blocks.1.ff"]
    assert {site.layer for site in with_role(sites, Role.STRUCTURE_ATTENTION)} == {1}
    with pytest.raises(NoMatchingSite, match="has no cross-attention; it attends to picture and text together"):
        select(sites, Kind.CROSS)


@pytest.mark.parametrize(
    ("depth", "features", "attention"),
    [(57, range(13, 20), range(20, 45)), (24, range(5, 8), range(8, 19)), (38, range(9, 13), range(13, 30))],
)
def test_the_blocks_of_both_roles_are_those_of_reflex_by_depth(depth: int, features: range, attention: range) -> None:
    """Of FLUX, which has 57, its own; of 3 medium and 3.5 large, by share."""
    block = SimpleNamespace(attn2=None)
    sites = joint_sites(SimpleNamespace(transformer_blocks=[block] * depth))
    assert [site.layer for site in with_role(sites, Role.STRUCTURE_FEATURES)] == list(features)
    assert [site.layer for site in with_role(sites, Role.STRUCTURE_ATTENTION)] == list(attention)


def test_half_precision_leaves_clip_and_the_autoencoder_in_fp32(folder: Path) -> None:
    half = StableDiffusion3(str(folder), CPU, torch.bfloat16)
    assert half.network.dtype == torch.bfloat16 and half.vae.dtype == torch.float32
    assert half.predict(noise(), 500.0, half.embed("a fox").batch()).dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"lora": (("x.safetensors", 1.0),)}, "LoRAs go with 1.x, 2.x and XL alone"),
        ({"embedding": (("x.safetensors", "x"),)}, "textual inversions go with"),
        ({"vae": "x"}, "other autoencoders go"),
        ({"prediction": "epsilon"}, "other predictions go"),
        ({"few_step": "lcm"}, "few-step distillations go"),
    ],
)
def test_what_changes_other_families_is_refused(changes: dict[str, Any], match: str, folder: Path) -> None:
    with pytest.raises(ModelError, match=match):
        StableDiffusion3(str(folder), CPU, torch.float32, customization=Customization(**changes))


def test_controlnets_and_directions_are_refused(backend: StableDiffusion3, folder: Path) -> None:
    assert backend.controlnets(()) == ()
    with pytest.raises(ModelError, match="canny: ControlNets go with"):
        backend.controlnets(("canny",))
    with pytest.raises(ModelError, match="edit directions are for"):
        locate_text(str(folder))


def test_a_unet_with_a_flow_matching_scheduler_is_refused(checkpoint: Path, folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    shutil.copy(folder / "scheduler" / "scheduler_config.json", copy / "scheduler" / "scheduler_config.json")
    with pytest.raises(ModelError, match="which goes with Stable Diffusion 3 alone"):
        StableDiffusion(str(copy), CPU, torch.float32)


@pytest.mark.parametrize(
    ("part", "changes", "match"),
    [
        ("scheduler/scheduler_config.json", {"use_dynamic_shifting": True}, "use_dynamic_shifting is True; accepted"),
        ("scheduler/scheduler_config.json", {"shift": "much"}, "shift is 'much'"),
        ("transformer/config.json", {"_class_name": "FluxTransformer2DModel"}, "a diffusion transformer"),
        ("transformer/config.json", {"sample_size": 0}, "sample_size is 0"),
        ("vae/config.json", {"shift_factor": 1e9}, "shift_factor is"),
    ],
)
def test_what_does_not_fit_is_refused(
    part: str, changes: dict[str, Any], match: str, folder: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / part).write_text(json.dumps({**json.loads((copy / part).read_text()), **changes}))
    with pytest.raises(ModelError, match=match):
        StableDiffusion3(str(copy), CPU, torch.float32)
