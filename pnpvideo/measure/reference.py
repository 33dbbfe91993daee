"""Reference implementation of Plug-and-Play and TokenFlow as published (arXiv 2211.12572 and 2307.10373).

The tests compare the engine with it, and the benchmark of speed measures against it. It is written for clarity and
without optimisation: the source lane is part of every batch, attention is computed head by head with keys repeated for
each frame, keyframes are computed twice, and an inversion is sampled back only to check it. Where paper and published
code differ, it follows the paper, as the engine does (docs/architecture.md).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.injection import Conditioning

CELL = 8  # pixels of a latent's cell, along one side
LANES = 3  # source, empty, positive


class ReferencePipeline:
    """Plug-and-Play on a UNet. kind: "flow" (TokenFlow), "joint" (all frames attend to the keyframes) or "none" (each
    frame alone).

    evaluations: number of latents that the network has been evaluated on.
    """

    def __init__(self, network: Any, kind: str = "flow", batch: int = 8) -> None:
        self.network, self.kind = network, kind
        self.batch = 1 if kind == "joint" else batch  # the number of keys differs between frames
        self.evaluations = 0
        self.layers = {name: module for name, module in network.named_modules() if name.endswith(".attn1")}
        self.feature_layer, self.injected_layers = _structure_layers(network, self.layers)
        self.frames: tuple[int, ...] = ()
        self.keyframes: tuple[int, ...] = ()
        self.pivotal = self.features = self.attention = False
        self.hidden: dict[str, Tensor] = {}  # of the keyframes: layer -> input of the source's attention
        self.outputs: dict[str, tuple[Tensor, ...]] = {}  # of the keyframes: layer -> attention output of each lane
        self.tokens: dict[tuple[str, str], tuple[Tensor, ...]] = {}  # (layer, "k" or "v") -> of each lane

    @torch.no_grad()
    def invert(self, x: Tensor, schedule: Schedule, words: Conditioning) -> list[Tensor]:
        """The latents of all levels, from 0 up, by DDIM inversion with the network's output at (x_i, t_{i+1})."""
        states = [x]
        for level in range(schedule.steps):
            eps = self.predict(states[-1], schedule.timestep(level + 1), words)
            states.append(_step(states[-1], eps, schedule, level, level + 1))
        return states

    @torch.no_grad()
    def reconstruct(self, x: Tensor, schedule: Schedule, words: Conditioning) -> Tensor:
        """Sample from the noisiest level with the source prompt, to check the inversion."""
        for level in range(schedule.steps, 0, -1):
            x = _step(x, self.predict(x, schedule.timestep(level), words), schedule, level, level - 1)
        return x

    @torch.no_grad()
    def sample(
        self,
        states: Sequence[Tensor],
        schedule: Schedule,
        words: Sequence[Conditioning],
        scale: float,
        feature_steps: int,
        attention_steps: int,
        keyframes: Sequence[tuple[int, ...]],
    ) -> Tensor:
        """The edited latents of level 0.

        states: the source's latents at each level. words: embeddings of the source, empty and positive prompt. scale:
        of guidance. feature_steps, attention_steps: steps with injection. keyframes: of each step, ascending; empty for
        kind "none".
        """
        x, count = states[-1], len(states[-1])
        with self.patch():
            for step, level in enumerate(range(schedule.steps, 0, -1)):
                timestep, latents = schedule.timestep(level), (states[level], x, x)
                self.keyframes = keyframes[step]
                self.features, self.attention = step < feature_steps, step < attention_steps
                if self.keyframes:
                    self.pivotal = True
                    self.predict_lanes(latents, self.keyframes, timestep, words)
                    self.pivotal = False
                answers = [
                    self.predict_lanes(latents, tuple(range(start, min(start + self.batch, count))), timestep, words)
                    for start in range(0, count, self.batch)
                ]
                _, empty, positive = torch.cat(answers, 1)
                x = _step(x, empty + scale * (positive - empty), schedule, level, level - 1)
        return x

    def predict(self, x: Tensor, timestep: float, words: Conditioning) -> Tensor:
        """The outputs of the network for ``x``, in batches, with one prompt."""
        self.evaluations += len(x)
        return torch.cat([self._call(part, timestep, words.batch(len(part))) for part in x.split(self.batch)])

    def predict_lanes(
        self, latents: Sequence[Tensor], frames: tuple[int, ...], timestep: float, words: Sequence[Conditioning]
    ) -> Tensor:
        """The outputs of the network, (lanes, frames, c, h, w), for these frames of all three lanes."""
        self.frames = frames
        x = torch.cat([lane[list(frames)] for lane in latents])
        text = Conditioning.concat([lane.batch(len(frames)) for lane in words])
        self.evaluations += len(x)
        outputs: Tensor = self._call(x, timestep, text).unflatten(0, (LANES, len(frames)))
        return outputs

    def _call(self, x: Tensor, timestep: float, words: Conditioning) -> Tensor:
        """Run the network in its own dtype, and return fp32."""
        asked = (x.to(self.network.dtype), timestep, words.tokens.to(self.network.dtype))
        answer: Tensor = self.network(*asked, added_cond_kwargs=_told_besides(words, x)).sample
        return answer.float()

    def attend(self, name: str, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        layer = self.layers[name]
        source = hidden.chunk(LANES)[0]
        if self.kind == "flow" and not self.pivotal:
            own = _attention(layer, layer.to_q(source), layer.to_k(source), layer.to_v(source))
            return torch.cat((own, *self.blend_keyframes(name, source)))
        q, k, v = (project(hidden).chunk(LANES) for project in (layer.to_q, layer.to_k, layer.to_v))
        if self.attention and name in self.injected_layers:
            q, k = (q[0],) * LANES, (k[0],) * LANES
        k, v = self.extend_tokens((name, "k"), k), self.extend_tokens((name, "v"), v)
        outputs = tuple(_attention(layer, *parts) for parts in zip(q, k, v, strict=True))
        if self.pivotal and self.kind == "flow":
            self.hidden[name], self.outputs[name] = source, outputs[1:]
        return torch.cat(outputs)

    def extend_tokens(self, which: tuple[str, str], tokens: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Append the tokens of the keyframes to those of each edited lane: (frames, tokens, c) for each lane."""
        if not self.keyframes:
            return tuple(tokens)
        source, *edited = tokens
        if self.pivotal:
            self.tokens[which] = tuple(lane.flatten(0, 1).unsqueeze(0) for lane in edited)
        shared = [lane.expand(len(source), -1, -1) for lane in self.tokens[which]]
        if self.pivotal or self.frames[0] in self.keyframes:
            return source, *shared
        return source, *(torch.cat(both, 1) for both in zip(edited, shared, strict=True))

    def blend_keyframes(self, name: str, source: Tensor) -> list[Tensor]:
        """For each edited lane, blend the nearest tokens of the past and next keyframe by distance in time."""
        lanes: list[list[Tensor]] = [[] for _ in self.outputs[name]]
        for row, frame in enumerate(self.frames):
            past = [place for place, keyframe in enumerate(self.keyframes) if keyframe <= frame]
            following = [place for place, keyframe in enumerate(self.keyframes) if keyframe >= frame]
            i, j = (past or following)[-1 if past else 0], (following or past)[0 if following else -1]
            before, after = abs(frame - self.keyframes[i]), abs(self.keyframes[j] - frame)
            share = 0.5 if i == j else after / (before + after)
            back, ahead = (_nearest(source[row], self.hidden[name][keyframe]) for keyframe in (i, j))
            for lane, output in zip(lanes, self.outputs[name], strict=True):
                lane.append(share * output[i][back] + (1 - share) * output[j][ahead])
        return [torch.stack(lane) for lane in lanes]

    def inject_features(self, forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        result = forward(x)
        return result.chunk(LANES)[0].repeat(LANES, 1, 1, 1) if self.features else result

    @contextmanager
    def patch(self) -> Iterator[None]:
        conv = self.network.get_submodule(self.feature_layer)
        try:
            for name, layer in self.layers.items():
                layer.forward = partial(self.attend, name)
            conv.forward = partial(self.inject_features, conv.forward)
            yield
        finally:
            for module in (*self.layers.values(), conv):
                del module.forward  # restores the method of the class


def _structure_layers(network: Any, layers: Iterable[str]) -> tuple[str, list[str]]:
    """The decoder layer of Plug-and-Play's features (4 in Stable Diffusion 1.x), and the self-attentions from it on."""
    first = next(i for i, block in enumerate(network.up_blocks) if hasattr(block, "attentions"))
    decoder = [name for name in layers if name.startswith("up_blocks")]
    injected = [name for name in decoder if not name.startswith(f"up_blocks.{first}.attentions.0.")]
    return f"up_blocks.{first}.resnets.1.conv2", injected


def _told_besides(words: Conditioning, x: Tensor) -> dict[str, Tensor] | None:
    """What Stable Diffusion XL reads besides tokens: pooled texts, and sizes; crops begin at the top left corner."""
    if words.pooled is None:
        return None
    height, width = (CELL * side for side in x.shape[-2:])
    sizes = torch.tensor([[height, width, 0, 0, height, width]], device=x.device).expand(len(x), -1)
    return {"text_embeds": words.pooled.to(x), "time_ids": sizes}


def _nearest(a: Tensor, b: Tensor) -> Tensor:
    """For each token of ``a`` (n, c), the index of the most similar one of ``b``, by cosine: (n,) int."""
    cosines: Tensor = (a / a.norm(dim=1, keepdim=True)) @ (b / b.norm(dim=1, keepdim=True)).T
    return cosines.argmax(1)


def _attention(layer: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) v, head by head, each (frames, tokens, channels), and the output projection."""
    heads = zip(q.chunk(layer.heads, 2), k.chunk(layer.heads, 2), v.chunk(layer.heads, 2), strict=True)
    mixed = [torch.softmax(a @ b.mT / a.shape[2] ** 0.5, 2) @ c for a, b, c in heads]
    projected: Tensor = layer.to_out[0](torch.cat(mixed, 2))
    return projected


def _step(x: Tensor, eps: Tensor, schedule: Schedule, at: int, to: int) -> Tensor:
    """A DDIM step (arXiv 2010.02502, eq. 12) from level ``at`` to level ``to``."""
    x0 = (x - schedule.noises[at] * eps) / schedule.signals[at]
    return schedule.signals[to] * x0 + schedule.noises[to] * eps
