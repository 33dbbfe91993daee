"""Names, labels and numbers of what is shown."""

from pnpvideo.injection import Kind, Site
from pnpvideo.inspect.facts import level_facts, percents, site_facts, site_label, tensor_name
from pnpvideo.inspect.record import Level

LEVEL = Level(3, 540.0, 0.75)
RESIDUAL = Site("up_blocks.1.resnets.1.conv2", Kind.RESIDUAL, "decoder", 4)


def test_a_site_is_named_with_its_level() -> None:
    assert tensor_name(1, RESIDUAL, LEVEL) == "1/up_blocks.1.resnets.1.conv2/level-3"
    assert site_facts(RESIDUAL, LEVEL) == {
        "site": RESIDUAL.name,
        "kind": "residual",
        "part": "decoder",
        "layer": 4,
        **level_facts(LEVEL),
    }
    assert level_facts(LEVEL) == {"level": 3, "timestep": 540.0, "noise": 0.75}


def test_labels_say_what_a_layer_is() -> None:
    assert site_label(RESIDUAL, (16, 29)) == ("decoder 4", "29 x 16")
    attention = Site("a", Kind.SELF, "encoder", 0)
    assert site_label(attention, (8, 8)) == ("encoder 0", "self-attention", "8 x 8")
    assert percents((0.414, 0.12, 0.0)) == "41 + 12 + 0%"
