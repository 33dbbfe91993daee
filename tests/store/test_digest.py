"""Fingerprints: equal content is equal, in every process and release, and all else differs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from pnpvideo.store.digest import fingerprint


@dataclass(frozen=True)
class Point:
    x: int
    y: tuple[float, ...] = ()


@dataclass(frozen=True)
class Place:
    x: int
    y: tuple[float, ...] = ()


class TestFingerprint:
    def test_all_that_differs_differs(self) -> None:
        array = np.arange(6, dtype=np.float32)
        tensor = torch.arange(6, dtype=torch.float32)
        contents: list[object] = [
            *(None, True, False, 0, 1, -1, 0.0, 1.0, -0.0, "", "1", b"1", b"", (), [], {}, (1,), [1], ((1,),)),
            *(("ab", "c"), ("a", "bc"), ("abc",), {"a": 1}, {"a": 2}, {"b": 1}, {1: "a"}, {"a": None}),
            *(Point(1), Point(2), Place(1), Point(1, (0.5,)), {"x": 1, "y": ()}),
            *(array, array.reshape(2, 3), array.reshape(3, 2), array.astype(np.float64), array.astype(np.int32)),
            *(
                array.view(np.int32),
                tensor,
                tensor.view(2, 3),
                tensor.half(),
                tensor.bfloat16(),
                tensor.view(torch.int32),
            ),
            *(torch.tensor(1.0), torch.tensor([1.0]), torch.zeros(0), torch.zeros(0, 2), np.zeros(0)),
        ]
        assert len({fingerprint(content) for content in contents}) == len(contents)
        assert fingerprint(1, 2) != fingerprint((1, 2))

    def test_the_same_content_is_the_same(self) -> None:
        grid = np.arange(12.0).reshape(3, 4)
        assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
        assert fingerprint(grid.T) == fingerprint(np.ascontiguousarray(grid.T))
        assert fingerprint(torch.from_numpy(grid).t()) == fingerprint(torch.from_numpy(grid.T.copy()))
        assert fingerprint(Point(1)) == fingerprint(Point(1, ()))

    def test_it_is_the_same_in_every_process_and_release(self) -> None:
        content = ("text", 1, 0.5, None, b"\0", {"k": [True]}, torch.arange(3, dtype=torch.int16))
        assert fingerprint(*content) == "cba344366920d5f9d65d08e4c6c3e6520fce1e709a7524ccb4b62c2125b3cd57"

    @pytest.mark.parametrize("content", [{1, 2}, Path("x"), object(), Point, np.array([object()]), np.float32(1), 1j])
    def test_what_has_no_canonical_form_is_refused(self, content: object) -> None:
        with pytest.raises(TypeError, match="has no fingerprint"):
            fingerprint("fine", [content])
