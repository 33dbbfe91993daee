"""Write a comparison as one HTML file, which needs no server and no network."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pnpvideo.compare.chart import chart_of
from pnpvideo.compare.clips import open_clips
from pnpvideo.compare.curves import SMALLEST_SIDE, Curve, Shown, motion_curves, text_curve
from pnpvideo.compare.destination import PAGE_SUFFIXES, Comparison, check_output, is_page
from pnpvideo.compare.media import Media, read_media
from pnpvideo.compare.options import PAGE_WIDTH, ComparisonOptions
from pnpvideo.compare.render import View, render
from pnpvideo.compare.runs import find_runs, rows_of, span_of
from pnpvideo.compare.timeline import Timeline, Track, align, differences
from pnpvideo.errors import OutputError, printable
from pnpvideo.events import Event, Notice, Progress, Report, log
from pnpvideo.publish import write_file

if TYPE_CHECKING:
    from pnpvideo.measure.judge import Judge

MANY_BYTES = 100_000_000
"""Size of a page from which on browsers take long to open it."""


def write_page(
    source: Path | str,
    results: Sequence[Path | str],
    output: Path | str,
    options: ComparisonOptions | None = None,
    *,
    run_reports: Sequence[Path | str] = (),
    report: Report = log,
) -> Comparison:
    """Write a page that shows ``results`` beside the ``source`` that they were made from.

    Clips, animations, stills and folders of frames are accepted, of any sizes and rates: they are aligned by time.
    run_reports: for each result in order, the JSON that ``pnpvideo translate --json`` printed; for the others,
    ``RESULT.json`` is read if it exists.

    Raises InputError and DecodeError for a file that cannot be read, OptionError, OutputError, and ModelError for a
    judge that cannot be loaded.
    """
    options, target = options or ComparisonOptions(), Path(output)
    paths = [Path(result) for result in results]
    if not is_page(target):
        raise OutputError(f"{printable(str(target))} is no name of a page; accepted are {' and '.join(PAGE_SUFFIXES)}")
    check_output(target, [Path(source), *paths], options)
    notices: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, Notice):
            notices.append(event.message)
        report(event)

    runs = find_runs(paths, [Path(path) for path in run_reports], listen)
    judge = None if options.prompt is None else _judge(options.judge)
    span = options.frames or span_of(runs, listen)
    media = read_media(open_clips(Path(source), paths, span, listen), options.width or PAGE_WIDTH, listen)
    tracks = [Track(each.times, each.end_seconds) for each in media]
    timeline = align(tracks)
    for said in [*differences(timeline, tracks, [each.label for each in media]), *_shapes(media)]:
        listen(Notice(message=said))
    report(Progress(stage="write", done=0, total=1, unit="page"))
    curves = _measure(media, timeline, options.prompt, judge)
    if not curves and min(media[0].measured[0].shape[:2]) < SMALLEST_SIDE:
        listen(Notice(message=f"pictures of less than {SMALLEST_SIDE} pixels a side are not measured"))
    view = View(
        media=media,
        timeline=timeline,
        charts=[chart_of(curve) for curve in curves],
        runs=[run is not None for run in runs],
        rows=rows_of(runs),
        notices=notices,
    )
    page = render(view).encode()
    if len(page) > MANY_BYTES:
        size = f"the page is {len(page) / 1e6:.0f} MB, which browsers are slow to open"
        report(Notice(message=f"{size}; --frames A:B and --width N make it smaller"))
    write_file(target, page, overwrite=options.overwrite)
    return Comparison(output=target, bytes=len(page), moments=len(timeline.times))


def _measure(media: Sequence[Media], timeline: Timeline, prompt: str | None, judge: "Judge | None") -> list[Curve]:
    """The curves of all clips; with a prompt and a judge, agreement too."""
    clips = [
        Shown(each.measured, [each.numbers[frame] for frame in frames])
        for each, frames in zip(media, timeline.shown, strict=True)
    ]
    curves = motion_curves(clips, timeline.own(0))
    return curves if prompt is None or judge is None else [*curves, *text_curve(clips, prompt, judge)]


def _judge(model: str) -> "Judge":
    from pnpvideo.measure.judge import Judge  # which loads the libraries of networks

    return Judge(model)


def _shapes(media: Sequence[Media]) -> list[str]:
    """A sentence for each result whose shape is not the source's."""
    first = media[0]
    return [
        f"{each.label} is {each.info.width} x {each.info.height}, {first.label} is {first.info.width} x "
        f"{first.info.height}: the first is stretched to the second's shape where they lie over each other"
        for each in media[1:]
        if abs(each.width * first.height - each.height * first.width) > 0.02 * each.width * first.height
    ]
