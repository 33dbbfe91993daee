"""Recovery of network calls: what is given up when memory runs out, and fp32 where half precision gives NaN."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch

from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.engine.memory import CallGuard, memory_errors
from pnpvideo.errors import DeviceError, NotFiniteError
from pnpvideo.events import Event, Notice

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")


class Offloadable:
    """Stands for a backend on a GPU: parts of it can be offloaded once; a ``half`` one can run in fp32."""

    def __init__(self, half: bool = False) -> None:
        self.offloaded, self.half = False, half

    @contextmanager
    def fp32(self) -> Iterator[None]:
        self.half = False
        yield
        self.half = True

    def upcast(self) -> AbstractContextManager[None] | None:
        return self.fp32() if self.half else None

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
    guard = CallGuard(backend, 5, said.append)
    call, asked = failing(3, FULL)
    assert guard.run_batched(call) == 1 and backend.offloaded
    assert asked == [5, 2, 1, 1]
    assert guard.run_batched(lambda batch: batch) == 1  # it stays so
    messages = [event.message for event in said if isinstance(event, Notice)]
    assert messages == [
        "memory ran out; 2 frames a network call from here on",
        "memory ran out; 1 frame a network call from here on",
        "memory ran out; parts of the model wait off the device from here on",
    ]
    with pytest.raises(DeviceError, match="a smaller --size"), memory_errors():
        guard.run(lambda: failing(1, FULL)[0](0))


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
    assert CallGuard(Offloadable(), 2, lambda event: None).run_batched(call) == 1
    assert asked == [2, 1]


def test_other_failures_are_not_tried_again() -> None:
    guard = CallGuard(Offloadable(), 8, lambda event: None)
    call, asked = failing(1, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"), memory_errors():
        guard.run_batched(call)
    assert asked == [8]


def test_a_model_on_a_cpu_has_nowhere_else_to_wait(backend: StableDiffusion) -> None:
    assert not backend.offload()


def test_parts_that_wait_elsewhere_give_the_same(backend: StableDiffusion, monkeypatch: pytest.MonkeyPatch) -> None:
    """With "elsewhere" and the device both a CPU, and moves watched."""
    x = torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    context = backend.embed("a hen").batch()
    expected, picture = backend.predict(x, 1, context), backend.decode(x)
    moved: list[tuple[str, str]] = []
    (encoder,) = backend.text.encoders.values()
    for name, part in (("network", backend.network), ("vae", backend.vae), ("text", encoder)):
        monkeypatch.setattr(part, "to", lambda where, name=name: moved.append((name, str(where))))
    monkeypatch.setattr(backend, "_offloaded", True)
    monkeypatch.setattr(backend, "device", torch.device("cpu", 0))
    assert torch.equal(backend.predict(x, 1, context), expected)
    assert moved == [("vae", "cpu"), ("text", "cpu"), ("network", "cpu:0")]
    moved.clear()
    assert (backend.decode(x) == picture).all()
    assert moved == [("network", "cpu"), ("text", "cpu"), ("vae", "cpu:0")]


def test_what_half_precision_cannot_hold_is_computed_again_in_fp32_and_said_once() -> None:
    backend, said = Offloadable(half=True), list[Event]()
    guard = CallGuard(backend, 4, said.append)

    def call(batch: int) -> tuple[int, bool]:
        if backend.half:
            raise NotFiniteError("the network's output holds NaN")
        return batch, backend.half

    assert guard.run_batched(call) == (4, False) and backend.half  # and the next call is in half precision again
    assert guard.run(lambda: call(0)) == (0, False)
    assert [event.message for event in said if isinstance(event, Notice)] == [
        "half precision gave NaN or infinity; such steps are computed again in fp32"
    ]


def test_memory_may_run_out_in_fp32_too() -> None:
    backend = Offloadable(half=True)
    guard = CallGuard(backend, 4, lambda event: None)

    def call(batch: int) -> int:
        if backend.half:
            raise NotFiniteError("the network's output holds NaN")
        if batch > 1:
            raise FULL
        return batch

    assert guard.run_batched(call) == 1


def test_what_is_not_finite_in_fp32_is_an_error() -> None:
    call, asked = failing(9, NotFiniteError("the network's output holds NaN"))
    with pytest.raises(NotFiniteError, match="NaN"):
        CallGuard(Offloadable(half=True), 4, lambda event: None).run_batched(call)
    assert asked == [4, 4]
