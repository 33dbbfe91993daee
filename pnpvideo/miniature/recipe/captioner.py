"""The captioner's stage: a small BlipForConditionalGeneration, trained on plain captions."""

from pathlib import Path
from random import Random

import torch
from torch import Tensor
from transformers import BertTokenizer, BlipConfig, BlipForConditionalGeneration, BlipTextConfig, BlipVisionConfig

from pnpvideo.backends.loading import load_reader
from pnpvideo.miniature.recipe.augmentation import PATCH, PICTURE, Augmentation, preprocess
from pnpvideo.miniature.recipe.data import LOOKS_PER_SCENE, Sources
from pnpvideo.miniature.recipe.stage import Stage, TrainingSettings
from pnpvideo.miniature.recipe.tokenizer import WIDTH, vocabulary_words

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?'-"


def new_caption_tokenizer(folder: Path) -> BertTokenizer:
    """BLIP's kind of tokenizer over the world's words, with letters for all others; writes ``folder``/vocab.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [word for word in vocabulary_words() if len(word) > 1]
    vocabulary = [*_SPECIAL, *_LETTERS, *(f"##{letter}" for letter in _LETTERS), *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    tokenizer = load_reader(BertTokenizer, folder)
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    return tokenizer


def new_captioner(tokenizer: BertTokenizer) -> BlipForConditionalGeneration:
    """A BLIP captioner with 4 layers of vision and 3 of text, of width WIDTH."""
    vision = BlipVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=PICTURE,
        patch_size=PATCH,
        initializer_range=0.02,
    )
    text = BlipTextConfig(
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
    model = BlipForConditionalGeneration(BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict()))
    torch.nn.init.normal_(model.vision_model.embeddings.class_embedding, std=0.02)
    torch.nn.init.normal_(model.vision_model.embeddings.position_embedding, std=0.02)
    return model


def captioner_stage(
    model: BlipForConditionalGeneration,
    tokenizer: BertTokenizer,
    sources: Sources,
    settings: TrainingSettings,
) -> Stage:
    """Train by the cross-entropy of the plain caption."""
    begin = tokenizer.convert_tokens_to_ids("[DEC]")

    def loss(step: int, generator: torch.Generator) -> Tensor:
        rng = Random(step)
        pictures, texts = [], []
        for _ in range(settings.batch):
            source = rng.choices([source for source, _ in sources], [share for _, share in sources])[0]
            index, column = rng.randrange(source.scenes), rng.randrange(LOOKS_PER_SCENE)
            pictures.append(Augmentation.random(rng).apply(source.half_size(index)[column]))
            texts.append(source.caption(index, column))
        tokens = tokenizer(texts, padding=True, return_tensors="pt").to(settings.device)
        tokens.input_ids[:, 0] = begin
        answer = model(
            pixel_values=preprocess(torch.stack(pictures).to(settings.device)),
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            labels=tokens.input_ids.masked_fill(tokens.attention_mask == 0, -100),
        )
        cross_entropy: Tensor = answer.loss
        return cross_entropy

    return settings.stage("captioner", model, loss)
