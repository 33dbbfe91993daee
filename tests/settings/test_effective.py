"""Who decides about an option: the user, then the checkpoint's card, then the preset, then the default."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pnpvideo.errors import OptionError
from pnpvideo.methods.pix2pix_zero import Pix2PixZero
from pnpvideo.methods.plug_and_play import FLOW_DEPTH, PlugAndPlay
from pnpvideo.settings.card import RECOMMENDABLE, Card
from pnpvideo.settings.effective import effective, without_effect
from pnpvideo.settings.options import Options


@dataclass(frozen=True)
class Model:
    """A checkpoint as effective() sees it."""

    card: Card = field(default_factory=Card)
    few_step: bool = False
    size: int = 512
    prediction: str = "epsilon"


def used(given: dict[str, Any], model: Model | None = None) -> Options:
    return effective(Options.from_flat(given, dict.fromkeys(given, "flag")), model or Model())


def test_each_source_gives_way_to_the_one_above() -> None:
    card = Card(recommended={"guidance": 3.0, "attention_until": 0.9})
    plain, recommended, set_by_user = used({}), used({}, Model(card)), used({"guidance": 4.0}, Model(card))
    found = [(options.sampling.guidance, options.origins["guidance"]) for options in (plain, recommended, set_by_user)]
    assert found == [(7.5, "default"), (3.0, "checkpoint's card"), (4.0, "flag")]
    assert recommended.method == PlugAndPlay(
        feature_until=0.8, attention_until=0.9, fresh_noise=0.0, inversion_depth=1.0
    )
    assert (plain.sampling.size, plain.origins["size"]) == (512, "model")
    assert (plain.sampling.steps, plain.sampling.solver, plain.sampling.spacing) == (12, "2m", "karras")
    assert plain.origins["steps"] == plain.origins["solver"] == "preset"


def test_every_option_has_a_value_and_who_decided() -> None:
    options = used({"method": "pix2pix-zero", "change": ("a", "b")})
    unset = {name for name, value in options.flat().items() if value is None}
    assert unset == {
        "source_prompt",
        "captioner",
        "mask",
        "frames",
        "track",
        "memory",
        "map_pixels",
        "store",
        "store_limit",
        "preview_every",
        "vae",
        "prediction",
        "few_step",
        "preview_file",
        "preview_vae",
    }
    assert set(options.origins) == set(options.flat())
    assert effective(options, Model()) == options


@pytest.mark.parametrize(
    ("given", "prediction", "weight", "gain"),
    [
        ({}, "epsilon", 0.1, 2.0),
        ({}, "v_prediction", 0.01, 2.0),
        ({"generate": True, "source_prompt": "a"}, "epsilon", 0.15, 0.0),
    ],
)
def test_an_edit_has_defaults_of_its_own(given: dict[str, Any], prediction: str, weight: float, gain: float) -> None:
    options = used({"method": "pix2pix-zero", **given}, Model(prediction=prediction))
    assert isinstance(options.method, Pix2PixZero) and options.method.cross_attention == weight
    assert (options.sampling.guidance, options.sampling.regularize) == (5.0, gain)
    assert options.sampling.solver == ("ddim" if gain else "2m")
    own = Card(recommended={"guidance": 9.0, "edit_guidance": 2.0, "edit_negative": "no {source}"})
    recommended = used({"method": "pix2pix-zero"}, Model(own))
    assert (recommended.sampling.guidance, recommended.prompts.negative) == (2.0, "no {source}")


@pytest.mark.parametrize(
    ("given", "negative"),
    [
        ({}, "ugly"),
        ({"negative": "n"}, "n"),
        ({"method": "pix2pix-zero"}, "{source}"),
        ({"generate": True, "source_prompt": "a"}, "{source}"),
        ({"generate": True, "source_prompt": "a", "method": "pix2pix-zero"}, ""),
    ],
)
def test_the_negative_prompt(given: dict[str, Any], negative: str) -> None:
    assert used(given, Model(Card(recommended={"negative": "ugly"}))).prompts.negative == negative


def test_few_step_checkpoints_and_solvers() -> None:
    few = used({}, Model(few_step=True)).sampling
    assert (few.steps, few.solver, few.spacing) == (4, "ddim", "checkpoint")
    assert used({"solver": "ddim"}).sampling.steps == 30
    with pytest.raises(OptionError, match="inversion_rounds is 2, and the solver is 2m"):
        used({"inversion_rounds": 2})
    assert used({"inversion_rounds": 2, "solver": "ddim"}).sampling.inversion_rounds == 2


def test_plug_and_play_starts_below_pure_noise_where_a_model_matches_flows() -> None:
    def depth(given: dict[str, Any], prediction: str = "flow", **card: float) -> tuple[float | None, str]:
        options = used(given, Model(Card(recommended=card), prediction=prediction))
        assert isinstance(options.method, PlugAndPlay)
        return options.method.inversion_depth, options.origins["inversion_depth"]

    assert depth({}) == (FLOW_DEPTH, "method") and depth({}, "epsilon") == (1.0, "default")
    assert depth({}, inversion_depth=0.8) == (0.8, "checkpoint's card")
    assert depth({"inversion_depth": 1.0}) == (1.0, "flag")
    generated = {"generate": True, "source_prompt": "a"}
    assert depth(generated) == (1.0, "default")
    assert without_effect(used({**generated, "inversion_depth": 0.5}), 1) == [
        "inversion_depth is set, and has no effect: the guidance picture is generated"
    ]


def test_rf_solver_is_for_flow_matching() -> None:
    rf = used({"solver": "rf"}, Model(prediction="flow")).sampling
    assert (rf.steps, rf.inversion_rounds) == (12, 0)
    for given, prediction, match in (
        ({}, "epsilon", "solver is rf, for models trained by flow matching.*this one predicts epsilon"),
        ({"regularize": 1}, "flow", "regularize is 1, and the solver is rf"),
        ({"inversion_rounds": 1}, "flow", "inversion_rounds is 1, and the solver is rf"),
        ({"method": "flowedit"}, "flow", "solver is rf, and this method is defined for steps of first order"),
    ):
        with pytest.raises(OptionError, match=match):
            used({"solver": "rf", **given}, Model(prediction=prediction))


@pytest.mark.parametrize(
    ("given", "frames", "named"),
    [
        ({}, 8, []),
        ({"seed": 1}, 8, []),  # it draws the keyframes
        ({"seed": 1}, 1, ["seed"]),
        ({"seed": 1, "coherence": "none"}, 8, ["seed"]),
        ({"seed": 1, "fresh_noise": 0.2}, 1, []),
        ({"seed": 1, "method": "sdedit"}, 1, []),
        ({"strength": 0.3}, 8, ["strength"]),
        ({"keyframe_every": 3, "coherence": "none"}, 8, ["keyframe_every"]),
        ({"keyframe_every": 3}, 1, ["keyframe_every"]),
        ({"guidance": 1.0, "negative": "n"}, 8, ["negative"]),
        ({"change_strength": 2.0}, 8, ["change_strength"]),
        ({"placement": "start"}, 8, ["placement"]),
        ({"captioner": "c", "source_prompt": "a"}, 8, ["captioner"]),
        ({"method": "sdedit", "regularize": 1}, 8, ["regularize"]),
        ({"preview_file": Path("p.png")}, 8, ["preview_file"]),
        ({"preview_file": Path("p.png"), "preview_every": 2}, 8, []),
        ({"method": "sdedit", "source_prompt": "a", "coherence": "none"}, 8, ["source_prompt"]),
        ({"method": "sdedit", "source_prompt": "a"}, 8, []),  # token flow looks at the source
        ({"method": "sdedit", "source_prompt": "a", "coherence": "none", "negative": "{source}"}, 8, []),
        ({"method": "flowedit", "source_prompt": "a", "coherence": "none"}, 8, []),
    ],
)
def test_options_that_change_nothing_are_named(given: dict[str, Any], frames: int, named: list[str]) -> None:
    messages = without_effect(used(given), frames)
    assert [message.split()[0] for message in messages] == named
    assert all("is set, and has no effect: " in message for message in messages)


def test_models_that_match_flows_have_noise_levels_of_their_own() -> None:
    chosen = used({"spacing": "karras"}, Model(prediction="flow"))
    (message,) = without_effect(chosen, 8, prediction="flow")
    assert message == "spacing is set, and has no effect: the model has noise levels of its own"


def test_a_card_takes_what_may_be_recommended() -> None:
    card = Card.from_mapping({"guidance": 2.0, "outside_notice": "far", "familiar_error": 0.1}, {"inversion_rounds": 2})
    assert card.recommended == {"guidance": 2.0, "inversion_rounds": 2} and card.outside_notice == "far"
    assert {"feature_until", "edit_guidance", "edit_negative", "cross_attention"} <= set(RECOMMENDABLE)
    assert "seed" not in RECOMMENDABLE and "batch" not in RECOMMENDABLE
    assert card.knows_pictures_at(256, 512) and not card.knows_pictures_at(255, 512)
    for wrong, complaint in (({"seed": 1}, "no recommendation"), ({"guidance": -1}, "guidance is -1")):
        with pytest.raises(OptionError, match=complaint):
            Card.from_mapping(wrong, {})
