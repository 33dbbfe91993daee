"""What a worker must see: the files of the rows, as large as here, and the very folders of the outputs."""

import dataclasses
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

from pnpvideo.batch.reach import Reach, reach_of
from pnpvideo.batch.rows import Common, read_rows


def test_everything_is_seen_from_here(
    folder: Path, jobs: Callable[[str], Path], common: Common, checkpoint: Path
) -> None:
    added = [folder / name for name in ("ink.safetensors", "word.safetensors", "vae.safetensors")]
    for path in added:
        path.touch()
    changes = 'lora = ["ink.safetensors:0.5"]\nembedding = ["word.safetensors:word"]\nvae = "vae.safetensors"\n'
    rows = read_rows(jobs(f'[[rows]]\ninput = "in/0[01].png"\nmask = "in/02.png"\n{changes}'), common)
    with reach_of(rows) as reach:
        sent: Reach = pickle.loads(pickle.dumps(reach))
        assert sent.unseen() == []
        names = [Path(path) for path, _ in sent.read]
        assert sorted(names) == sorted([*(folder / f"in/0{n}.png" for n in range(3)), checkpoint, *added])
        assert [Path(probe).parent for probe in sent.probes] == [folder / "out"]
        assert sent.shared_stores() == (str(folder / "store"),)
        shutil.move(folder / "store", folder / "elsewhere")  # as where each machine has a folder of that name
        (folder / "store").mkdir()
        assert sent.shared_stores() == () and sent.unseen() == []
        (folder / "store").rmdir()
        shutil.move(folder / "elsewhere", folder / "store")
    assert [*(folder / "out").iterdir()] == []  # the probes are gone


def test_files_that_are_other_or_absent_and_folders_that_are_not_the_same_are_named(
    folder: Path, jobs: Callable[[str], Path], common: Common
) -> None:
    with reach_of(read_rows(jobs('[[rows]]\ninput = "in/0[012].png"\n'), common)) as reach:
        (folder / "in/00.png").write_bytes(b"shorter")
        (folder / "in/01.png").unlink()
        shutil.move(folder / "out", folder / "elsewhere")
        (folder / "out").mkdir()  # a folder of the same name on another disk
        assert reach.unseen() == [str(folder / name) for name in ("in/00.png", "in/01.png", "out")]
        shutil.move(folder / "elsewhere", folder / "elsewhere2")
        (folder / "out").rmdir()
        shutil.move(folder / "elsewhere2", folder / "out")


def test_a_folder_that_cannot_be_written_is_left_to_its_row(
    folder: Path, jobs: Callable[[str], Path], common: Common
) -> None:
    (row,) = read_rows(jobs('[[rows]]\ninput = "in/00.png"\n'), common)
    with reach_of([dataclasses.replace(row, output=str(folder / "none/00.png"))]) as reach:
        assert reach.probes == ()
