"""The check that every tensor passes before it becomes latents, text or pixels."""

import pytest
import torch

from pnpvideo.diffusion.finite import finite
from pnpvideo.errors import NotFiniteError


def test_a_finite_tensor_passes_as_it_is() -> None:
    value = torch.randn(3)
    assert finite(value, "it") is value


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_bad_number_is_enough(bad: float) -> None:
    value = torch.zeros(2, 3, 4)
    value[1, 2, 3] = bad
    with pytest.raises(NotFiniteError, match="the output holds NaN or infinity"):
        finite(value, "the output")
