"""The captioner's stage: a small BlipForConditionalGeneration that says what a picture of the world shows."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipTextConfig, BlipVisionConfig

from pnpvideo.backends.loading import load_reader
from pnpvideo.miniature.recipe.data import DRAWN, Pictures
from pnpvideo.miniature.recipe.stage import Stage
from pnpvideo.miniature.recipe.view import PATCH, PICTURE, View, seen_by_judge
from pnpvideo.miniature.recipe.words import WIDTH, every_word

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"


def new_caption_tokenizer(folder: Path) -> BertTokenizer:
    """BLIP's kind of tokenizer over the world's words, letters for all others; saved in ``folder`` as vocab.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [word for word in every_word() if len(word) > 1]
    vocabulary = [*_SPECIAL, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = load_reader(BertTokenizer, folder)
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer


def new_captioner(tokenizer: BertTokenizer) -> BlipForConditionalGeneration:
    """4 layers of sight, 3 of words, width 128."""
    sight = BlipVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=PICTURE,
        patch_size=PATCH,
        initializer_range=0.02,
    )
    words = BlipTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        encoder_hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=64,
        bos_token_id=tokenizer.convert_tokens_to_ids("[DEC]"),
        sep_token_id=tokenizer.sep_token_id,
        eos_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = BlipForConditionalGeneration(BlipConfig(text_config=words.to_dict(), vision_config=sight.to_dict()))
    torch.nn.init.normal_(model.vision_model.embeddings.class_embedding, std=0.02)
    torch.nn.init.normal_(model.vision_model.embeddings.position_embedding, std=0.02)
    return model


def captioner_stage(
    model: BlipForConditionalGeneration,
    tokenizer: BertTokenizer,
    worlds: Sequence[tuple[Pictures, float]],
    *,
    batch: int,
    steps: int,
    rate: float,
    device: str,
) -> Stage:
    """Cross-entropy of the plain caption."""
    begin = tokenizer.convert_tokens_to_ids("[DEC]")

    def loss(step: int, generator: torch.Generator) -> Tensor:
        rng = Random(step)
        shown, texts = [], []
        for _ in range(batch):
            pictures = rng.choices([pictures for pictures, _ in worlds], [share for _, share in worlds])[0]
            index, column = rng.randrange(pictures.scenes), rng.randrange(DRAWN)
            shown.append(View.drawn(rng).seen(pictures.halves(index)[column]))
            texts.append(pictures.caption(index, column))
        tokens = tokenizer(texts, padding=True, return_tensors="pt").to(device)
        tokens.input_ids[:, 0] = begin
        labels = tokens.input_ids.masked_fill(tokens.attention_mask == 0, -100)
        told = model(
            pixel_values=seen_by_judge(torch.stack(shown).to(device)),
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            labels=labels,
        )
        return told.loss

    return Stage(name="captioner", module=model, loss=loss, batch=batch, steps=steps, rate=rate)
