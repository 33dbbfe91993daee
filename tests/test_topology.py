"""The sizes of the random checkpoints that benchmarks measure are those of the published ones."""

import pytest
import torch

from benchmarks.topology import TOPOLOGIES, new_network

PUBLISHED = {"sd15": 859_520_964, "sd21": 865_910_724, "sdxl": 2_567_463_684}
"""Weights of the published networks (arXiv 2307.01952, table 1, in full)."""


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_network_has_the_published_number_of_weights(name: str) -> None:
    with torch.device("meta"):
        network = new_network(TOPOLOGIES[name], 1.0)
    assert sum(weight.numel() for weight in network.parameters()) == PUBLISHED[name]
