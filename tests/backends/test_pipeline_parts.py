"""What is checked, converted and hashed of any loaded pipeline."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pnpvideo.backends.pipeline_parts import check_kinds, frozen_fingerprints, in_fp32
from pnpvideo.errors import ModelError


def test_parts_are_of_their_classes() -> None:
    pipeline = SimpleNamespace(vae=nn.Identity())
    check_kinds(pipeline, {"vae": nn.Identity}, "a pipeline")
    with pytest.raises(ModelError, match="unet is NoneType; accepted is a pipeline, whose unet is Linear"):
        check_kinds(pipeline, {"vae": nn.Identity, "unet": nn.Linear}, "a pipeline")


def test_only_a_part_in_half_precision_is_copied() -> None:
    class Part(nn.Linear):
        @property
        def dtype(self) -> torch.dtype:
            return self.weight.dtype

    whole, half = Part(2, 2), Part(2, 2).half()
    assert in_fp32(whole) is whole
    assert in_fp32(half).weight.dtype == torch.float32 and half.weight.dtype == torch.float16


class Layer(nn.Linear):
    """With a config, and LoRA adapters as PEFT keeps them."""

    def __init__(self) -> None:
        super().__init__(2, 2)
        self.config = {"scaling_factor": 0.18, "_name_or_path": "here"}
        self.scaling, self.active_adapters, self.disable_adapters = {"oil": 1.0}, ["oil"], False


def test_fingerprints_follow_config_and_scales_of_adapters() -> None:
    """All decide the result beside the weights; where the files came from does not."""
    part = Layer()
    before = frozen_fingerprints((), "", (part,), ())[0]
    part.config["_name_or_path"] = "elsewhere"
    assert frozen_fingerprints((), "", (part,), ())[0] == before
    found = {before}
    for name, value in (("config", {"scaling_factor": 0.13}), ("scaling", {"oil": 0.5}), ("disable_adapters", True)):
        setattr(part, name, value)
        found.add(frozen_fingerprints((), "", (part,), ())[0])
    assert len(found) == 4


def test_fingerprints_follow_the_weights_and_the_text_s_only_its_own() -> None:
    network, encoder = nn.Linear(2, 2), nn.Linear(2, 2)
    first = frozen_fingerprints(("a",), "words", (network,), (encoder,))
    assert first == frozen_fingerprints(("a",), "words", (network,), (encoder,)) and first[0] != first[1]
    assert not any(value.requires_grad for part in (network, encoder) for value in part.parameters())
    with torch.no_grad():
        network.weight.add_(1)
    second = frozen_fingerprints(("a",), "words", (network,), (encoder,))
    assert second[0] != first[0] and second[1] == first[1]
    with torch.no_grad():
        encoder.weight.add_(1)
    third = frozen_fingerprints(("a",), "words", (network,), (encoder,))
    assert third[0] != second[0] and third[1] != second[1]
    assert frozen_fingerprints(("b",), "words", (network,), (encoder,))[0] != third[0]
    assert frozen_fingerprints(("a",), "others", (network,), (encoder,))[1] != third[1]
