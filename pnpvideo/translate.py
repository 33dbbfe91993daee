"""The story on one page: a clip and a prompt become a translated clip."""

import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.background import Masks
from pnpvideo.engine import Translator
from pnpvideo.errors import OptionError
from pnpvideo.estimate import fitted
from pnpvideo.events import Notice, Progress, Report, ignore
from pnpvideo.options import TranslateOptions
from pnpvideo.report import run_report
from pnpvideo.store import Store
from pnpvideo.video.clip import Clip, ClipInfo, Frame, Shot
from pnpvideo.video.destination import resolve
from pnpvideo.video.drawings import Drawings, held
from pnpvideo.video.fit import to_display, working_size
from pnpvideo.video.formats import UNREADABLE, subtitle_encoders
from pnpvideo.video.read import read
from pnpvideo.video.shots import shots
from pnpvideo.video.write import Writer, check_output
from pnpvideo.words.prompt_weights import check_weights


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out. clip: what was read, None for a generated picture. report: JSON-ready facts of the run."""

    output: Path
    clip: ClipInfo | None
    report: dict[str, Any]


def translate(
    input: Path | str | None,
    prompt: str | None,
    output: Path | str,
    options: TranslateOptions | None = None,
    *,
    report: Report = ignore,
) -> Result:
    """Translate the clip or still ``input`` into what ``prompt`` says, and write it to ``output``.

    Without a prompt, ``options.change`` or ``options.directions`` say what changes. With ``options.generate`` there is
    no ``input``, and the guidance picture is drawn from the source prompt. Raises PnPVideoError (see errors.py); then
    nothing stands under the output's name that was not there before. An
    interrupted call goes on where it stopped when it is made again.
    """
    options = options or TranslateOptions()
    started = time.monotonic()
    check_weights(prompt, options.negative, options.source_prompt)
    clip = _read(input, options, report)
    check_output(output, clip.info if clip else None, options.overwrite)
    if clip is not None:
        _report_left_out(clip, output, report)
    masking = None if options.mask is None or clip is None else Masks(options.mask, clip.info, options.frames, report)
    backend = StableDiffusion.of(options)
    report(Progress(stage="load", done=1, total=1, unit="model"))
    info = clip.info if clip else _generated_info(backend, options)
    size = working_size(info.width, info.height, options.size or backend.size, backend.multiple)
    asked, options = options, fitted(backend, options, info.frames, size, report)
    before: Drawings | None = None
    about = {"clip": Path(input or "").name, "model": options.model, "size": f"{size[0]} x {size[1]}"}
    translator = Translator(backend, options, prompt, Store(options.store, report=report, about=about), report)
    with Writer(output, info, overwrite=options.overwrite, span_seconds=clip.span_seconds if clip else None) as writer:
        for shot in shots(clip.frames(), options.window) if clip else [_blank(info)]:  # attention never crosses a cut
            masks = masking.take(len(shot.frames)) if masking else None
            drawings = held(shot, masks, before)  # animation on twos: a drawing is translated once
            made = translator.window(shot, drawings, (info.width, info.height))
            for frame, drawing in zip(shot.frames, drawings.of, strict=True):
                source = frame.pixels if clip else None
                may_change = None if made.masks is None else made.masks[drawing]
                if drawings.masks is not None:
                    may_change = drawings.masks[drawing] / np.float32(255)
                picture = to_display(made.pictures[drawing], source, (info.width, info.height), may_change)
                writer.append(picture, frame.pts_seconds, frame.duration_seconds)
                report(
                    Progress(stage="write", done=writer.frames, total=info.frames or 0, unit="frame", shot=shot.index)
                )
            before = drawings.last()
            del shot, masks, drawings, made, frame  # what is written is let go before more is read
        if masking and not options.allow_partial:  # a damaged input may have less than its mask
            masking.finish()
        translator.check()
    translator.finish()
    seconds = time.monotonic() - started
    facts = run_report(input, prompt, asked, writer, backend.fingerprint, translator, seconds)
    return Result(output=writer.path, clip=clip.info if clip else None, report=facts)


def _read(input: Path | str | None, options: TranslateOptions, report: Report) -> Clip | None:
    if options.generate:
        if input is not None:
            raise OptionError(f"generate draws the guidance picture itself; an input was given too: {str(input)!r}")
        return None
    if input is None:
        raise OptionError("no input was given; name a clip or a still, or ask for generate with a source prompt")
    clip = read(
        input,
        span=options.frames,
        decoder=options.decoder,
        track=options.track,
        allow_partial=options.allow_partial,
        report=report,
    )
    for number, track in enumerate(clip.info.audio):
        if track.codec == UNREADABLE:
            report(Notice(message=f"sound track {number} is in a codec that ffmpeg cannot read; it is left out"))
    return clip


def _report_left_out(clip: Clip, output: Path | str, report: Report) -> None:
    """Say which subtitles the output does not hold."""
    _, form = resolve(output)
    kept = subtitle_encoders(form, [track.codec for track in clip.info.subtitles], clip.span is not None)
    for number, (track, encoder) in enumerate(zip(clip.info.subtitles, kept, strict=True)):
        if encoder is None:
            why = "of a span no subtitles are kept" if clip.span else "the output cannot hold it"
            report(Notice(message=f"subtitle track {number} ({track.codec}) is left out: {why}"))


def _generated_info(backend: Backend, options: TranslateOptions) -> ClipInfo:
    side = options.size or backend.size
    return ClipInfo(path=None, kind="still", width=side, height=side, frames=1)


def _blank(info: ClipInfo) -> Shot:
    return Shot(0, (Frame(0, Fraction(0), np.zeros((info.height, info.width, 3), np.uint8)),))
