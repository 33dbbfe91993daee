"""The tokenizer: a byte-level BPE whose merges are learnt from the captions of the procedural world and drawings."""

import json
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from pnpvideo.backends.loading import load_reader
from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.names import training_names
from pnpvideo.miniature.art.scene import random_art
from pnpvideo.miniature.art.sprites import LOOKS
from pnpvideo.miniature.world import STYLES, caption, random_scene
from pnpvideo.miniature.world.questions import QUESTIONS

LENGTH, WIDTH = 77, 128
"""Tokens of a text, and the width of the text encoder."""
_PLAIN_ENGLISH = (
    "a an the of on in at with and to from near under over behind beside small big tall little bright dark day night "
    "morning evening picture painting drawing clay watercolor watercolour model made wood wooden metal glass tree "
    "house car boat figure person man woman dog cat horse bird sky ground sea mountain city street forest flower "
    "light shadow"
)


def new_tokenizer(folder: Path) -> CLIPTokenizer:
    """Learn the tokenizer, save it to ``folder`` as vocab.json and merges.txt, and load it as a CLIPTokenizer.

    An existing one is loaded instead, because the order of equally frequent merges differs from run to run.
    """
    if not (folder / "merges.txt").exists():
        _learn(folder)
    tokenizer = load_reader(CLIPTokenizer, folder)
    tokenizer.model_max_length = LENGTH
    return tokenizer


def _learn(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = Random(0)
    lines = [caption(random_scene(seed), style, rng) for seed in range(3000) for style in STYLES]
    lines += art_caption_lines(3000, rng)
    lines += [wording for choices in QUESTIONS.values() for wordings in choices.values() for wording in wordings]
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1600, initial_alphabet=alphabet, end_of_word_suffix="</w>", min_frequency=1, show_progress=False
    )
    learner.train_from_iterator([*lines, *[_PLAIN_ENGLISH] * 3], trainer)
    merges = [" ".join(pair) for pair in json.loads(learner.to_str())["model"]["merges"]]
    vocabulary = [*sorted(alphabet), *(f"{letter}</w>" for letter in sorted(alphabet))]
    for merge in merges:
        token = merge.replace(" ", "")
        if token not in vocabulary:
            vocabulary.append(token)
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: index for index, token in enumerate(vocabulary)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def art_caption_lines(count: int, rng: Random) -> list[str]:
    """Captions of drawings: ``count`` scenes in every look, and all training names."""
    scenes = [random_art(seed, training_names()).start for seed in range(count)]
    lines = [art_caption(scene, look, rng) for scene in scenes for look in LOOKS]
    return lines + [name.text for name in training_names()] * 3


def vocabulary_words() -> list[str]:
    """All words of captions and questions, and some plain English, in alphabetical order."""
    wordings = [wording for choices in QUESTIONS.values() for wordings in choices.values() for wording in wordings]
    return sorted({*caption_words(), *_words([*wordings, _PLAIN_ENGLISH])})


def caption_words() -> list[str]:
    """All words of captions, in alphabetical order: what the denoiser is trained on."""
    rng = Random(1)
    lines = [caption(random_scene(seed), style, rng) for seed in range(2000) for style in STYLES]
    lines += [caption(random_scene(seed), style) for seed in range(2000) for style in STYLES]
    return sorted(_words([*lines, *art_caption_lines(3000, rng)]))


def _words(lines: list[str]) -> set[str]:
    return {word for line in lines for word in line.replace(",", " ").split()}
