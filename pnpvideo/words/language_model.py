"""Write sentences about a concept with a local language model (pix2pix-zero, arXiv 2302.03027, section 3.1)."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from pnpvideo.backends.fingerprint import verify
from pnpvideo.backends.hub import fetch
from pnpvideo.backends.loading import load_network, load_reader
from pnpvideo.backends.model_files import weights_of
from pnpvideo.errors import ModelError
from pnpvideo.events import Report, ignore
from pnpvideo.words.sentences import filter_sentences

BATCH, MAX_NEW_TOKENS = 16, 32
MAX_TRIES = 4
"""Sentences that are written at most for each one that is wanted."""
_CAUSAL = """Captions of pictures, one a line, each with the word "{word}".
1. a photo of {word} on a quiet morning
2. {word} seen from the side, in warm light
3."""
_SEQ2SEQ = 'Write a caption of a picture with the word "{word}" in it.'


class LanguageModel:
    """A causal or sequence-to-sequence model from transformers.

    model: a folder or a hub id; weights are safetensors only. Raises ModelError if it is missing, damaged or of another
    kind.
    """

    def __init__(self, model: str, device: torch.device, report: Report = ignore) -> None:
        folder = self.folder = fetch(model, weights_of, report=report)
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
        self, concept: str, count: int, seed: int, progress: Callable[[int], None] = lambda count: None
    ) -> list[str]:
        """Write lines until ``count`` different ones mention ``concept``, or MAX_TRIES times as many are written.

        progress: called with the number of usable lines. The result is a function of the model, ``seed`` and
        ``concept``. Raises ModelError if the model's configs contradict its weights.
        """
        prompt = (_SEQ2SEQ if self.seq2seq else _CAUSAL).format(word=concept)
        inputs = self.tokenizer([prompt], return_tensors="pt").to(self.network.device)
        lines: list[str] = []
        padding = self.tokenizer.pad_token_id
        with torch.random.fork_rng(devices=[self.network.device] if self.network.device.type == "cuda" else []):
            torch.manual_seed(seed)
            for _ in range(-(-MAX_TRIES * count // BATCH)):
                tokens = self._generate(inputs, self.tokenizer.eos_token_id if padding is None else padding)
                new = tokens if self.seq2seq else tokens[:, inputs.input_ids.shape[1] :]
                texts = self.tokenizer.batch_decode(new, skip_special_tokens=True)
                lines += [(text.strip().splitlines() or [""])[0] for text in texts]
                usable = len(filter_sentences(concept, lines).sentences)
                progress(min(count, usable))
                if usable >= count:
                    break
        return lines

    def _generate(self, inputs: Any, padding: int) -> torch.Tensor:
        """Return BATCH samples, (BATCH, tokens). Raises ModelError if the model's configs make that impossible."""
        try:
            samples: torch.Tensor = self.network.generate(
                **inputs,
                do_sample=True,
                temperature=0.9,
                top_p=0.95,
                max_new_tokens=MAX_NEW_TOKENS,
                num_return_sequences=BATCH,
                pad_token_id=padding,
            )
        except (IndexError, KeyError, TypeError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{self.folder} cannot write: {reason}; its configs contradict it") from error
        return samples
