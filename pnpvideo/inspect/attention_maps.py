"""Self-attention as colours: components of the attention matrix (arXiv 2211.12572), or the map of one point."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pnpvideo.backends.backend import Backend
from pnpvideo.engine.run import Run
from pnpvideo.errors import OptionError
from pnpvideo.events import Report, ignore
from pnpvideo.injection import Kind, Site
from pnpvideo.inspect.facts import percents, run_facts, site_facts, site_label, tensor_name
from pnpvideo.inspect.pca import principal_components
from pnpvideo.inspect.record import AttentionRecorder, Level, each_level, levels_near, source_pass
from pnpvideo.inspect.sheet import Cell, Row, as_heat, as_rgb, draw_sheet, with_mark
from pnpvideo.inspect.subjects import Subject, network_in_use, new_run, some_frames, subjects
from pnpvideo.inspect.view import View, grid_of
from pnpvideo.settings.options import Options


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Self-attention of all pictures at one site and noise level, averaged over heads.

    scores: of each picture, (h, w, 3) float32: three principal components of its attention matrix; with a query (h, w):
    the attention of that point. shares: of each picture, the components' shares of the variance; () with a query.
    """

    site: Site
    level: Level
    scores: list[np.ndarray]
    shares: list[tuple[float, ...]]


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """query: the point (x, y) whose attention is shown; None: components. weights: see tensor_name -> (pictures,
    queries, keys), one tensor an input; empty unless they were asked for."""

    run: Run
    subjects: list[Subject]
    query: tuple[float, float] | None
    maps: list[AttentionMap]
    weights: dict[str, Tensor]

    def sheet(self, height: int = 128) -> Image.Image:
        """Rows of layers and columns of noise levels; each cell has all pictures."""
        levels = list(dict.fromkeys(found.level for found in self.maps))
        pictures = [picture for subject in self.subjects for picture in subject.pixels]
        if self.query is not None:
            pictures = [with_mark(picture, self.query) for picture in pictures]
        rows = [Row(("pictures",), [Cell(pictures) for _ in levels])]
        for site in dict.fromkeys(found.site for found in self.maps):
            cells = {found.level: found for found in self.maps if found.site == site}
            label = site_label(site, cells[levels[0]].scores[0].shape[:2])
            rows.append(Row(label, [self._cell(cells[level], pictures) for level in levels]))
        title = (
            "Self-attention, averaged over heads: three principal components as red, green and blue",
            "Each picture has an analysis of its own. Below each cell: mean shares of the variance.",
        )
        if self.query is not None:
            title = (
                f"Self-attention of the point at {self.query[0]:g}, {self.query[1]:g}, averaged over heads",
                "Where it looks: black is nothing. Below each cell: the largest share that one place gets.",
            )
        return draw_sheet(title, [level.title for level in levels], rows, height)

    def _cell(self, found: AttentionMap, pictures: Sequence[np.ndarray]) -> Cell:
        if self.query is None:
            tiles = [as_rgb([scores])[0] for scores in found.scores]
            return Cell(tiles, percents([float(share) for share in np.mean(found.shares, axis=0)]), pictures)
        highest = [float(np.percentile(scores, 99.5)) for scores in found.scores]
        tiles = [as_heat(scores, high) for scores, high in zip(found.scores, highest, strict=True)]
        return Cell(tiles, ",  ".join(f"{100 * float(scores.max()):.1f}%" for scores in found.scores), pictures)

    def facts(self) -> dict[str, Any]:
        maps = []
        for found in self.maps:
            named = site_facts(found.site, found.level)
            if self.query is None:
                maps.append({**named, "explained_variance": found.shares})
            else:
                maps.append({**named, "largest_weight": [float(scores.max()) for scores in found.scores]})
        return {"shows": "attention", **run_facts(self.run, self.subjects), "query": self.query, "maps": maps}

    def tensors(self) -> dict[str, Tensor]:
        return self.weights


def attention(
    inputs: Sequence[Path | str],
    options: Options | None = None,
    view: View | None = None,
    *,
    query: tuple[float, float] | None = None,
    backend: Backend | None = None,
    keep: bool = False,
    report: Report = ignore,
) -> AttentionMaps:
    """Analyse the self-attention that edits of the source's passes see, picture by picture.

    A row of the attention matrix says where one place of the picture looks. Its entries are places of this picture, so
    pictures share no axes, and each one has principal components of its own; only their signs agree between levels.
    query: a point (x, y), shares of the picture from 0 to 1: show its row instead. keep, backend: as in ``features``.
    """
    options, view = options or Options(), view or View()
    if query is not None and not all(0 <= share <= 1 for share in query):
        raise OptionError(f"query is {query!r}; accepted are two shares of the picture from 0 to 1: x, y")
    run = new_run(options, backend, report)
    sites = view.select_only(run.backend.sites, Kind.SELF)
    with network_in_use(run.backend):
        found = subjects(run, inputs, some_frames(view.pictures, view.at, len(inputs)))
        maps: list[AttentionMap] = []
        raw: dict[str, Tensor] = {}
        for level in each_level(levels_near(run.schedule, view.timesteps), report):
            here = {site: AttentionMap(site, level, [], []) for site in sites}
            for place, subject in enumerate(found):
                for frame in range(len(subject.frames)):
                    recorder = AttentionRecorder(sites, query, subject.grid)
                    source_pass(run, subject, level, [recorder], only=frame)
                    for site in sites:
                        weights = recorder.seen[site][frame]
                        before = [one for one in maps if one.site == site][-1:]
                        _add(here[site], weights, subject, before, query is None)
                        if keep:
                            name = tensor_name(place, site, level)
                            raw[name] = torch.cat([*([raw[name]] if name in raw else []), weights[None]])
            maps += here.values()
    return AttentionMaps(run, found, query, maps, raw)


def _add(
    found: AttentionMap, weights: Tensor, subject: Subject, before: Sequence[AttentionMap], analysed: bool
) -> None:
    """Add a picture's map, of its attention weights (queries, keys): components if ``analysed``, else its only row.

    before: the map of the level before, whose signs are kept.
    """
    grid = grid_of(found.site, weights.shape[1], subject.grid)
    if not analysed:
        found.scores.append(weights[0].unflatten(0, grid).numpy())
        return
    components = principal_components([weights])
    scores = components.scores(weights)
    if before:
        wanted = torch.from_numpy(before[0].scores[len(found.scores)]).flatten(0, 1)
        scores = components.agreeing(scores, wanted).scores(weights)
    found.scores.append(scores.unflatten(0, grid).numpy())
    found.shares.append(components.shares)
