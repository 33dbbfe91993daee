"""A search tries the method's own dials, counts what it takes, and is picked from its file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pnpvideo import Independent, PlugAndPlay, Runtime, Sampling, SDEdit
from pnpvideo.errors import OptionError
from pnpvideo.events import Event, Notice
from pnpvideo.explore import pick
from pnpvideo.explore.plot import plot_tuning
from pnpvideo.explore.tuning import Search, Tuning, dials_of, tune
from pnpvideo.settings.options import Options
from pnpvideo.settings.prompts import Prompts

Tune = Callable[..., Tuning]


@pytest.fixture
def still(tmp_path: Path) -> Path:
    picture = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(6, 0).repeat(6, 1)
    Image.fromarray(picture).save(tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.fixture
def tuned(still: Path, checkpoint: Path, tmp_path: Path) -> Tune:
    def make(search: Search, events: list[Event] | None = None, **groups: Any) -> Tuning:
        usual = {
            "sampling": Sampling(steps=3, size=32),
            "prompts": Prompts(source_prompt="a hen"),
            "runtime": Runtime(store=tmp_path / "store", device="cpu"),
        }
        report = (events if events is not None else []).append
        return tune(still, "a (fox:1.2)", search, model=str(checkpoint), report=report, **{**usual, **groups})

    return make


def test_the_evaluations_that_it_says_are_those_that_it_made(tuned: Tune, calls: list[int]) -> None:
    found = tuned(Search(trials=5))
    assert found.evaluations == sum(calls) > 0
    assert set(found.dials) == {"guidance", "attention_until", "feature_until"}
    assert len(found.tried) == 5 and len({one.values for one in found.tried}) == 5


def test_the_best_is_no_worse_than_the_defaults_in_either_way(tuned: Tune) -> None:
    found = tuned(Search(trials=5))
    first, best = found.tried[0], found.tried[found.best]
    assert best.agreement >= first.agreement and best.structure <= first.structure
    defaults = dict(zip(found.dials, first.values, strict=True))
    assert defaults == {"guidance": 7.5, "attention_until": 0.5, "feature_until": 0.8}
    other = tuned(Search(trials=5, min_agreement=first.agreement))
    assert other.tried[other.best].agreement >= first.agreement
    assert other.tried[other.best].structure <= first.structure


def test_it_repeats_itself(tuned: Tune) -> None:
    assert tuned(Search(trials=4)).tried == tuned(Search(trials=4)).tried


def test_what_is_found_is_saved_picked_and_drawn(tuned: Tune, tmp_path: Path) -> None:
    found = tuned(Search(trials=3))
    found.save(tmp_path / "tune.json")
    chosen, second = pick(tmp_path / "tune.json"), pick(tmp_path / "tune.json#2")
    assert [chosen.values[name] for name in found.dials] == list(found.tried[found.best].values)
    assert [second.values[name] for name in found.dials] == list(found.tried[1].values)
    assert chosen.prompt == "a (fox:1.2)" and chosen.values["steps"] == 3
    assert json.loads((tmp_path / "tune.json").read_text())["cells"][0]["agreement"] == round(
        found.tried[0].agreement, 4
    )
    lines = found.table().splitlines()
    assert len(lines) == 5 and sum("**" in line for line in lines) == 1
    assert all(f"--{name.replace('_', '-')} " in found.flags() for name in found.dials)
    plot_tuning(found, tmp_path / "tune.png")
    with Image.open(tmp_path / "tune.png") as drawn:
        assert drawn.size[0] > 600


def test_the_dials_are_the_methods_own() -> None:
    assert set(dials_of(Options(method=SDEdit()))) == {"strength", "guidance"}
    assert set(dials_of(Options(coherence=Independent()))) == {"guidance", "attention_until", "feature_until"}


def test_what_is_set_stays_as_it_is(tuned: Tune) -> None:
    found = tuned(Search(trials=2), method=PlugAndPlay(attention_until=0.25), sampling=Sampling(steps=2, guidance=3.0))
    assert found.dials == ("feature_until",)
    assert all(outcome.cell.values["guidance"] == 3.0 for outcome in found.outcomes)
    with pytest.raises(OptionError, match="every option that a search turns is set"):
        tuned(Search(), method=SDEdit(strength=0.5), sampling=Sampling(steps=2, guidance=3.0))


def test_a_bound_that_nothing_keeps_is_said(tuned: Tune) -> None:
    events: list[Event] = []
    tuned(Search(trials=2, max_structure=0.0), events)
    assert any("no trial keeps the bound" in event.message for event in events if isinstance(event, Notice))


def test_a_search_is_asked_for_one_thing() -> None:
    with pytest.raises(OptionError, match="one of them is the bound"):
        Search(max_structure=1.0, min_agreement=2.0)
    with pytest.raises(OptionError, match="trials is 0"):
        Search(trials=0)
