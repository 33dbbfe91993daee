"""Where the network looks for each word, in the source and in what an edit makes of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.coherence.independent import Independent
from pnpvideo.errors import OptionError
from pnpvideo.inspect import View, words
from pnpvideo.inspect.word_maps import WordMap, WordMaps
from pnpvideo.pipeline import translate
from pnpvideo.settings.options import Options
from pnpvideo.settings.prompts import Prompts
from pnpvideo.video.pixels import resize
from pnpvideo.video.read import read


def test_every_token_has_a_map(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    found = words([picture("a.png")], quick(size=128))
    assert isinstance(found, WordMaps) and isinstance(found.maps[0], WordMap)
    (one,) = found.maps
    assert (one.tokens, one.lane) == (("a", "red", "cube"), "source")
    assert one.by_level.shape == (2, 3, 16, 16)
    facts = found.facts()
    assert facts["maps"][0]["cells"] == [16, 16] and [level["level"] for level in facts["levels"]] == [2, 1]
    assert [token["token"] for token in facts["maps"][0]["tokens"]] == ["a", "red", "cube"]
    np.testing.assert_allclose(found.tensors()["0/0/source"].numpy(), one.by_level)
    assert found.sheet(64, by_step=True).height > found.sheet(64).height


def test_resolution_layers_and_levels_can_be_chosen(
    quick: Callable[..., Options], picture: Callable[..., Path]
) -> None:
    inputs, options = [picture("a.png")], quick(size=128)
    assert words(inputs, options, cells=4).maps[0].by_level.shape[2:] == (4, 4)
    assert len(words(inputs, options, View(timesteps=(100.0,))).maps[0].by_level) == 1
    every, some = words(inputs, options, cells=8), words(inputs, options, View(part="decoder", timesteps=()), cells=8)
    assert every.maps[0].by_level.shape == some.maps[0].by_level.shape
    assert not np.allclose(every.maps[0].mean, some.maps[0].mean)


def test_an_edits_maps_come_from_the_run_that_translates(
    backend: StableDiffusion, options: Callable[..., Options], picture: Callable[..., Path], tmp_path: Path
) -> None:
    editing = options(source_prompt="a red cube", change=("red", "blue"), method="pnp")
    found = words([picture("a.png")], editing, backend=backend, cells=4)
    assert [one.lane for one in found.maps] == ["source", "positive"]
    source, result = found.maps
    assert "".join(source.tokens) == "aredcube"  # a token for each letter
    assert source.tokens == result.tokens and not np.allclose(source.mean, result.mean)
    single = replace(editing, coherence=Independent())
    translate(picture("a.png"), None, tmp_path / "out.png", single, backend=backend)
    (frame,) = read(tmp_path / "out.png").frames()
    assert np.array_equal(resize(found.results[0][0], (64, 64)), frame.pixels)
    alone = words(
        [picture("a.png")], replace(editing, prompts=Prompts(source_prompt="a red cube")), backend=backend, cells=4
    )
    torch.testing.assert_close(torch.from_numpy(alone.maps[0].by_level), torch.from_numpy(source.by_level))
    assert found.facts()["prompts"] == ["a red cube"]
    assert found.sheet(64).height > alone.sheet(64).height


def test_a_prompt_of_its_own_has_its_own_words(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    found = words([picture("a.png")], quick(), prompt="a photo of a (cube:1.2)")
    assert found.maps[1].tokens == ("a", "photo", "of", "a", "cube")


def test_a_method_that_leaves_out_the_first_steps(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    options = quick(steps=4, method="sdedit", strength=0.5)
    found = words([picture("a.png")], options, prompt="a cube")
    assert [level.number for level in found.levels] == [2, 1]
    assert all(len(one.by_level) == 2 for one in found.maps)
    with pytest.raises(OptionError, match="samples at none of these timesteps"):
        words([picture("a.png")], options, View(timesteps=(1000.0,)), prompt="a cube")


def test_without_words_there_is_nothing_to_show(quick: Callable[..., Options], picture: Callable[..., Path]) -> None:
    with pytest.raises(OptionError, match=r"nothing says what a\.png shows"):
        words([picture("a.png")], quick(source_prompt=""))
