"""Textual inversions: prompts read their words as diffusers reads them, wherever words count."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline

import pnpvideo
from pnpvideo.backends.customized import customized_fingerprint
from pnpvideo.backends.embedding_file import embeddings_of
from pnpvideo.backends.load import load
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.textual_inversion import embeddings_fingerprint, spellings_of
from pnpvideo.errors import ModelError
from pnpvideo.events import Event, Notice
from pnpvideo.settings.options import Customization
from pnpvideo.words.prompt_embedding import embed_prompt, token_weights
from pnpvideo.words.prompt_weights import parse_weights
from tests.backends.originals import WIDTH, Tensors, write_single

CPU = torch.device("cpu")
VECTORS = 3


def vectors(seed: int, count: int = VECTORS) -> torch.Tensor:
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed)) * 0.02


def tensors_of(family: str, seed: int = 0) -> Tensors:
    if family == "XL":
        return {"clip_l": vectors(seed), "clip_g": vectors(seed + 1)}
    return {"emb_params": vectors(seed)}


def loaded(folder: Path, *stated: tuple[Path, str]) -> StableDiffusion:
    changes = Customization(embedding=tuple((str(path), word) for path, word in stated))
    return StableDiffusion(str(folder), CPU, torch.float32, customization=changes)


@pytest.fixture(scope="module")
def ink(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_single(tmp_path_factory.mktemp("words") / "ink-wash.safetensors", tensors_of(family))


@pytest.fixture(scope="module")
def changed(folder: Path, ink: Path) -> StableDiffusion:
    return loaded(folder, (ink, ""))


def test_prompts_are_read_as_diffusers_reads_them(folder: Path, family: str, ink: Path, tmp_path: Path) -> None:
    """Several vectors and one, in the middle and at the end, with what has no embedding."""
    single: Tensors = {"<dot>": vectors(7, 1)[0]}
    both: Tensors = {"clip_l": vectors(7, 1), "clip_g": vectors(8, 1)}
    dot = write_single(tmp_path / "dot.safetensors", both if family == "XL" else single)
    backend = loaded(folder, (ink, ""), (dot, "<dot>" if family == "XL" else ""))
    kind = StableDiffusionXLPipeline if family == "XL" else StableDiffusionPipeline
    pipeline = kind.from_pretrained(folder, local_files_only=True)
    towers = [(pipeline.text_encoder, pipeline.tokenizer)]
    towers += [(pipeline.text_encoder_2, pipeline.tokenizer_2)] if family == "XL" else []
    for seed, (encoder, tokenizer) in enumerate(towers):
        for token, tensor in (("ink-wash", vectors(seed)), ("<dot>", vectors(7 + seed, 1)[0])):
            pipeline.load_textual_inversion({token: tensor}, token=token, text_encoder=encoder, tokenizer=tokenizer)
    for prompt in ("an ink-wash fox, <dot>", "ink-wash", "a fox", "a <dot> of a fox in ink-wash"):
        with torch.no_grad():
            expected = pipeline.encode_prompt(
                prompt=prompt, device=CPU, num_images_per_prompt=1, do_classifier_free_guidance=False
            )
        found = backend.embed(prompt)
        assert float((found.tokens - expected[0][0]).abs().max()) < 1e-5
        if family == "XL":
            assert found.pooled is not None and float((found.pooled - expected[2][0]).abs().max()) < 1e-5


def test_every_vector_has_a_sign_of_its_own(ink: Path) -> None:
    twice = embeddings_of([(str(ink), "a"), (str(ink), "b")])
    spellings = spellings_of(twice)
    signs = "".join(spellings.values())
    assert [*spellings] == ["a", "b"] and len(set(signs)) == len(signs) == 2 * VECTORS
    assert embeddings_fingerprint(twice) != embeddings_fingerprint(twice[:1])


def test_texts_without_the_word_are_read_as_before(plain: StableDiffusion, changed: StableDiffusion) -> None:
    for text in ("", "a fox", "ink washed", "pink-wash", "Ünïcode <html> 12345 " * 20):
        assert changed.embed(text).equals(plain.embed(text))
    assert not changed.embed("ink-wash").equals(plain.embed("ink-wash"))
    assert changed.embed("An INK-WASH fox").equals(changed.embed("an ink-wash fox"))


def test_places_weights_and_maps_know_the_word(changed: StableDiffusion) -> None:
    text = changed.text
    assert text.positions("an ink-wash fox", "ink-wash") == (2, 3, 4) and text.positions("an ink-wash fox", "fox") == (
        5,
    )
    assert text.pieces("an ink-wash fox") == ("an", "ink-wash", "ink-wash", "ink-wash", "fox")
    assert text.end("ink-wash") == 1 + VECTORS and not text.known("ink-wash") and text.known("fox")
    assert text.truncation("fox " * 75 + "ink-wash fox") == "ink-wash fox"
    pieces = parse_weights("an (ink-wash:0.5) fox")
    assert token_weights(text, pieces)[:7].tolist() == [1, 1, 0.5, 0.5, 0.5, 1, 1]
    weighted, whole = embed_prompt(changed, "an (ink-wash:0.5) fox"), embed_prompt(changed, "an ink-wash fox")
    differs = (weighted.tokens - whole.tokens).abs().amax(1) > 0
    assert differs[:7].tolist() == [False, False, True, True, True, False, False]


def test_the_end_of_a_text_is_found_where_old_configs_state_another(
    folders_of_families: dict[str, Path], tmp_path: Path
) -> None:
    """Published configs of XL state eos_token_id 2, with which transformers takes the largest token for the end."""
    folder = Path(shutil.copytree(folders_of_families["XL"], tmp_path / "old"))
    path = folder / "text_encoder_2" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": 2}))
    ink = write_single(tmp_path / "ink.safetensors", tensors_of("XL"))
    old, new = (loaded(each, (ink, "")) for each in (folder, folders_of_families["XL"]))
    assert old.embed("an ink fox").equals(new.embed("an ink fox"))


def test_the_store_tells_results_apart(folder: Path, family: str, ink: Path, tmp_path: Path) -> None:
    other = write_single(tmp_path / "ink-wash.safetensors", tensors_of(family, seed=4))
    copy = Path(shutil.copy(ink, tmp_path / "copy.safetensors"))

    def fingerprint(*stated: tuple[Path, str]) -> str:
        named = tuple((str(path), word) for path, word in stated)
        return customized_fingerprint(folder, Customization(embedding=named))

    found = (fingerprint(), fingerprint((ink, "")), fingerprint((ink, "wash")), fingerprint((other, "")))
    assert len(set(found)) == 4 and fingerprint((copy, "ink-wash")) == found[1]


def test_directions_belong_to_a_model_with_its_words(plain: StableDiffusion, changed: StableDiffusion) -> None:
    assert plain.text.fingerprint != changed.text.fingerprint and plain.fingerprint != changed.fingerprint


def test_a_translator_draws_with_the_word(folder: Path, ink: Path) -> None:
    changes = Customization(embedding=((str(ink), "sumi"),))
    translators = [pnpvideo.load(folder, device="cpu", customization=each) for each in (Customization(), changes)]
    events: list[Event] = []
    backend = load(str(folder), pnpvideo.Runtime(device="cpu"), events.append, changes)
    assert backend is translators[1].backend
    assert [event.message for event in events if isinstance(event, Notice)] == [f"'sumi' in a prompt stands for {ink}"]
    prompts, sampling = pnpvideo.Prompts(source_prompt=""), pnpvideo.Sampling(steps=2, size=64, guidance=50)
    frames = np.full((1, 64, 64, 3), 150, np.uint8)
    pictures = [each.translate_frames(frames, "sumi sumi", prompts=prompts, sampling=sampling) for each in translators]
    assert not np.array_equal(pictures[0], pictures[1])


def test_numbers_that_are_not_finite_are_refused(folders_of_families: dict[str, Path], tmp_path: Path) -> None:
    path = write_single(tmp_path / "e.safetensors", {"emb_params": torch.full((1, WIDTH), float("nan"))})
    with pytest.raises(ModelError, match="not finite"):
        loaded(folders_of_families["1.x"], (path, ""))


def test_a_checkpoint_that_lists_its_words_knows_those_of_embeddings(
    options: Callable[..., pnpvideo.Options], checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    (folder / "learned-words.txt").write_text("a\nhen\n")
    width = json.loads((folder / "text_encoder" / "config.json").read_text())["hidden_size"]
    path = write_single(tmp_path / "ink-wash.safetensors", {"emb_params": torch.zeros(1, width)})
    assert loaded(folder, (path, "")).card.learned_words == {"a", "hen", "ink", "wash"}
