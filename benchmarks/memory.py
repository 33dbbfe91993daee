"""Memory that runs with Stable Diffusion's topologies need on a GPU: ``python -m benchmarks.memory``.

These are the estimates that ``--memory`` and ``pnpvideo plan`` use. Networks are built without contents, so nothing is
downloaded or computed. The network and its calls are in fp16; autoencoder and text encoders in fp32, as they run.
"""

from dataclasses import replace

import torch

from benchmarks.topology import TOKENS, TOPOLOGIES, Topology, new_autoencoder, new_network, new_text_encoder
from pnpvideo.backends.fake import FakeBackend
from pnpvideo.backends.footprint import Footprint, of_autoencoder, of_network
from pnpvideo.backends.quiet import quiet_libraries
from pnpvideo.coherence.flow import TokenFlow
from pnpvideo.engine.estimate import Estimate, Size, largest
from pnpvideo.settings.options import Options

FACTOR = 8
"""Pixels for each cell of the latents."""


def footprint(topology: Topology) -> Footprint:
    """What a model of the topology and its calls hold, at its native size."""
    with torch.device("meta"):
        network = new_network(topology, 1.0).half()
        vae = new_autoencoder(topology, 1.0)
        texts = [new_text_encoder(tower, pools=index > 0) for index, tower in enumerate(topology.towers)]
    weights = sum(value.nbytes for part in (network, vae, *texts) for value in part.parameters())
    shape, side = (4, topology.cells, topology.cells), FACTOR * topology.cells
    words = TOKENS, sum(tower.channels for tower in topology.towers)
    pooled = topology.towers[-1].channels if len(topology.towers) > 1 else None
    call, tokens = of_network(network, shape, words, pooled, (side, side))
    return Footprint(weights, call, tokens, of_autoencoder(vae, shape, FACTOR))


def peaks(held: Footprint) -> dict[str, int]:
    """Bytes at the peak of a still, of a clip with the defaults, and of a clip with the smallest batch and window."""
    options = Options()
    smallest = replace(options, runtime=replace(options.runtime, batch=1, window=TokenFlow().keyframe_every))
    return {
        "still": Estimate.of(FakeBackend({}), options).memory(Size(1), held),
        "clip": Estimate.of(FakeBackend({}), options).memory(largest(options, None), held),
        "clip, at the least": Estimate.of(FakeBackend({}), smallest).memory(largest(smallest, None), held),
    }


def main() -> None:
    print("| topology | pixels | weights, GiB | still | clip | clip, at the least |\n|---|---|---|---|---|---|")
    for name, topology in TOPOLOGIES.items():
        with quiet_libraries():
            held = footprint(topology)
        cells = [f"{value / 2**30:.1f}" for value in (held.weights, *peaks(held).values())]
        print(f"| {name} | {FACTOR * topology.cells} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
