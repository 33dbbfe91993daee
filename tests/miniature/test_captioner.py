"""The captioner's training stage."""

from pathlib import Path

import pytest
import torch
from transformers import BertTokenizer

from pnpvideo.miniature.recipe import captioner as module
from pnpvideo.miniature.recipe.captioner import captioner_stage, new_caption_tokenizer, new_captioner
from pnpvideo.miniature.recipe.data import LOOKS_PER_SCENE, Pictures
from pnpvideo.miniature.recipe.stage import TrainingSettings


class Constant(Pictures):
    """Two scenes, one black and one white, whose captions are "black" and "white"."""

    def __init__(self) -> None:
        self.count = self.scenes = 2

    def half_size(self, index: int) -> torch.Tensor:
        return torch.full((LOOKS_PER_SCENE, 3, 128, 128), 255 * index, dtype=torch.uint8)

    @staticmethod
    def caption(index: int, column: int, rng: object = None) -> str:
        return ("black", "white")[index]


@pytest.fixture
def tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BertTokenizer:
    monkeypatch.setattr(module, "vocabulary_words", lambda: ["a", "black", "white"])
    return new_caption_tokenizer(tmp_path)


def test_known_words_are_one_token_and_others_are_spelt(tokenizer: BertTokenizer) -> None:
    assert tokenizer.tokenize("a black cat") == ["a", "black", "c", "##a", "##t"]
    assert tokenizer.convert_tokens_to_ids("[DEC]") != tokenizer.unk_token_id


def test_the_loss_depends_on_the_step_alone_and_training_lowers_it(tokenizer: BertTokenizer) -> None:
    torch.manual_seed(0)
    model = new_captioner(tokenizer)
    stage = captioner_stage(model, tokenizer, [(Constant(), 1.0)], TrainingSettings(batch=4, steps=9, rate=1e-3))
    assert (stage.name, stage.batch, stage.steps, stage.rate) == ("captioner", 4, 9, 1e-3)

    def loss() -> torch.Tensor:
        return stage.loss(3, torch.Generator())

    model.eval()
    assert float(loss().detach()) == float(loss().detach()) > 1
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    before = float(loss().detach())
    for _ in range(4):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert float(loss().detach()) < 0.5 * before
