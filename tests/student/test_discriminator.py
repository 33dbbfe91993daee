import pytest
import torch

from pnpvideo.student.discriminator import Discriminator, discriminator_loss, generator_loss, gradient_penalty


def test_logits_are_for_patches() -> None:
    assert Discriminator(8)(torch.zeros(2, 3, 64, 48), torch.zeros(2, 3, 64, 48)).shape == (2, 1, 8, 6)


def test_losses_are_those_of_the_paper() -> None:
    real, made = torch.tensor([0.3, -2.0]), torch.tensor([1.5, 0.1])
    told = -(torch.sigmoid(real).log().mean() + (1 - torch.sigmoid(made)).log().mean())
    assert torch.allclose(discriminator_loss(real, made), told, atol=1e-6)
    assert torch.allclose(generator_loss(made), -torch.sigmoid(made).log().mean(), atol=1e-6)


def test_the_penalty_is_the_squared_gradient_by_finite_differences() -> None:
    torch.manual_seed(0)
    judge = Discriminator(4).double()
    source, real = torch.randn(2, 3, 16, 16).double(), torch.randn(2, 3, 16, 16).double()
    total = 0.0
    for picture in range(2):
        for index in torch.cartesian_prod(*(torch.arange(side) for side in (3, 16, 16))):
            moved = real.clone()
            moved[picture][tuple(index)] += 1e-5
            slope = (judge(source, moved) - judge(source, real))[picture].mean() / 1e-5
            total += slope.item() ** 2
    assert gradient_penalty(judge, source, real).item() == pytest.approx(total / 2, rel=1e-3)


def test_a_discriminator_learns_to_tell_noise_from_its_mean() -> None:
    torch.manual_seed(0)
    judge = Discriminator(8)
    adam = torch.optim.Adam(judge.parameters(), 2e-3)
    source = torch.zeros(4, 3, 32, 32)
    for _ in range(40):
        loss = discriminator_loss(judge(source, torch.randn(4, 3, 32, 32)), judge(source, torch.zeros(4, 3, 32, 32)))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.4  # 1.39 at first
