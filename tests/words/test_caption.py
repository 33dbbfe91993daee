"""The captioner that ships says what pictures of the world show."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from pnpvideo.errors import ModelError
from pnpvideo.measure.model import caption_accuracy
from pnpvideo.miniature import WEIGHTS
from pnpvideo.words.caption import Captioner


def test_it_names_what_it_sees() -> None:
    shares = caption_accuracy(Captioner(WEIGHTS / "captioner"), 48)
    assert min(shares.values()) > 0.85, shares


def test_any_size_gets_a_caption() -> None:
    pictures = [np.zeros((40, 90, 3), np.uint8), np.full((300, 200, 3), 255, np.uint8)]
    assert all(Captioner(WEIGHTS / "captioner").captions(pictures))


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is of type 'clip'; a captioner is a BLIP model"):
        Captioner(WEIGHTS / "judge")
    broken = Path(shutil.copytree(WEIGHTS / "captioner", tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be loaded"):
        Captioner(broken)
    with pytest.raises(ModelError, match="no model at"):
        Captioner(tmp_path / "nowhere")
