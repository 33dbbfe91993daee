"""The examination on drawings: held-out names for the autoencoder, ranks of names, and the option that asks for it."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from pnpvideo.cli.main import main

from pnpvideo.measure.drawings import RANK, examine_drawings, share_found, single, spread_names
from pnpvideo.measure.judge import Judge
from pnpvideo.measure.model import Exam
from pnpvideo.miniature.art.captions import art_caption
from pnpvideo.miniature.art.names import Name, held_out_names, training_names
from pnpvideo.miniature.art.sprites import LOOKS, SIDE, Sprites


class Squares(Sprites):
    """An opaque square in place of every drawing; the names that were asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: list[Name] = []

    def sprite(self, name: Name, look: str) -> np.ndarray:
        self.asked.append(name)
        return np.full((SIDE, SIDE, 4), 255, np.uint8)


class RankingJudge(Judge):
    """Ranks the name number n, of which the picture is n everywhere, at ``rank``; the others above it are arbitrary."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self.texts: list[str] = []

    def cosines(self, pictures: Sequence[np.ndarray], texts: Sequence[str]) -> torch.Tensor:
        self.texts = list(texts)
        found = torch.zeros(len(pictures), len(texts))
        for row, picture in enumerate(pictures):
            true = int(picture.flat[0])
            found[row, true] = 0.5
            others = [number for number in range(len(texts)) if number != true]
            found[row, others[: self.rank - 1]] = 0.9
        return found


@pytest.mark.parametrize(("rank", "share"), [(1, 1.0), (RANK, 1.0), (RANK + 1, 0.0)])
def test_a_name_is_found_at_rank_5_or_better(rank: int, share: float) -> None:
    judge, names = RankingJudge(rank), training_names()
    pictures = [np.full((4, 4, 3), number, np.uint8) for number in (3, 200, 0)]
    named = [names[3], names[200], names[0]]
    assert share_found(judge, pictures, named, ["flat", "3d", "flat"]) == share
    assert judge.texts == [art_caption(single(name), "3d") for name in names]  # the look of the last group


def test_names_are_spread_and_looks_take_turns() -> None:
    names, looks = spread_names(9)
    assert len(set(names)) == 9 and not set(names) & set(held_out_names())
    assert looks == [*LOOKS] * 3
    assert len(set(spread_names(1000)[0])) == len(training_names())


def test_the_autoencoder_sees_held_out_names_and_the_judge_trained_ones(tmp_path: Path) -> None:
    sprites = Squares(tmp_path)
    exam = Exam(pictures=1, judge_pictures=3, samples=3, sample_steps=1)
    rows = list(examine_drawings("miniature", sprites, exam))
    assert [unit for _, _, unit in rows] == ["dB", "share", "share"] * 3 + ["share"] * 2
    assert [what for what, _, unit in rows if unit == "dB"] == [f"autoencoder, {look} drawings" for look in LOOKS]
    assert all(figure > 15 for _, figure, unit in rows if unit == "dB")
    assert all(0 <= figure <= 1 for what, figure, _ in rows if "rank" in what)
    trained = sprites.asked[-3:]
    assert set(trained) == set(spread_names(3)[0]) and set(sprites.asked[:-3]) <= set(held_out_names())


def test_the_option_adds_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = []

    def drawings(model: str, sprites: Sprites, exam: Exam) -> list[tuple[str, float, str]]:
        folders.append(sprites.folder)
        return [("drawn by name", 0.5, "share")]

    monkeypatch.setattr("pnpvideo.measure.model.examine", lambda model, exam: [("autoencoder, photo", 40.0, "dB")])
    monkeypatch.setattr("pnpvideo.measure.drawings.examine_drawings", drawings)
    asked = ["measure", "model", "--quick", "--json"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out) == {"autoencoder, photo": 40.0}
    assert main([*asked, "--drawings", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {"autoencoder, photo": 40.0, "drawn by name": 0.5}
    assert folders == [tmp_path]
