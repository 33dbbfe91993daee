"""Edits that record what edits see and change nothing, and the source's passes in which they do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pnpvideo.coherence.coherence import Coherence
from pnpvideo.coherence.independent import Independent
from pnpvideo.diffusion.schedule import Schedule
from pnpvideo.edits.cross_attention import attention_map
from pnpvideo.engine.run import Run
from pnpvideo.events import Progress, Report
from pnpvideo.injection import AttentionCall, Edit, Lanes, Moment, Site, injected
from pnpvideo.injection.edit import Attend
from pnpvideo.injection.lanes import SOURCE
from pnpvideo.inspect.subjects import Subject
from pnpvideo.inspect.view import grid_of

POSITIVE = "positive"
"""The lane of the prompt."""


class Level(NamedTuple):
    """A noise level of a run. number: 1 to ``steps``, the noisiest. noise: the standard deviation of its noise."""

    number: int
    timestep: float
    noise: float

    @property
    def title(self) -> str:
        return f"t = {self.timestep:.0f}"

    @classmethod
    def of(cls, schedule: Schedule, number: int) -> "Level":
        return cls(number, schedule.timestep(number), schedule.noises[number])


def levels_near(schedule: Schedule, timesteps: Sequence[float]) -> list[Level]:
    """The levels of a run whose timesteps are nearest to these, noisiest first, each once; for (), every level."""
    every = range(1, schedule.steps + 1)
    nearest = {min(every, key=lambda level: abs(schedule.timestep(level) - wanted)) for wanted in timesteps}
    return [Level.of(schedule, number) for number in sorted(nearest or every, reverse=True)]


def each_level(levels: Sequence[Level], report: Report) -> Iterator[Level]:
    """Yield the levels, and report how many are done."""
    for number, level in enumerate(levels):
        report(Progress(stage="inspect", done=number, total=len(levels), unit="level"))
        yield level
    report(Progress(stage="inspect", done=len(levels), total=len(levels), unit="level"))


class _Recorder:
    """Record in the source's passes of a step, on the CPU: site -> frame -> tensor."""

    def __init__(self, sites: tuple[Site, ...]) -> None:
        self.sites = sites
        self.seen: dict[Site, dict[int, Tensor]] = {site: {} for site in sites}

    def begin(self, moment: Moment) -> None:
        self.seen = {site: {} for site in self.sites}

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return not lanes.edited

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return True

    def _record(self, site: Site, lanes: Lanes, rows: Tensor) -> None:
        self.seen[site].update(zip(lanes.frames, rows.cpu(), strict=True))


class FeatureRecorder(_Recorder):
    """Record the features (c, h, w), or (tokens, c) of a transformer, that edits at residual sites see."""

    def __call__(self, features: Tensor, site: Site, moment: Moment, lanes: Lanes) -> Tensor:
        self._record(site, lanes, features)
        return features


class TokenRecorder(_Recorder):
    """Record the normalised input (tokens, c) of attention layers, in which token flow finds its correspondences."""

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        self._record(call.site, call.lanes, call.hidden)
        return attend(call)


class AttentionRecorder(_Recorder):
    """Record attention weights, averaged over heads, (queries, keys), fp32.

    query: (x, y), each a share from 0 to 1 of the picture: record that point's row alone, (1, keys); None: all rows.
    latent: (h', w') of the latents.
    """

    def __init__(self, sites: tuple[Site, ...], query: tuple[float, float] | None, latent: tuple[int, int]) -> None:
        super().__init__(sites)
        self.query, self._latent = query, latent

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        q, k = call.q[SOURCE], call.k[SOURCE]
        if self.query is not None:
            token = token_at(self.query, grid_of(call.site, q.shape[1], self._latent))
            q = q[:, token : token + 1]
        self._record(call.site, call.lanes, mean_attention(q, k, call.heads))
        return attend(call)


class WordRecorder:
    """Record cross-attention of the source lane and of the positive lane at every step, averaged over heads and layers.

    tokens: lane -> tokens of its prompt, without that of the start; maps of padding are not kept. sums: (lane, step) ->
    frame -> size of the map in cells -> (maps, their sum (cells, tokens)).
    """

    def __init__(self, sites: tuple[Site, ...], tokens: Mapping[str, int]) -> None:
        self.sites, self.tokens = sites, tokens
        self.sums: dict[tuple[str, int], dict[int, dict[int, tuple[int, Tensor]]]] = {}

    def begin(self, moment: Moment) -> None:
        for lane in (SOURCE, POSITIVE):
            self.sums.pop((lane, moment.step), None)  # a step that failed is made again

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return SOURCE in lanes.names or POSITIVE in lanes.names

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return True

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        for lane in {SOURCE, POSITIVE}.intersection(call.lanes.names):
            maps = mean_attention(call.q[lane], call.k[lane], call.heads)[..., 1 : 1 + self.tokens[lane]].cpu()
            for frame, weights in zip(call.lanes.frames, maps, strict=True):
                by_size = self.sums.setdefault((lane, call.moment.step), {}).setdefault(frame, {})
                count, total = by_size.get(len(weights), (0, torch.zeros(())))
                by_size[len(weights)] = count + 1, total + weights
        return attend(call)


def mean_attention(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """Attention weights averaged over heads, fp32: q (f, n, c), k (f, m, c) -> (f, n, m), with one head in memory."""
    total: Tensor | None = None
    for one_q, one_k in zip(q.chunk(heads, 2), k.chunk(heads, 2), strict=True):
        weights = attention_map(one_q, one_k, heads=1)[:, 0]
        total = weights if total is None else total.add_(weights)
    assert total is not None
    return total.div_(heads)


def token_at(point: tuple[float, float], grid: tuple[int, int]) -> int:
    """Index of the token at ``point`` (x, y), shares of the picture, in a grid of (h, w) tokens."""
    (x, y), (height, width) = point, grid
    return min(height - 1, int(y * height)) * width + min(width - 1, int(x * width))


def source_pass(
    run: Run,
    subject: Subject,
    level: Level,
    edits: Sequence[Edit],
    coherence: Coherence | None = None,
    only: int | None = None,
) -> None:
    """Make the source's network calls of one level with ``edits`` in place, as a step of sampling makes them.

    coherence: decides which frames share a call; None: Independent. only: the one frame to evaluate; None: all. A call
    stops after the last site of the edits. Retried in smaller calls if memory runs out.
    """
    coherence = coherence or Independent()
    step, steps, frames = run.schedule.steps - level.number, run.schedule.steps, len(subject.frames)
    keyframes = coherence.keyframes(frames, subject.window.place, step)
    moment = Moment(step, steps, level.timestep, keyframes)
    read = {site for edit in edits for site in edit.sites}
    last = next(site for site in reversed(run.backend.sites) if site in read)
    latents = subject.trajectory.at(level.number)

    def make_calls(batch: int) -> None:
        for edit in edits:
            edit.begin(moment)
        calls = coherence.passes(frames, keyframes, batch) if only is None else [(only,)]
        with injected(run.backend.network, edits) as session:
            for frames_of_call in calls:
                lanes = Lanes((SOURCE,), frames_of_call)
                x = latents[list(frames_of_call)].to(run.device)
                with session.during(moment, lanes, last):
                    run.backend.predict(x, level.timestep, lanes.spread(subject.window.script.prompt_embeddings))

    with subject.window.located("inspect", step + 1, steps), torch.no_grad():
        run.guard.run_batched(make_calls, least=max(1, len(keyframes)))
