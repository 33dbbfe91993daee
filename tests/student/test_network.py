import pytest
import torch
import torch.nn.functional as F

from pnpvideo.errors import OptionError
from pnpvideo.student.network import (
    SHAPES,
    Generator,
    ModulatedConvolution,
    Shape,
    channels_last,
    context_of,
    fastest_dtype,
    parameters_of,
    place_of,
    shape_called,
    student_device,
)


@pytest.mark.parametrize("count", [1, 3])
def test_a_modulated_convolution_is_that_of_the_equations(count: int) -> None:
    """StyleGAN2, eq. 1 to 3, with weights of their own for each picture."""
    torch.manual_seed(0)
    layer = ModulatedConvolution(4, 5, 6)
    torch.nn.init.normal_(layer.scales.weight)
    x, style = torch.randn(count, 4, 7, 8), torch.randn(count, 6)
    found = layer(x, style)
    for picture, one, result in zip(x, layer.scales(style), found, strict=True):
        weight = layer.weight * one[None, :, None, None]
        weight = weight / (weight.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        plain = F.conv2d(picture[None], weight, layer.bias, padding=1)[0]
        assert torch.allclose(result, plain, atol=1e-5)


@pytest.mark.parametrize(
    "shape", [Shape((8, 12, 16)), Shape((8, 8), latent=3, position=True), Shape((8, 8), modulated=False)]
)
def test_a_picture_of_any_accepted_size_comes_back_in_that_size(shape: Shape) -> None:
    network = Generator(shape)
    side = shape.multiple
    for height, width in ((side, side), (3 * side, 2 * side)):
        assert network(torch.zeros(2, 3, height, width)).shape == (2, 3, height, width)


def test_a_patch_is_translated_as_within_the_whole_picture() -> None:
    """Away from the patch's border: context and place are those of the whole."""
    torch.manual_seed(0)
    network = Generator(Shape((8,), position=True))
    whole = torch.randn(1, 3, 64, 64)
    window = (slice(None), slice(None), slice(16, 48), slice(8, 40))
    part = network(whole[window], context_of(whole), place_of(whole)[window])
    assert torch.allclose(part[..., 8:-8, 8:-8], network(whole)[window][..., 8:-8, 8:-8], atol=1e-5)
    assert not torch.allclose(part[..., 8:-8, 8:-8], network(whole[window])[..., 8:-8, 8:-8], atol=1e-3)


def test_a_latent_code_changes_the_result_and_none_is_zeros() -> None:
    torch.manual_seed(0)
    network = Generator(Shape((8, 8), latent=4))
    for module in network.modules():
        if isinstance(module, ModulatedConvolution):
            torch.nn.init.normal_(module.scales.weight)
    picture = torch.randn(1, 3, 16, 16)
    assert torch.equal(network(picture), network(picture, latent=torch.zeros(1, 4)))
    assert not torch.allclose(network(picture), network(picture, latent=torch.ones(1, 4)))


def test_places_go_from_corner_to_corner() -> None:
    place = place_of(torch.zeros(1, 3, 3, 5))
    assert place[0, 0, 0].tolist() == [-1, -0.5, 0, 0.5, 1] and place[0, 1, :, 0].tolist() == [-1, 0, 1]


def test_channels_last_changes_the_layout_and_nothing_else() -> None:
    torch.manual_seed(0)
    network = Generator(Shape((8, 8)))
    picture = torch.randn(1, 3, 16, 16)
    before = network(picture)
    assert channels_last(network).stem.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(network(picture), before, atol=1e-5)


def test_sizes_have_names_and_the_small_one_fits_four_megabytes() -> None:
    assert 2 * parameters_of(Generator(SHAPES["small"])) <= 4e6
    with pytest.raises(OptionError, match="no student of size 'huge'; accepted: small, large"):
        shape_called("huge")


def test_a_student_is_trained_beside_its_teacher_except_on_mps() -> None:
    assert [str(student_device(torch.device(name))) for name in ("cpu", "cuda:1", "mps")] == ["cpu", "cuda:1", "cpu"]


def test_a_gpu_without_fast_bfloat16_works_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for supported, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation, is_it=supported: is_it)
        assert fastest_dtype(torch.device("cuda")) == dtype
