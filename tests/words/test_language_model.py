"""Sentences from a local language model: of random weights, so only the handling is judged, not the prose."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from pnpvideo.errors import ModelError
from pnpvideo.words.language_model import LanguageModel
from pnpvideo.words.sentences import filter_sentences


@pytest.fixture(params=["causal", "seq2seq"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {letter: number for number, letter in enumerate([*letters, "<end>"])}
    tokenizer = Tokenizer(models.BPE(words, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>").save_pretrained(tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if request.param == "causal":
            config = GPT2Config(vocab_size=len(words), n_embd=16, n_layer=1, n_head=2, n_positions=512)
            config.bos_token_id = config.eos_token_id = words["<end>"]
            GPT2LMHeadModel(config).save_pretrained(tmp_path)
        else:
            ids = {"pad_token_id": words["<end>"], "eos_token_id": words["<end>"], "decoder_start_token_id": 0}
            sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
            T5ForConditionalGeneration(T5Config(vocab_size=len(words), **sizes, **ids)).save_pretrained(tmp_path)
    return tmp_path


def as_lines(tokens: torch.Tensor, skip_special_tokens: bool) -> list[str]:
    """Something to read of what so small a model writes: half of it about a hen."""
    return [f"{('a hen', 'a henhouse')[int(row[1:].sum()) % 2]} {row[:3].tolist()}\nmore" for row in tokens]


def test_it_writes_until_enough_is_said_and_depends_on_the_seed_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, heard = LanguageModel(str(folder), torch.device("cpu")), list[int]()
    monkeypatch.setattr(model.tokenizer, "batch_decode", as_lines)
    before = torch.random.get_rng_state()
    found = model.sentences("hen", 10, seed=3, progress=heard.append)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(filter_sentences("hen", found).sentences) >= 10 and not any("\n" in line for line in found)
    assert filter_sentences("hen", found).dropped["without 'hen'"] > 0  # a henhouse is no hen
    assert heard == sorted(heard) and heard[-1] == 10
    assert model.sentences("hen", 10, seed=3) == found != model.sentences("hen", 10, seed=4)


def test_a_word_that_never_comes_ends_the_search(folder: Path) -> None:
    written = LanguageModel(str(folder), torch.device("cpu")).sentences("zyzzyva", 2, seed=0)
    assert 0 < len(written) <= 16 and filter_sentences("zyzzyva", written).sentences == []


def test_a_generation_config_that_lies_is_refused(folder: Path) -> None:
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "repetition_penalty": "x"}))
    with pytest.raises(ModelError, match=r"cannot (write|be loaded)"):
        LanguageModel(str(folder), torch.device("cpu")).sentences("hen", 1, seed=0)


def test_what_is_no_language_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at"):
        LanguageModel(str(tmp_path / "none"), torch.device("cpu"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        LanguageModel(str(tmp_path), torch.device("cpu"))
