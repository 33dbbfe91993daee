"""Plug-and-Play, shared keyframes and token flow straight from the equations: one lane at a time, slowly.

The keyframes of a lane go through the network together, every other frame alone. Knows nothing of the engine.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule

FEATURES = "up_blocks.1.resnets.1.conv2"


def _softmax_attention(layer: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Of one frame, (tokens, channels) each, head by head."""
    heads = zip(q.chunk(layer.heads, 1), k.chunk(layer.heads, 1), v.chunk(layer.heads, 1), strict=True)
    mixed = [torch.softmax(a @ b.T / a.shape[1] ** 0.5, 1) @ c for a, b, c in heads]
    return layer.to_out[0](torch.cat(mixed, 1))


class Reference:
    """What the pass under way is about, and what earlier passes of the same step left: by layer and frame."""

    def __init__(self, network: Any, kind: str, injected: int) -> None:
        self.network, self.kind = network, kind
        self.layers = {name: module for name, module in network.named_modules() if name.endswith(".attn1")}
        decoder = [name for name in self.layers if name.startswith("up_blocks")]
        self.injected_layers = decoder[-injected:]
        self.lane = "source"
        self.frames: tuple[int, ...] = ()
        self.keyframes: tuple[int, ...] = ()
        self.features = self.attention = False
        self.source: dict[tuple[str, int], Any] = {}
        self.shared: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
        self.outputs: dict[tuple[str, str, int], Tensor] = {}

    def attend(self, name: str, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        layer = self.layers[name]
        q, k, v = layer.to_q(hidden), layer.to_k(hidden), layer.to_v(hidden)
        if self.lane == "source":
            for row, frame in enumerate(self.frames):
                self.source[name, frame] = hidden[row], q[row], k[row]
            return torch.stack([_softmax_attention(layer, *parts) for parts in zip(q, k, v, strict=True)])
        if self.attention and name in self.injected_layers:
            q = torch.stack([self.source[name, frame][1] for frame in self.frames])
            k = torch.stack([self.source[name, frame][2] for frame in self.frames])
        if self.kind != "none" and self.frames == self.keyframes:
            self.shared[name, self.lane] = all_k, all_v = k.flatten(0, 1), v.flatten(0, 1)
            result = torch.stack([_softmax_attention(layer, one, all_k, all_v) for one in q])
            for row, frame in enumerate(self.frames):
                self.outputs[name, self.lane, frame] = result[row]
            return result
        if self.kind == "flow":
            return self.flow(name, self.frames[0]).unsqueeze(0)
        if self.kind == "joint":
            all_k, all_v = self.shared[name, self.lane]
            return _softmax_attention(layer, q[0], torch.cat((k[0], all_k)), torch.cat((v[0], all_v))).unsqueeze(0)
        return torch.stack([_softmax_attention(layer, *parts) for parts in zip(q, k, v, strict=True)])

    def flow(self, name: str, frame: int) -> Tensor:
        """The tokens of the past and the next keyframe that look most alike in the source, by distance in time."""

        def taken(keyframe: int) -> Tensor:
            mine, theirs = self.source[name, frame][0], self.source[name, keyframe][0]
            cosine = torch.cosine_similarity(mine[:, None], theirs[None], dim=2)
            return self.outputs[name, self.lane, keyframe][cosine.argmax(1)]

        past = [keyframe for keyframe in self.keyframes if keyframe < frame]
        following = [keyframe for keyframe in self.keyframes if keyframe > frame]
        if not past or not following:
            return taken(past[-1] if past else following[0])
        a, b = frame - past[-1], following[0] - frame
        return (b * taken(past[-1]) + a * taken(following[0])) / (a + b)

    def residual(self, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        if self.lane == "source":
            result = forward(x)
            for row, frame in enumerate(self.frames):
                self.source[FEATURES, frame] = result[row]
            return result
        if self.features:
            return torch.stack([self.source[FEATURES, frame] for frame in self.frames])
        return forward(x)

    @contextmanager
    def patched(self) -> Iterator[None]:
        conv = self.network.get_submodule(FEATURES)
        try:
            for name, layer in self.layers.items():
                layer.forward = partial(self.attend, name)
            conv.forward = partial(self.residual, conv.forward)
            yield
        finally:
            for module in (*self.layers.values(), conv):
                del module.forward  # the class's own shows again


@torch.no_grad()
def reference(
    network: Any,
    schedule: Schedule,
    states: Sequence[Tensor],
    words: Sequence[Tensor],
    scale: float,
    feature_steps: int,
    attention_steps: int,
    kind: str,
    keyframes: Sequence[tuple[int, ...]],
) -> Tensor:
    """The edited latents of level 0. words: of source, empty and positive prompt. keyframes: of each step."""
    x, count = states[-1], len(states[-1])
    self = Reference(network, kind, injected=8)
    lanes = dict(zip(("source", "empty", "positive"), words, strict=True))
    with self.patched():
        for step, level in enumerate(range(schedule.steps, 0, -1)):
            self.keyframes = keyframes[step]
            self.features, self.attention = step < feature_steps, step < attention_steps
            alone = [(frame,) for frame in range(count) if frame not in self.keyframes]
            eps = {lane: torch.empty_like(x) for lane in lanes}
            for self.lane, text in lanes.items():
                latents = states[level] if self.lane == "source" else x
                for frames in [keyframes[step], *alone] if keyframes[step] else alone:
                    self.frames, rows = frames, list(frames)
                    context = text.expand(len(rows), *text.shape)
                    eps[self.lane][rows] = network(latents[rows], schedule.timestep(level), context).sample
            guided = eps["empty"] + scale * (eps["positive"] - eps["empty"])
            now, then = schedule.alphas[level], schedule.alphas[level - 1]
            x = then**0.5 * (x - (1 - now) ** 0.5 * guided) / now**0.5 + (1 - then) ** 0.5 * guided
    return x
