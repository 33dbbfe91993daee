"""Caption pictures with BLIP (arXiv 2201.12086)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoProcessor, BlipForConditionalGeneration

from pnpvideo.backends.fingerprint import verify
from pnpvideo.backends.hub import fetch
from pnpvideo.backends.loading import load_network, load_reader
from pnpvideo.backends.model_files import check_files, read_json, weights_of
from pnpvideo.errors import ModelError
from pnpvideo.events import Report, ignore

BATCH, MAX_NEW_TOKENS = 16, 40


class Captioner:
    """A BLIP captioner, which is on ``device`` only while it works.

    model: a folder or a hub id. Raises ModelError if it is missing, damaged or not a BLIP model.
    """

    def __init__(self, model: str | Path, device: torch.device | str = "cpu", report: Report = ignore) -> None:
        folder = self.folder = fetch(str(model), weights_of, report=report)
        model_type = read_json(folder / "config.json").get("model_type")
        if model_type != "blip":
            raise ModelError(f"{folder} is of type {model_type!r}; a captioner is a BLIP model")
        check_files(folder, ("tokenizer.json",), ("vocab.txt",))
        check_files(folder, ("preprocessor_config.json",), ("processor_config.json",))
        verify(folder, ("",))
        self.network: BlipForConditionalGeneration = load_network(BlipForConditionalGeneration, folder, torch.float32)
        self.processor = load_reader(AutoProcessor, folder)
        self.device = torch.device(device)

    @torch.no_grad()
    def captions(self, pictures: Sequence[np.ndarray]) -> list[str]:
        """Return a caption of each picture, (h, w, 3) uint8 RGB, by greedy decoding: the same for the same picture.

        Raises ModelError if the model's configs contradict its weights.
        """
        self.network.to(self.device)
        try:
            return self._captions(pictures)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"{self.folder} cannot caption a picture: {reason}; its configs contradict it") from error
        finally:
            self.network.to("cpu")

    def _captions(self, pictures: Sequence[np.ndarray]) -> list[str]:
        captions: list[str] = []
        for first in range(0, len(pictures), BATCH):
            inputs = self.processor(images=list(pictures[first : first + BATCH]), return_tensors="pt")
            tokens = self.network.generate(
                pixel_values=inputs.pixel_values.to(self.device),
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=False,
                num_beams=1,
            )
            captions += [text.strip() for text in self.processor.batch_decode(tokens, skip_special_tokens=True)]
        return captions
