"""No NaN becomes a picture: it is computed again in fp32, or it is an error that names the place."""

import copy
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.engine.shot import ClipTranslator
from pnpvideo.errors import NotFiniteError
from pnpvideo.events import Event, Notice, ignore
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.video.clip import Frame, Shot
from pnpvideo.video.drawings import Drawings

STEPS, FRAMES = 3, 2
MakeOptions = Callable[..., Options]


@pytest.fixture
def backend(checkpoint: Path) -> StableDiffusion:
    """A model of its own, which a test may damage."""
    return StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)


def run(backend: StableDiffusion, options: Options, said: list[Event] | None = None) -> np.ndarray:
    """The translated drawings of a short clip."""
    pictures = np.random.default_rng(0).integers(0, 256, (FRAMES, 32, 32, 3), np.uint8)
    frames = tuple(Frame(index, Fraction(index, 8), picture) for index, picture in enumerate(pictures))
    store = Store(options.runtime.store)
    translator = ClipTranslator.of(backend, options, "a fox", store, ignore if said is None else said.append)
    made = translator.translate(Shot(0, frames), Drawings(frames, tuple(range(FRAMES))), (32, 32))
    translator.finish()
    return made.pictures


@contextmanager
def spoiled(module: nn.Module, when: Callable[[int, Tensor], bool], value: float = float("nan")) -> Iterator[list[int]]:
    """One number of the module's output is ``value`` in those calls, counted from 0, for which ``when`` holds."""
    calls: list[int] = []

    def spoil(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        calls.append(len(calls))
        found = output[0] if isinstance(output, tuple) else output
        if not when(calls[-1], found):
            return output
        worse = found.clone()
        worse.view(-1)[0] = value
        return (worse, *output[1:]) if isinstance(output, tuple) else worse

    handle = module.register_forward_hook(spoil)
    try:
        yield calls
    finally:
        handle.remove()


def at(number: int) -> Callable[[int, Tensor], bool]:
    """A condition for ``spoiled``: call ``number`` alone."""
    return lambda call, _: call == number


def stored(store: Path) -> list[Tensor]:
    """Every tensor that the store holds."""
    return [tensor for path in store.rglob("*.safetensors") for tensor in load_file(path).values()]


METHODS: dict[str, dict[str, Any]] = {
    "flow": {"coherence": "flow", "keyframe_every": 2},
    "joint": {"coherence": "joint", "keyframe_every": 2},
    "pix2pix-zero": {"method": "pix2pix-zero", "coherence": "none", "regularize": 0},
    "sdedit": {"method": "sdedit", "coherence": "none", "strength": 1.0},
}

KEPT_BACKGROUND: dict[str, Any] = {
    **{"coherence": "none", "keep_background": True},
    **{"change": ("hen", "fox"), "source_prompt": "a hen"},
}


@pytest.mark.parametrize("name", METHODS)
def test_a_spoiled_answer_of_the_network_at_any_call_is_an_error_that_names_the_place(
    name: str, backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    asked = options(steps=STEPS, **METHODS[name])
    with spoiled(backend.network, lambda call, _: False) as calls:
        run(backend, asked)
    for number in {0, len(calls) // 2, 2 * len(calls) // 3, len(calls) - 1}:
        store = tmp_path / f"store-{number}"
        with (
            spoiled(backend.network, at(number), float("inf" if number % 2 else "nan")),
            pytest.raises(NotFiniteError, match=r"(invert|sample), step \d of 3, shot 1: .* holds NaN or infinity"),
        ):
            run(backend, options(steps=STEPS, store=store, **METHODS[name]))
        assert all(bool(tensor.isfinite().all()) for tensor in stored(store))


@pytest.mark.parametrize(
    "layer", ["down_blocks.0.attentions.0", "mid_block", "up_blocks.1.attentions.1", "up_blocks.3"]
)
@pytest.mark.parametrize("name", ["flow", "pix2pix-zero"])
def test_a_spoiled_layer_is_found_in_passes_that_stop_early_too(
    layer: str, name: str, backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    module, known = backend.network.get_submodule(layer), tmp_path / "known"
    run(backend, options(steps=STEPS, store=known, **METHODS[name]))  # the inversion: what follows is sampling
    with spoiled(module, lambda call, _: False) as calls:
        run(backend, options(steps=STEPS, store=known, **METHODS[name]))
    assert calls
    for number in calls[:: max(1, len(calls) // 5)]:
        store = shutil.copytree(known, tmp_path / f"store-{number}")
        with spoiled(module, at(number)), pytest.raises(NotFiniteError, match="sample"):
            run(backend, options(steps=STEPS, store=store, **METHODS[name]))


def test_a_spoiled_decoder_or_encoder_is_an_error(backend: StableDiffusion, options: MakeOptions) -> None:
    for part, stage in ((backend.vae.decoder, "decode"), (backend.vae.encoder, "encode")):
        with (
            spoiled(part, lambda call, _: call == FRAMES - 1),
            pytest.raises(NotFiniteError, match=f"{stage}, step {FRAMES} of {FRAMES}, shot 1: the autoencoder's"),
        ):
            run(backend, options(steps=STEPS, method="sdedit"))


@pytest.mark.parametrize(
    ("part", "file", "weight"),
    [
        ("text_encoder", "model.safetensors", "final_layer_norm.weight"),
        ("unet", "diffusion_pytorch_model.safetensors", "conv_out.bias"),
        ("vae", "diffusion_pytorch_model.safetensors", "decoder.conv_out.bias"),
        ("vae", "diffusion_pytorch_model.safetensors", "encoder.conv_in.bias"),
    ],
)
def test_damaged_weights_leave_no_output_and_what_was_there_stays(
    part: str,
    file: str,
    weight: str,
    checkpoint: Path,
    clip_of: Callable[..., Path],
    options: MakeOptions,
    tmp_path: Path,
) -> None:
    copied = shutil.copytree(checkpoint, tmp_path / "damaged")
    tensors = load_file(copied / part / file)
    (name,) = (name for name in tensors if name.endswith(weight))
    tensors[name][0] = float("nan")
    save_file(tensors, copied / part / file, metadata={"format": "pt"})
    output = tmp_path / "out.mkv"
    output.write_bytes(b"before")
    with pytest.raises(NotFiniteError, match="holds NaN or infinity; the checkpoint may be damaged"):
        translate(clip_of(2), "a fox", output, options(model=str(copied), overwrite=True))
    assert output.read_bytes() == b"before"
    assert {path.name for path in tmp_path.iterdir()} <= {"damaged", "in.mp4", "out.mkv", "store"}


@pytest.mark.parametrize("given", [*METHODS.values(), KEPT_BACKGROUND], ids=[*METHODS, "kept background"])
def test_what_overflows_in_half_precision_is_computed_again_in_fp32(
    given: dict[str, Any], checkpoint: Path, options: MakeOptions, tmp_path: Path
) -> None:
    half = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.bfloat16)
    rounded = StableDiffusion(str(checkpoint), torch.device("cpu"), torch.float32)
    rounded.network.load_state_dict(copy.deepcopy(half.network).float().state_dict())
    expected = run(rounded, options(steps=STEPS, store=tmp_path / "one", **given))
    said: list[Event] = []
    with spoiled(half.network.conv_out, lambda _, output: output.dtype == torch.bfloat16, float("inf")):
        found = run(half, options(steps=STEPS, store=tmp_path / "other", **given), said)
    assert np.array_equal(found, expected)
    assert half.network.dtype == torch.bfloat16
    notices = [event.message for event in said if isinstance(event, Notice)]
    assert notices.count("half precision gave NaN or infinity; such steps are computed again in fp32") == 1


def test_a_spoiled_text_encoder_is_an_error(backend: StableDiffusion) -> None:
    (encoder,) = backend.text.encoders.values()
    (norm,) = (part for name, part in encoder.named_modules() if name.endswith("final_layer_norm"))
    with spoiled(norm, at(0)), pytest.raises(NotFiniteError, match="text encoder"):
        backend.embed("a fox")


def test_a_spoiled_gradient_of_an_edit_is_an_error(
    backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    def spoil(module: nn.Module, inward: object, outward: object) -> tuple[Tensor | None, ...]:
        assert isinstance(inward, tuple)
        return tuple(None if value is None else torch.full_like(value, float("nan")) for value in inward)

    handle = backend.network.conv_in.register_full_backward_hook(spoil)
    try:
        with pytest.raises(NotFiniteError, match="gradient"):
            run(backend, options(change=("a", "b"), source_prompt="a", **METHODS["pix2pix-zero"]))
    finally:
        handle.remove()
