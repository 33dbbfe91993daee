"""The network's features as colours, after figure 3 of Plug-and-Play (arXiv 2211.12572)."""

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
from pnpvideo.events import Report, ignore
from pnpvideo.injection import Edit, Kind, Site
from pnpvideo.inspect.facts import percents, run_facts, site_facts, site_label, tensor_name
from pnpvideo.inspect.pca import Components, principal_components
from pnpvideo.inspect.record import FeatureRecorder, Level, TokenRecorder, each_level, levels_near, source_pass
from pnpvideo.inspect.sheet import Cell, Row, as_rgb, draw_sheet
from pnpvideo.inspect.subjects import Subject, network_in_use, new_run, some_frames, subjects
from pnpvideo.inspect.view import View, grid_of
from pnpvideo.settings.options import Options


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Features of all pictures at one site and noise level, in one analysis.

    components: the three leading ones. scores: (h, w, 3) float32 of each picture. place: share of the variance that is
    the same in all pictures at the same place, 0 to 1 (1 / pictures by chance); NaN for one picture, or several sizes.
    """

    site: Site
    level: Level
    components: Components
    scores: list[np.ndarray]
    place: float

    @property
    def caption(self) -> str:
        shares = percents(self.components.shares)
        return shares if np.isnan(self.place) else f"{shares}, place {100 * self.place:.0f}%"


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """features: see tensor_name -> (pictures, c, h, w), one tensor an input; empty unless they were asked for."""

    run: Run
    subjects: list[Subject]
    maps: list[FeatureMap]
    features: dict[str, Tensor]

    def sheet(self, height: int = 128) -> Image.Image:
        """Rows of layers and columns of noise levels; each cell has all pictures, in one scale of colours."""
        levels = list(dict.fromkeys(found.level for found in self.maps))
        pictures = [picture for subject in self.subjects for picture in subject.pixels]
        rows = [Row(("pictures",), [Cell(pictures) for _ in levels])]
        for site in dict.fromkeys(found.site for found in self.maps):
            cells = {found.level: found for found in self.maps if found.site == site}
            label = site_label(site, cells[levels[0]].scores[0].shape[:2])
            shown = [Cell(as_rgb(cells[level].scores), cells[level].caption, pictures) for level in levels]
            rows.append(Row(label, shown))
        title = (
            "Features: three principal components as red, green and blue",
            "One analysis for all pictures of a cell. Below each: the components' shares of the variance.",
            "place: the share that is the same in every picture at the same place.",
        )
        return draw_sheet(title, [level.title for level in levels], rows, height)

    def facts(self) -> dict[str, Any]:
        return {
            "shows": "features",
            **run_facts(self.run, self.subjects),
            "maps": [
                {
                    **site_facts(found.site, found.level),
                    "explained_variance": found.components.shares,
                    "explained_by_place": None if np.isnan(found.place) else found.place,
                }
                for found in self.maps
            ],
        }

    def tensors(self) -> dict[str, Tensor]:
        return self.features


def features(
    inputs: Sequence[Path | str],
    options: Options | None = None,
    view: View | None = None,
    *,
    backend: Backend | None = None,
    keep: bool = False,
    report: Report = ignore,
) -> FeatureMaps:
    """Analyse the features that edits of the source's passes see, for all pictures together.

    Pictures are inverted, and each site's features at a noise level are projected on their three principal components.
    Sites are residual ones unless ``view`` names others; of an attention layer, its normalised input is shown. keep:
    return the features too (memory grows with sites, levels and pictures). backend: a loaded model; None: load
    ``options.model``. Raises PnPVideoError.
    """
    options, view = options or Options(), view or View()
    run = new_run(options, backend, report)
    sites = view.select(run.backend.sites, Kind.RESIDUAL)
    with network_in_use(run.backend):
        found = subjects(run, inputs, some_frames(view.pictures, view.at, len(inputs)))
        maps: list[FeatureMap] = []
        raw: dict[str, Tensor] = {}
        for level in each_level(levels_near(run.schedule, view.timesteps), report):
            seen = [_features_at(run, subject, level, sites) for subject in found]
            for site in sites:
                before = [one for one in maps if one.site == site][-1:]
                maps.append(_analysed(site, level, [one[site] for one in seen], before))
            if keep:
                for place, one in enumerate(seen):
                    raw |= {tensor_name(place, site, level): value for site, value in one.items()}
    return FeatureMaps(run, found, maps, raw)


def _features_at(run: Run, subject: Subject, level: Level, sites: Sequence[Site]) -> dict[Site, Tensor]:
    """Site -> features (pictures, c, h, w) of one input, in the network's precision, on the CPU."""
    residual = tuple(site for site in sites if site.kind is Kind.RESIDUAL)
    attention = tuple(site for site in sites if site.kind is not Kind.RESIDUAL)
    recorders = [kind(some) for kind, some in ((FeatureRecorder, residual), (TokenRecorder, attention)) if some]
    edits: list[Edit] = [*recorders]
    source_pass(run, subject, level, edits)
    found = {}
    for recorder in recorders:
        for site, by_frame in recorder.seen.items():
            rows = torch.stack([by_frame[frame] for frame in range(len(subject.frames))])
            if rows.ndim == 3:  # tokens
                rows = rows.mT.unflatten(2, grid_of(site, rows.shape[1], subject.grid))
            found[site] = rows
    return found


def _analysed(site: Site, level: Level, rows: Sequence[Tensor], before: Sequence[FeatureMap]) -> FeatureMap:
    """Components of all pictures together. before: the map of the level before, whose signs are kept."""
    pictures = [picture for each in rows for picture in each.permute(0, 2, 3, 1)]  # (h, w, c) each
    samples = [picture.flatten(0, 1) for picture in pictures]
    components = principal_components(samples)
    scores = [components.scores(one) for one in samples]
    if before:
        wanted = torch.cat([torch.from_numpy(one).flatten(0, 1) for one in before[0].scores])
        components = components.agreeing(torch.cat(scores), wanted)
        scores = [components.scores(one) for one in samples]
    maps = [one.unflatten(0, picture.shape[:2]).numpy() for one, picture in zip(scores, pictures, strict=True)]
    return FeatureMap(site, level, components, maps, _explained_by_place(pictures))


def _explained_by_place(pictures: Sequence[Tensor]) -> float:
    """See FeatureMap.place; pictures: (h, w, c) each."""
    if len({picture.shape for picture in pictures}) > 1 or len(pictures) == 1:
        return float("nan")
    every = torch.stack([picture.double() for picture in pictures])
    mean = every.mean((0, 1, 2))
    total = float((every - mean).square().sum())
    return len(pictures) * float((every.mean(0) - mean).square().sum()) / total if total else float("nan")
