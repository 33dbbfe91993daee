"""The list of words that a checkpoint was trained on."""

import shutil
from pathlib import Path

import pytest
import torch

from pnpvideo.backends.learned_words import LEARNED_WORDS, read_learned_words
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import ModelError
from pnpvideo.miniature.world import STYLES, caption, random_scene
from pnpvideo.settings.models import ALIASES
from pnpvideo.words.prompt_checks import unlearned_words


def test_a_list_has_one_word_a_line(tmp_path: Path) -> None:
    assert read_learned_words(tmp_path) == frozenset()
    (tmp_path / LEARNED_WORDS).write_bytes("\ufeffBall\r\nbär\n\n".encode())
    assert read_learned_words(tmp_path) == {"ball", "bär"}


def test_what_is_no_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / LEARNED_WORDS
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="is not UTF-8 text"):
        read_learned_words(tmp_path)
    path.write_bytes(b"a " * (1 << 20))
    with pytest.raises(ModelError, match="accepted is a text file of up to 1,048,576 bytes"):
        read_learned_words(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ModelError, match="is not a list of words"):
        read_learned_words(tmp_path)


def test_a_list_changes_no_fingerprint(checkpoint: Path, backend: StableDiffusion, tmp_path: Path) -> None:
    copy = shutil.copytree(checkpoint, tmp_path / "copy")
    (copy / LEARNED_WORDS).write_text("hen\nfox\n")
    listed = StableDiffusion(str(copy), torch.device("cpu"), torch.float32)
    assert listed.card.learned_words == {"hen", "fox"} and backend.card.learned_words == frozenset()
    assert listed.fingerprint == backend.fingerprint


def test_the_miniature_lists_the_words_of_its_captions() -> None:
    learned = read_learned_words(Path(ALIASES["miniature"].source))
    captions = " ".join(caption(random_scene(seed), style) for seed in range(100) for style in STYLES)
    assert unlearned_words(captions, learned) == []
    assert unlearned_words("an oil painting of a parliament", learned) == ["oil", "parliament"]
