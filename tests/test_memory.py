"""When memory runs out: what is given up, in which order, and what is said."""

from collections.abc import Callable

import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.errors import DeviceError
from pnpvideo.events import Event, Notice
from pnpvideo.memory import Room, memory_told

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


class Offloadable:
    """Stands for a backend on a GPU: its parts can wait elsewhere, once."""

    def __init__(self) -> None:
        self.offloaded = False

    def offload(self) -> bool:
        self.offloaded, before = True, self.offloaded
        return not before


def failing(times: int, failure: BaseException) -> tuple[Callable[[int], int], list[int]]:
    asked: list[int] = []

    def call(batch: int) -> int:
        asked.append(batch)
        if len(asked) <= times:
            raise failure
        return batch

    return call, asked


def test_the_batch_halves_then_parts_wait_elsewhere_then_it_fails() -> None:
    backend, said = Offloadable(), list[Event]()
    room = Room(backend, 5, said.append)
    call, asked = failing(3, FULL)
    assert room.tried(call) == 1 and backend.offloaded
    assert asked == [5, 2, 1, 1]
    assert room.tried(lambda batch: batch) == 1  # it stays so
    messages = [event.message for event in said if isinstance(event, Notice)]
    assert messages == [
        "memory ran out; 2 frames a network call from here on",
        "memory ran out; 1 frame a network call from here on",
        "memory ran out; parts of the model wait off the device from here on",
    ]
    with pytest.raises(DeviceError, match="a smaller --size"), memory_told():
        room.again(lambda: failing(1, FULL)[0](0))


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "GET was unable to find an engine to execute this computation",
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
    ],
)
def test_libraries_say_it_in_words_of_their_own(said: str) -> None:
    call, asked = failing(1, RuntimeError(said))
    assert Room(Offloadable(), 2, lambda event: None).tried(call) == 1
    assert asked == [2, 1]


def test_other_failures_are_not_tried_again() -> None:
    room = Room(Offloadable(), 8, lambda event: None)
    call, asked = failing(1, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"), memory_told():
        room.tried(call)
    assert asked == [8]


def test_a_model_on_a_cpu_has_nowhere_else_to_wait(backend: StableDiffusion) -> None:
    assert not backend.offload()


def test_parts_that_wait_elsewhere_give_the_same(backend: StableDiffusion, monkeypatch: pytest.MonkeyPatch) -> None:
    """With "elsewhere" and the device both a CPU, and moves watched."""
    x = torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    context = backend.embed("a hen").unsqueeze(0)
    expected, picture = backend.predict(x, 1, context), backend.decode(x)
    moved: list[tuple[str, str]] = []
    for name, part in (("network", backend.network), ("vae", backend.vae), ("text", backend.text.encoder)):
        monkeypatch.setattr(part, "to", lambda where, name=name: moved.append((name, str(where))))
    monkeypatch.setattr(backend, "_offloaded", True)
    monkeypatch.setattr(backend, "device", torch.device("cpu", 0))
    assert torch.equal(backend.predict(x, 1, context), expected)
    assert moved == [("vae", "cpu"), ("text", "cpu"), ("network", "cpu:0")]
    moved.clear()
    assert (backend.decode(x) == picture).all()
    assert moved == [("network", "cpu"), ("text", "cpu"), ("vae", "cpu:0")]
