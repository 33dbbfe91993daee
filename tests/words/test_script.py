"""The texts of a shot and their embeddings: captions, changes, and what is reported about them."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pnpvideo.backends.learned_words import LEARNED_WORDS
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.engine.region import tokens_of
from pnpvideo.events import Event, Notice
from pnpvideo.settings.effective import effective
from pnpvideo.settings.options import Options
from pnpvideo.store import Store
from pnpvideo.words.direction import direction_from_templates
from pnpvideo.words.direction_file import save_direction
from pnpvideo.words.prompt_embedding import embed_prompt
from pnpvideo.words.script import Script, ScriptWriter

MakeOptions = Callable[..., Options]


def written(backend: StableDiffusion, options: Options, prompt: str | None) -> tuple[Script, list[str]]:
    """The script of a blank picture, and the notices."""
    events: list[Event] = []
    writer = ScriptWriter(backend, effective(options, backend), prompt, Store(options.runtime.store), events.append)
    script = writer.write(lambda: np.zeros((32, 32, 3), np.uint8))
    return script, [event.message for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize(
    ("given", "prompt", "place"),
    [
        ({"source_prompt": "a red fox"}, None, "source prompt 'a red fox'"),
        ({"source_prompt": "a henhouse"}, None, "source prompt 'a henhouse'"),  # another word
        ({"source_prompt": "an owl"}, "a red fox", "prompt 'a red fox'"),
        ({"source_prompt": None}, None, "caption 'an owl'"),
        ({"source_prompt": "a hen"}, None, ""),
        ({"source_prompt": "two Hens, asleep"}, None, ""),
        ({"source_prompt": "an owl"}, "a hen", ""),
    ],
)
def test_a_concept_that_the_text_does_not_mention_is_reported(
    given: dict[str, Any],
    prompt: str | None,
    place: str,
    backend: StableDiffusion,
    options: MakeOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Owls:
        def __init__(self, *_: object) -> None: ...

        def captions(self, pictures: list[np.ndarray]) -> list[str]:
            return ["an owl"]

    monkeypatch.setattr("pnpvideo.words.script.Captioner", Owls)
    asked = options(change=("hen", "cow"), method="pix2pix-zero", **given)
    said = [notice for notice in written(backend, asked, prompt)[1] if "which is to change" in notice]
    assert len(said) == bool(place)
    assert all(f"'hen', which is to change, is not in the {place}: " in notice for notice in said)


@pytest.mark.parametrize(
    ("strength", "prompt", "said"), [(1.0, None, True), (-1.0, None, False), (0.0, None, False), (1.0, "an owl", False)]
)
def test_the_concept_of_a_direction_file_is_looked_for_where_there_is_no_prompt(
    strength: float, prompt: str | None, said: bool, backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    file = tmp_path / "hen2cow.safetensors"
    save_direction(direction_from_templates(backend.text, "hen", "cow"), file)
    asked = options(directions=((str(file), strength),), source_prompt="an owl")
    notices = written(backend, asked, prompt)[1]
    assert any("'hen', which is to change, is not in the source prompt 'an owl'" in each for each in notices) == said


def test_a_change_moves_the_prompt_alone(backend: StableDiffusion, options: MakeOptions) -> None:
    plain, _ = written(backend, options(source_prompt="a hen"), "a hen")
    changed, _ = written(backend, options(source_prompt="a hen", change=("hen", "cow")), None)
    assert changed.prompt == plain.prompt == "a hen"
    for lane in ("source", "empty", "negative"):
        assert torch.equal(changed.prompt_embeddings[lane].tokens, plain.prompt_embeddings[lane].tokens)
    assert not torch.equal(changed.prompt_embeddings["positive"].tokens, plain.prompt_embeddings["positive"].tokens)


@pytest.fixture(scope="module")
def of_few_words(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> StableDiffusion:
    """The checkpoint with a list of the words that it was trained on."""
    folder = shutil.copytree(checkpoint, tmp_path_factory.mktemp("model") / "listed")
    (folder / LEARNED_WORDS).write_text("a\nred\nhen\ncow\n")
    return StableDiffusion(str(folder), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("given", "prompt", "words"),
    [
        ({"source_prompt": "a hen"}, "a red cow", ""),
        ({"source_prompt": "a hen"}, "a dragon on a dragon", "'dragon', 'on'"),
        ({"source_prompt": "an owl"}, "a cow", "'an', 'owl'"),
        ({"source_prompt": "a hen", "negative": "blurry"}, "a cow", "'blurry'"),
        ({"source_prompt": "a hen", "change": ("hen", "Dragon")}, None, "'dragon'"),
    ],
)
def test_words_that_the_model_has_not_learned_are_reported_once(
    given: dict[str, Any], prompt: str | None, words: str, of_few_words: StableDiffusion, options: MakeOptions
) -> None:
    said = [each for each in written(of_few_words, options(**given), prompt)[1] if "trained on few words" in each]
    assert len(said) == bool(words)
    assert all(f"and not on {words}: it will draw something else" in each for each in said)


def test_a_model_without_a_list_of_words_reports_none(backend: StableDiffusion, options: MakeOptions) -> None:
    assert written(backend, options(source_prompt="a hen"), "a dragon")[1] == []


def test_prompts_have_weights(backend: StableDiffusion, options: MakeOptions) -> None:
    asked = options(source_prompt="a (hen:0.5)", negative="{source} (red:2)")
    script, notices = written(backend, asked, "a (cow:1.4)")
    texts = {"source": "a (hen:0.5)", "positive": "a (cow:1.4)", "negative": "a (hen:0.5) (red:2)"}
    assert {"source": script.source, "positive": script.prompt, "negative": script.negative} == texts
    for lane, text in texts.items():
        assert torch.equal(script.prompt_embeddings[lane].tokens, embed_prompt(backend, text).tokens)
    assert notices == [
        "weights in 'a (hen:0.5)': 'hen' 0.5",
        "weights in 'a (hen:0.5) (red:2)': 'hen' 0.5, 'red' 2",
        "weights in 'a (cow:1.4)': 'cow' 1.4",
    ]


def test_a_change_finds_its_place_beside_weights(backend: StableDiffusion, options: MakeOptions) -> None:
    weighted, notices = written(backend, options(source_prompt="a (hen:1.4)", change=("hen", "cow")), None)
    plain, _ = written(backend, options(source_prompt="a hen", change=("hen", "cow")), None)
    assert not any("which is to change" in notice for notice in notices)
    moved = plain.prompt_embeddings["positive"].tokens - plain.prompt_embeddings["source"].tokens
    assert torch.allclose(
        weighted.prompt_embeddings["positive"].tokens, embed_prompt(backend, "a (hen:1.4)").tokens + moved, atol=1e-6
    )
    assert tokens_of(backend, "a (hen:1.4)", "hen") == tokens_of(backend, "a hen", "hen") != ()


def test_a_caption_has_no_weights(
    backend: StableDiffusion, options: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clocks:
        def __init__(self, *_: object) -> None: ...

        def captions(self, pictures: list[np.ndarray]) -> list[str]:
            return ["a clock ( 12 : 30 )"]

    monkeypatch.setattr("pnpvideo.words.script.Captioner", Clocks)
    script, _ = written(backend, options(source_prompt=None), "a hen")
    assert torch.equal(script.prompt_embeddings["source"].tokens, backend.embed("a clock ( 12 : 30 )").tokens)


def test_no_captioner_is_loaded_where_nothing_reads_its_caption(
    backend: StableDiffusion, options: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SDEdit of single frames starts from noise alone; a negative prompt may want a description after all."""

    class Asked(Exception):
        pass

    def refuse(*_: object) -> None:
        raise Asked

    monkeypatch.setattr("pnpvideo.words.script.Captioner", refuse)
    alone = {"method": "sdedit", "coherence": "none", "source_prompt": None}
    script, notices = written(backend, options(**alone), "a hen")
    assert script.source == "" and notices == []
    for given in ({"negative": "{source}"}, {"coherence": "flow"}, {"method": "pnp"}):
        with pytest.raises(Asked):
            written(backend, options(**{**alone, **given}), "a hen")


def test_a_stored_direction_says_what_it_changes(
    backend: StableDiffusion, options: MakeOptions, tmp_path: Path
) -> None:
    written(backend, options(source_prompt="a hen", change=("hen", "cow"), store=tmp_path / "store"), None)
    (info,) = Store(tmp_path / "store").list()
    assert info.kind == "direction" and info.about["change"] == "hen to cow" and info.about["model"]
