"""CLIP's tokenizer, for checkpoints that come without one: that of all of Stable Diffusion 1.x, 2.x and XL.

The package ships its merges, of which the vocabulary follows (https://github.com/openai/CLIP, simple_tokenizer.py).
"""

import gzip
import json
from pathlib import Path

from transformers import CLIPTokenizer

from pnpvideo.backends.loading import load_reader
from pnpvideo.scratch import scratch_folder

MERGES = Path(__file__).parent / "clip_vocabulary" / "merges.txt.gz"
START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77
"""Tokens of a text, with those of start and end."""


def clip_tokenizer(padding: str = END) -> CLIPTokenizer:
    """The tokenizer of 49,408 tokens. padding: what follows a text; "!" in Stable Diffusion 2.x, and of XL's second."""
    merges = gzip.decompress(MERGES.read_bytes()).decode("utf-8")
    settings = {
        "model_max_length": LENGTH,
        "bos_token": START,
        "eos_token": END,
        "unk_token": END,
        "pad_token": padding,
        "do_lower_case": True,
    }
    with scratch_folder() as folder:
        (folder / "merges.txt").write_text(merges, encoding="utf-8", newline="\n")
        (folder / "vocab.json").write_text(json.dumps(vocabulary(merges.splitlines()[1:])), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
        return load_reader(CLIPTokenizer, folder)


def vocabulary(merges: list[str]) -> dict[str, int]:
    """Token -> number: every byte, every byte that ends a word, what each merge makes, start and end."""
    printed = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = [chr(byte) for byte in printed] + [chr(256 + number) for number in range(256 - len(printed))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    return {word: number for number, word in enumerate([*words, START, END])}
