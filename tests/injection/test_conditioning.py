"""What a text conditions a network on, alone and in batches."""

import torch

from pnpvideo.injection import Lanes
from pnpvideo.injection.conditioning import Conditioning

ONE = Conditioning(torch.arange(6.0).reshape(3, 2), torch.tensor([7.0, 8.0]))
PLAIN = Conditioning(torch.zeros(3, 2))


def test_a_batch_repeats_one_text_without_copying_it() -> None:
    batch = ONE.batch(4)
    assert len(batch) == 4 and batch.tokens.shape == (4, 3, 2) and batch.tokens.data_ptr() == ONE.tokens.data_ptr()
    assert batch.pooled is not None and batch.pooled.shape == (4, 2)
    assert PLAIN.batch().pooled is None and len(PLAIN.batch()) == 1


def test_lanes_repeat_each_text_for_all_of_their_frames() -> None:
    other = ONE.with_tokens(ONE.tokens + 10)
    spread = Lanes(("empty", "positive"), (0, 1)).spread({"empty": ONE, "positive": other})
    assert torch.equal(spread.tokens, torch.stack([ONE.tokens, ONE.tokens, other.tokens, other.tokens]))
    assert spread.pooled is not None and spread.pooled.shape == (4, 2)


def test_equal_is_equal_to_the_bit_in_every_part() -> None:
    assert ONE.equals(ONE.to("cpu")) and PLAIN.equals(Conditioning(torch.zeros(3, 2)))
    assert not ONE.equals(PLAIN) and not ONE.equals(ONE.with_tokens(ONE.tokens + 1e-6))
    assert not ONE.equals(Conditioning(ONE.tokens, torch.tensor([7.0, 9.0]))) and not ONE.equals(
        Conditioning(ONE.tokens)
    )
