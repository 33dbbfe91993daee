"""LoRAs: every naming gives the paper's sum; the store tells results apart; what does not fit is said."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from pnpvideo.cli.main import main
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPTextModel

import pnpvideo
from pnpvideo.backends.customized import customized_fingerprint
from pnpvideo.backends.load import load
from pnpvideo.backends.loading import load_network
from pnpvideo.backends.lora import loras_of, merge_loras
from pnpvideo.backends.lora_file import LoraFile
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError, OptionError
from pnpvideo.injection import Conditioning
from pnpvideo.settings.options import Customization, Options
from tests.backends.originals import WIDTH, Tensors, unet

RANK, ALPHA = 4, 2.0
ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn2"
NETWORK_LAYERS = (
    *(f"{ATTENTION}.{layer}" for layer in ("to_q", "to_k", "to_v", "to_out.0")),
    "mid_block.attentions.0.proj_in",  # a convolution in 1.x
    "mid_block.attentions.0.transformer_blocks.0.ff.net.0.proj",
    "up_blocks.1.resnets.0.conv1",
)
TEXT_LAYERS = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.mlp.fc1")
Factors = dict[str, tuple[Tensor, Tensor]]


def factors(network: nn.Module, layers: tuple[str, ...], seed: int = 0) -> Factors:
    """Layer -> (down, up) of a LoRA for it, as trainers shape them."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for layer in layers:
        weight = network.get_submodule(layer).weight
        assert isinstance(weight, Tensor)
        down = torch.randn(RANK, *weight.shape[1:], generator=generator) / 10
        up = torch.randn(weight.shape[0], RANK, *(1 for _ in weight.shape[2:]), generator=generator) / 10
        found[layer] = (down, up)
    return found


def kohya(network: Factors, text: Factors, text_start: str = "lora_te_") -> tuple[Tensors, dict[str, str]]:
    return flat(
        {
            **{f"lora_unet_{layer}": pair for layer, pair in network.items()},
            **{f"{text_start}text_model_{layer}": pair for layer, pair in text.items()},
        }
    )


def original_kohya(network: Factors, text: Factors) -> tuple[Tensors, dict[str, str]]:
    """With the network's layers named as in the original code."""
    names = {name: next(iter(unet({f"{name}.weight": torch.zeros(1)}))).removesuffix(".weight") for name in network}
    return kohya({names[layer]: pair for layer, pair in network.items()}, text)


def flat(pairs: Factors) -> tuple[Tensors, dict[str, str]]:
    found: Tensors = {}
    for layer, (down, up) in pairs.items():
        name = layer.replace(".", "_")
        found |= {
            f"{name}.lora_down.weight": down,
            f"{name}.lora_up.weight": up,
            f"{name}.alpha": torch.tensor(ALPHA),
        }
    return found, {"ss_network_module": "networks.lora"}


def peft(network: Factors, text: Factors) -> tuple[Tensors, dict[str, str]]:
    found: Tensors = {}
    for start, part in (("unet.", network), ("text_encoder.text_model.", text)):
        for layer, (down, up) in part.items():
            found |= {f"{start}{layer}.lora_A.weight": down, f"{start}{layer}.lora_B.weight": up}
    about = {
        f"{part}.{name}": value for part in ("unet", "text_encoder") for name, value in (("r", RANK), ("lora_alpha", 2))
    }
    return found, {"lora_adapter_metadata": json.dumps(about)}


def first_diffusers(network: Factors, text: Factors) -> tuple[Tensors, dict[str, str]]:
    """As diffusers saved them at first: of attention, by its processor; without alpha, so it is in ``up`` here."""
    found: Tensors = {}
    for layer, (down, up) in network.items():
        parent, _, end = layer.partition(".to_")
        name = f"unet.{parent}.processor.to_{end.removesuffix('.0')}_lora" if end else f"unet.{layer}.lora"
        found |= {f"{name}.down.weight": down, f"{name}.up.weight": up * ALPHA / RANK}
    for layer, (down, up) in text.items():
        name = f"text_encoder.text_model.{layer}.lora_linear_layer"
        found |= {f"{name}.down.weight": down, f"{name}.up.weight": up * ALPHA / RANK}
    return found, {}


NAMINGS = {"kohya": kohya, "original kohya": original_kohya, "peft": peft, "first diffusers": first_diffusers}


@pytest.fixture(scope="module")
def parts(plain: StableDiffusion) -> tuple[Factors, Factors]:
    return factors(plain.network, NETWORK_LAYERS), factors(encoder_of(plain), TEXT_LAYERS, seed=1)


def encoder_of(model: StableDiffusion) -> nn.Module:
    encoder: nn.Module = model.text.encoders["text_encoder"]
    return encoder


def write(path: Path, made: tuple[Tensors, dict[str, str]]) -> Path:
    save_file({name: value.contiguous() for name, value in made[0].items()}, path, made[1])
    return path


def merged(plain: StableDiffusion, *stated: tuple[Path, float]) -> tuple[nn.Module, nn.Module]:
    """Copies of the network and the text encoder with LoRAs in them."""
    loras = loras_of([(str(path), scale) for path, scale in stated])
    network, text = deepcopy(plain.network), deepcopy(encoder_of(plain))
    merge_loras(loras, network, "unet")
    merge_loras(loras, text, "text_encoder")
    return network, text


@pytest.mark.parametrize(
    "naming",
    [pytest.param(each, marks=pytest.mark.slow) if each in ("kohya", "first diffusers") else each for each in NAMINGS],
)
def test_merged_weights_follow_the_equation(
    naming: str, plain: StableDiffusion, parts: tuple[Factors, Factors], tmp_path: Path
) -> None:
    path = write(tmp_path / "any name", NAMINGS[naming](*parts))
    network, text = merged(plain, (path, 0.7))
    for ours, before, changed in ((network, plain.network, parts[0]), (text, encoder_of(plain), parts[1])):
        for name, value in ours.state_dict().items():
            old, layer = before.state_dict()[name].double(), name.removesuffix(".weight")
            if layer in changed:
                down, up = (each.double() for each in changed[layer])
                change = torch.einsum("or,ri->oi", up.flatten(1), down.flatten(1)).reshape(old.shape)
                assert torch.allclose(value.double(), old + 0.7 * ALPHA / RANK * change, atol=1e-6), name
                assert not torch.equal(value.double(), old)
            else:
                assert torch.equal(value.double(), old), name


def test_merging_equals_layers_beside_the_weights(
    family: str, folder: Path, plain: StableDiffusion, parts: tuple[Factors, Factors], tmp_path: Path
) -> None:
    """As a LoRA is trained: y + scale * alpha / rank * up(down(x)), at every call of the layer."""
    tensors, _ = kohya(*parts, "lora_te1_" if family == "XL" else "lora_te_")
    changed = [(plain.network, parts[0]), (encoder_of(plain), parts[1])]
    if family == "XL":
        second = plain.text.encoders["text_encoder_2"]
        own = factors(second, (*(f"text_model.{layer}" for layer in TEXT_LAYERS), "text_projection"), seed=2)
        tensors |= flat({f"lora_te2_{layer}": pair for layer, pair in own.items()})[0]
        changed.append((second, own))
    path = write(tmp_path / "l.safetensors", (tensors, {}))
    stated = Customization(lora=((str(path), 0.7),))
    model = StableDiffusion(str(folder), torch.device("cpu"), torch.float32, customization=stated)

    def beside(down: Tensor, up: Tensor) -> Callable[..., Tensor]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            if isinstance(module, nn.Conv2d):
                low = nn.functional.conv2d(inputs[0], down, stride=module.stride, padding=module.padding)
                return output + 0.7 * ALPHA / RANK * nn.functional.conv2d(low, up)
            return output + 0.7 * ALPHA / RANK * (inputs[0] @ down.T) @ up.T

        return hook

    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    before = plain.embed("a fox")
    handles = [
        network.get_submodule(layer).register_forward_hook(beside(*pair))
        for network, pairs in changed
        for layer, pair in pairs.items()
    ]
    try:
        expected = plain.embed("a fox")
        output = plain.predict(x, 500, expected.batch())
    finally:
        for handle in handles:
            handle.remove()
    found = model.embed("a fox")
    for ours, theirs, old in zip(values(found), values(expected), values(before), strict=True):
        assert float((ours - theirs).abs().max()) < 1e-4 < float((ours - old).abs().max())
    assert float((model.predict(x, 500, found.batch()) - output).abs().max()) < 1e-3
    assert model.text.fingerprint != plain.text.fingerprint


def values(embedding: Conditioning) -> list[Tensor]:
    return [value for value in (embedding.tokens, embedding.pooled) if value is not None]


def test_loras_add_up_and_zero_changes_nothing(
    plain: StableDiffusion, parts: tuple[Factors, Factors], tmp_path: Path
) -> None:
    path = write(tmp_path / "l.safetensors", kohya(*parts))
    stated = (((path, 0.0),), ((path, 0.5), (path, 0.5)), ((path, 1.0),))
    nothing, twice, once = (merged(plain, *each)[0].state_dict() for each in stated)
    for name, value in plain.network.state_dict().items():
        assert torch.equal(nothing[name], value) and torch.allclose(twice[name], once[name], atol=1e-6)


@pytest.fixture(scope="module")
def first(folders_of_families: dict[str, Path]) -> Path:
    return folders_of_families["1.x"]


@pytest.fixture(scope="module")
def first_parts(first: Path) -> tuple[Factors, Factors]:
    network, text = bare(first)
    return factors(network, NETWORK_LAYERS), factors(text, TEXT_LAYERS, seed=1)


def bare(folder: Path) -> tuple[nn.Module, nn.Module]:
    """A UNet and a text encoder of the sizes of ``folder``'s, with other weights."""
    unet, text = (json.loads((folder / part / "config.json").read_text()) for part in ("unet", "text_encoder"))
    return UNet2DConditionModel.from_config(unet), CLIPTextModel(CLIPTextModel.config_class(**text))


def test_the_store_tells_results_apart(first: Path, first_parts: tuple[Factors, Factors], tmp_path: Path) -> None:
    network, text = first_parts
    path, copy = (write(tmp_path / name, kohya(network, {})) for name in ("a.safetensors", "b.safetensors"))
    other = write(tmp_path / "c.safetensors", kohya(network, text))

    def fingerprint(*loras: tuple[Path, float]) -> str:
        return customized_fingerprint(first, Customization(lora=tuple((str(file), scale) for file, scale in loras)))

    stated = (fingerprint(), fingerprint((path, 1.0)), fingerprint((path, 0.5)), fingerprint((other, 1.0)))
    assert len(set(stated)) == 4 and fingerprint((copy, 1.0)) == stated[1]


def test_half_precision_is_rounded_after_the_sum(
    first: Path, first_parts: tuple[Factors, Factors], tmp_path: Path
) -> None:
    path = write(tmp_path / "l.safetensors", kohya(*first_parts))
    stated = Customization(lora=((str(path), 1.0),))
    half = StableDiffusion(str(first), torch.device("cpu"), torch.bfloat16, customization=stated)
    assert half.network.dtype == torch.bfloat16
    full = load_network(UNet2DConditionModel, first / "unet", torch.float32)
    merge_loras(loras_of([(str(path), 1.0)]), full, "unet")
    for name, value in half.network.state_dict().items():
        assert torch.equal(value, full.state_dict()[name].bfloat16())


def test_a_translator_draws_with_its_lora(first: Path, first_parts: tuple[Factors, Factors], tmp_path: Path) -> None:
    path = write(tmp_path / "l.safetensors", kohya(*first_parts))
    frames = np.full((1, 64, 64, 3), 150, np.uint8)
    changes = [Customization(), Customization(lora=((str(path), 4.0),))]
    translators = [pnpvideo.load(first, device="cpu", customization=each) for each in changes]
    plain, changed = (each.backend for each in translators)
    assert changed.fingerprint != plain.fingerprint and changed.text.fingerprint != plain.text.fingerprint
    assert load(str(first), pnpvideo.Runtime(device="cpu"), customization=changes[1]) is changed
    prompts, sampling = pnpvideo.Prompts(source_prompt=""), pnpvideo.Sampling(steps=2, size=64)
    pictures = [each.translate_frames(frames, "a fox", prompts=prompts, sampling=sampling) for each in translators]
    assert not np.array_equal(pictures[0], pictures[1])
    with pytest.raises(OptionError, match=r"give it to pnpvideo\.load"):
        translators[0].translate_frames(frames, "a fox", customization=changes[1])


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name.replace(old, new): value for name, value in tensors.items()}


def only(name: str, *shape: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: torch.zeros(shape)}


KEY = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
WRONG: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "transformer": (
        only("transformer.blocks.0.attn.to_q.lora_A.weight", 4, 8),
        "is a LoRA for a diffusion transformer",
    ),
    "LoHa": (only(f"{KEY}.hada_w1_a", 4, 8), "is a LoHa"),
    "LoKr": (only(f"{KEY}.lokr_w1", 4, 8), "is a LoKr"),
    "DoRA": (lambda tensors: {**tensors, f"{KEY}.dora_scale": torch.zeros(8)}, "is a DoRA"),
    "another width": (
        lambda tensors: {
            f"{KEY}.lora_down.weight": torch.zeros(4, 1024),
            f"{KEY}.lora_up.weight": torch.zeros(64, 4),
        },
        r"is a LoRA for Stable Diffusion 2\.x: .* the model's is \(64, 32\)",
    ),
    "another model": (
        renamed("down_blocks_1", "down_blocks_7"),
        "changes the layer down_blocks_7.*made for another model",
    ),
    "half": (only(f"{KEY}.lora_down.weight", 4, 32), "has down alone"),
    "other ranks": (
        lambda tensors: {
            f"{KEY}.lora_down.weight": torch.zeros(4, 32),
            f"{KEY}.lora_up.weight": torch.zeros(64, 8),
        },
        "do not belong together",
    ),
    "unknown": (
        lambda tensors: {**tensors, "lora_unet_x.bias": torch.zeros(1)},
        "'lora_unet_x.bias', which belongs to no",
    ),
    "not finite": (
        lambda tensors: {name: torch.full_like(value, float("inf")) for name, value in tensors.items()},
        "is not finite",
    ),
    "no LoRA": (only("encoder.conv_in.weight", 4, 4, 3, 3), "is no model that is known here; accepted for --lora"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_what_is_no_lora_for_the_model_is_one_line(
    name: str, first: Path, first_parts: tuple[Factors, Factors], tmp_path: Path
) -> None:
    change, says = WRONG[name]
    tensors, metadata = kohya(*first_parts)
    network, text = bare(first)
    path = write(tmp_path / "l.safetensors", (change(tensors), metadata))
    with pytest.raises(ModelError, match=says) as refused:
        loras = loras_of([(str(path), 1.0)])
        merge_loras(loras, network, "unet")
        merge_loras(loras, text, "text_encoder")
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"PK\x03\x04", b"\xff" * 64])
def test_a_damaged_or_pickled_lora_is_exit_4(
    content: bytes, first: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "l.safetensors").write_bytes(content)
    arguments = ["translate", "samples/cut.mp4", "a fox", "-o", str(tmp_path / "o.mp4"), "--model"]
    lora = ["--lora", f"{tmp_path / 'l.safetensors'}:0.5"]
    assert main([*arguments, str(first), *lora]) == 4
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1 and "l.safetensors" in said and not (tmp_path / "o.mp4").exists()


def test_loras_are_options_in_every_place(tmp_path: Path) -> None:
    options = Options.from_flat({"lora": (("a.safetensors", 0.8),)})
    assert options.customization.lora == (("a.safetensors", 0.8),) == options.flat()["lora"]
    with pytest.raises(OptionError, match="strength of the LoRA"):
        Customization(lora=(("a", 1e9),))


def test_a_header_says_the_family(first_parts: tuple[Factors, Factors], tmp_path: Path) -> None:
    found = LoraFile.of(write(tmp_path / "l", kohya(*first_parts)), 1.0)
    assert found.text_width == WIDTH and "text of width 32" in found.family
    assert set(found.layers["text_encoder"]) == {name.replace(".", "_") for name in TEXT_LAYERS}


@pytest.mark.parametrize("model", ["1.x", "XL"])
def test_a_lora_of_the_other_family_is_one_line_and_exit_4(
    model: str,
    folders_of_families: dict[str, Path],
    first_parts: tuple[Factors, Factors],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    width = {"1.x": 2048, "XL": 768}[model]
    of_network: Tensors = {
        f"{KEY}.lora_down.weight": torch.zeros(4, width),
        f"{KEY}.lora_up.weight": torch.zeros(64, 4),
    }
    of_text, _ = kohya({}, first_parts[1], "lora_te1_" if model == "1.x" else "lora_te_")
    arguments = ["translate", "samples/cut.mp4", "a fox", "-o", str(tmp_path / "o.mp4"), "--quiet", "--model"]
    for tensors, made_for in (
        (of_network, {"1.x": "Stable Diffusion XL", "XL": "Stable Diffusion 1.x"}[model]),
        (of_text, {"1.x": "Stable Diffusion XL", "XL": "a model with one text encoder"}[model]),
    ):
        path = write(tmp_path / "l.safetensors", (tensors, {}))
        assert main([*arguments, str(folders_of_families[model]), "--lora", str(path)]) == 4
        said = capfd.readouterr().err
        assert f"is a LoRA for {made_for}, and" in said and len(said.splitlines()) == 1
