"""Everything in pnpvideo that reads a file of somebody else's, each as one function of the path."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from pnpvideo.errors import PnPVideoError
from pnpvideo.video.clip import Clip, ClipInfo
from pnpvideo.video.probe import probe
from pnpvideo.video.read import read

Reader = Callable[[Path, Random], None]


def _media(path: Path, rng: Random) -> None:
    """``probe``, and what ``translate`` reads: all frames of a picture, a span or what is left of a video."""
    try:
        found = probe(path)
        assert found.frames > 0 and found.width > 0 and found.height > 0
        clip = read(path)
        if clip.info.kind != "video":
            assert _frames(clip) == found.frames
            next(read(path).frames())
        elif rng.random() < 0.2:
            decoder = rng.choice(
                ("ffmpeg", "decord") if clip.info.container in ("mov", "matroska", "avi") else ("ffmpeg",)
            )
            _frames(read(path, span=(0, 1), decoder=decoder))
    except PnPVideoError:
        if rng.random() < 0.3:
            _frames(read(path, allow_partial=True))
        raise


def _frames(clip: Clip) -> int:
    """How many there are; each has the stated size and comes after the one before it."""
    count, last = 0, None
    for frame in clip.frames():
        assert frame.pixels.shape == (clip.info.height, clip.info.width, 4 if clip.info.alpha else 3)
        assert last is None or frame.pts_seconds > last
        count, last = count + 1, frame.pts_seconds
    return count


def _mask(path: Path, rng: Random) -> None:
    from pnpvideo.video.masks import Masks

    info = ClipInfo(path=path, kind="video", width=32, height=24, frames=3)
    masks = Masks(path, Clip(info=info, open=lambda: iter(())), None)
    assert len(masks.take(3)) == 3
    masks.finish()


def _direction(path: Path, rng: Random) -> None:
    from pnpvideo.words.direction_file import load_direction

    direction = load_direction(path)
    assert direction.delta.ndim == 2 and bool(direction.delta.isfinite().all())


def _sentences(path: Path, rng: Random) -> None:
    from pnpvideo.words.sentences import filter_sentences, read_sentences

    filter_sentences("ball", read_sentences(path))


def _settings(path: Path, rng: Random) -> None:
    from pnpvideo.cli.settings import read_file

    read_file(path)


def _model(path: Path, rng: Random) -> None:
    """The checkpoint that ``path`` is, or is a file of."""
    import torch

    from pnpvideo.backends.stable_diffusion import StableDiffusion

    folder = next((parent for parent in path.parents if parent.name == "model"), path)
    StableDiffusion(str(folder), torch.device("cpu"), torch.float32).schedule(20)


def _captioner(path: Path, rng: Random) -> None:
    import numpy as np

    from pnpvideo.words.caption import Captioner

    Captioner(path.parent).captions([np.zeros((32, 32, 3), np.uint8)])


def _judge(path: Path, rng: Random) -> None:
    from pnpvideo.measure.judge import Judge

    Judge(str(path.parent))


def _tokenizer(path: Path, rng: Random) -> None:
    from transformers import CLIPTokenizer

    from pnpvideo.backends.loading import load_reader

    load_reader(CLIPTokenizer, path.parent)(["a ball"], padding="max_length", truncation=True, max_length=77)


def _store(path: Path, rng: Random) -> None:
    from pnpvideo.store import Store

    kind, key = path.parts[-3:-1]
    store = Store(path.parents[2])
    store.list()
    with store.entry(kind, key) as entry:
        for name in entry.names():
            entry.get(name)
        if rng.random() < 0.5:
            entry.discard()
    store.list()
    store.clear()


READERS: dict[str, Reader] = {
    "media": _media,
    "mask": _mask,
    "direction": _direction,
    "sentences": _sentences,
    "settings": _settings,
    "model": _model,
    "captioner": _captioner,
    "judge": _judge,
    "tokenizer": _tokenizer,
    "store": _store,
}
