"""Sentences about a concept, written by a local language model (pix2pix-zero, arXiv 2302.03027, section 3.1)."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from pnpvideo.backends.fingerprint import verify
from pnpvideo.backends.hub import fetch
from pnpvideo.backends.loading import load_network, load_reader
from pnpvideo.backends.model_files import weights_of
from pnpvideo.errors import ModelError
from pnpvideo.words.sentences import checked

BATCH, LONGEST, TRIES = 16, 32, 4
_CAUSAL = """Captions of pictures, one a line, each with the word "{word}".
1. a photo of {word} on a quiet morning
2. {word} seen from the side, in warm light
3."""
_SEQ2SEQ = 'Write a caption of a picture with the word "{word}" in it.'


class LanguageModel:
    """A causal or seq2seq model. ``model``: a folder or a hub id; safetensors only. Raises ModelError."""

    def __init__(self, model: str, device: torch.device) -> None:
        folder = self.folder = fetch(model, weights_of)
        verify(folder, ("",))
        self.seq2seq = bool(load_reader(AutoConfig, folder).is_encoder_decoder)
        kind = AutoModelForSeq2SeqLM if self.seq2seq else AutoModelForCausalLM
        self.network = load_network(kind, folder, torch.float32).to(device)
        self.tokenizer = load_reader(AutoTokenizer, folder)
        known, embedded = len(self.tokenizer), self.network.get_input_embeddings().num_embeddings
        if known > embedded:
            raise ModelError(f"{folder}: the tokenizer knows {known} tokens and the model {embedded}")

    @torch.no_grad()
    def sentences(
        self, word: str, count: int, seed: int, done: Callable[[int], None] = lambda count: None
    ) -> list[str]:
        """Lines until ``count`` of them say ``word``, no two alike, or TRIES times as many have been written.

        The draws depend on ``seed`` and ``word`` alone.
        """
        prompt = (_SEQ2SEQ if self.seq2seq else _CAUSAL).format(word=word)
        given = self.tokenizer([prompt], return_tensors="pt").to(self.network.device)
        found: list[str] = []
        padding = self.tokenizer.pad_token_id
        with torch.random.fork_rng(devices=[self.network.device] if self.network.device.type == "cuda" else []):
            torch.manual_seed(seed)
            for _ in range(-(-TRIES * count // BATCH)):
                tokens = self._continued(given, self.tokenizer.eos_token_id if padding is None else padding)
                new = tokens if self.seq2seq else tokens[:, given.input_ids.shape[1] :]
                lines = [(text.strip().splitlines() or [""])[0] for text in self._decoded(new)]
                found += lines
                kept = len(checked(word, found).kept)
                done(min(count, kept))
                if kept >= count:
                    break
        return found

    def _continued(self, given: Any, padding: int) -> torch.Tensor:
        """(BATCH, tokens). Raises ModelError where the model's own configs make that impossible."""
        try:
            return self.network.generate(
                **given,
                do_sample=True,
                temperature=0.9,
                top_p=0.95,
                max_new_tokens=LONGEST,
                num_return_sequences=BATCH,
                pad_token_id=padding,
            )
        except (IndexError, KeyError, TypeError, ValueError) as wrong:
            said = (str(wrong).strip() or type(wrong).__name__).splitlines()[0]
            raise ModelError(f"{self.folder} cannot write: {said}; its configs contradict it") from wrong

    def _decoded(self, tokens: torch.Tensor) -> list[str]:
        return list(self.tokenizer.batch_decode(tokens, skip_special_tokens=True))
