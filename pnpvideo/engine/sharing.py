"""Share the windows of a clip among processes that have the same store.

Every process goes through the clip and claims, one after the other, the windows that no other one has claimed. What a
window needs of the one before it are that one's anchors, level by level; it reads them in the store as they come, and
so follows at a distance of one step. Consecutive windows are thus worked on at the same time, and a result has the bits
of a clip that one process translates.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from pnpvideo.diffusion.trajectory import Trajectory
from pnpvideo.engine.anchors import NO_ANCHORS, Anchors, remembered_drawings
from pnpvideo.engine.inversion import level_name
from pnpvideo.engine.pictures import encode
from pnpvideo.engine.run import Position, Run, Window
from pnpvideo.engine.sampling import STATE, chosen_name
from pnpvideo.engine.window import Keys, Translated, expected_keys, invert_and_sample, translate_window
from pnpvideo.events import Event, Progress
from pnpvideo.store import Store

POLL_SECONDS = 0.1
PICTURES = "pictures"
"""Name of the store part of a sampling run that holds the decoded pictures, for the process that writes the result."""


class Abandoned(Exception):
    """A process that had claimed a window has ended before the window was finished."""


class Stopped(Exception):
    """Nobody wants the work any more."""


class SharedWindows:
    """Translates the windows of a clip in order, for the process that writes the result; a WindowTranslator.

    help_others: called with the share of the clip that is translated, once, when another process works on the window
    that comes next; it works on later ones (see HelpedWindows), and returns when all have been claimed.
    """

    def __init__(self, help_others: Callable[[float], None]) -> None:
        self._help_others: Callable[[float], None] | None = help_others

    def __call__(self, run: Run, window: Window) -> Translated:
        key = expected_keys(run, window).run
        with run.store.claimed(key) as claimed:
            if claimed:
                return self._translated(run, window, key)
        if self._help_others is not None:
            help_others, self._help_others = self._help_others, None
            help_others(window.position.overall(0.0) or 0.0)
        with run.store.claimed(key, wait=True):
            return self._translated(run, window, key)

    def _translated(self, run: Run, window: Window, key: str) -> Translated:
        if not is_finished(run.store, key):
            return translate_window(run, window)

        def heard(event: Event) -> None:  # that a finished window is resumed is no news
            if isinstance(event, Progress):
                run.report(event)

        quiet = replace(run, report=heard)
        pictures = run.store.peek("run", key, PICTURES)
        if pictures is None:
            return translate_window(quiet, window)
        return invert_and_sample(quiet, window).with_pictures(pictures[0]["x"].numpy())


class HelpedWindows:
    """Works on windows of a clip that another process writes, and leaves them in the store; a WindowTranslator.

    Of windows that others have claimed it returns the source's pictures. check: called again and again; what it raises
    ends the work. The events state the share of the clip that was done here.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._frames = 0

    def __call__(self, run: Run, window: Window) -> Translated:
        self._check()
        window = replace(window, position=replace(window.position, before=self._frames))
        keys = expected_keys(run, window)
        with run.store.claimed(keys.run) as claimed:
            if claimed and not is_finished(run.store, keys.run):
                translated = translate_window(run, window)
                with run.store.entry("run", translated.run) as entry:
                    entry.put(PICTURES, {"x": torch.from_numpy(translated.pictures)})
                self._frames += window.position.frames
                return translated
        return Translated(window.pixels, None, self._anchors_elsewhere(run, window, keys), keys.run)

    def _anchors_elsewhere(self, run: Run, window: Window, keys: Keys) -> Anchors:
        """The anchors of a window that another process has finished or works on."""
        if not window.more or not run.options.coherence.anchored:
            return NO_ANCHORS
        chosen = remembered_drawings(not window.anchors, len(window.times))
        awaited = Awaited(run.store, keys.run, self._check)
        return Anchors(
            tuple(window.times[drawing] for drawing in chosen),
            self._source(run, window, chosen, StoredSource(awaited, keys.trajectory, chosen)),
            StoredStates(awaited, run.schedule.steps),
            keys.run,
            tuple(each[list(chosen)] for each in window.conditions),
        )

    @staticmethod
    def _source(run: Run, window: Window, chosen: Sequence[int], stored: Trajectory) -> Trajectory:
        if run.options.method.inverts:
            return stored
        few = replace(window, pixels=window.pixels[list(chosen)], position=Position())
        return run.options.method.trajectory(encode(run, few).cpu(), window.stream, run.schedule)


@dataclass(frozen=True)
class Awaited:
    """Parts in the store of a window that another process works on. key: of its sampling run, by which it claims it."""

    store: Store
    key: str
    check: Callable[[], None]

    def part(self, kind: str, key: str, name: str) -> Tensor:
        """The tensor "x" of a part, as soon as it is there. Raises Abandoned if nobody works on it any more."""
        while (found := self.store.peek(kind, key, name)) is None:
            self.check()
            with self.store.claimed(self.key) as abandoned:
                if abandoned and self.store.peek(kind, key, name) is None:
                    raise Abandoned
            time.sleep(POLL_SECONDS)
        return found[0]["x"]


@dataclass(frozen=True)
class StoredSource:
    """The source's trajectory of some drawings of a window that another process inverts; ``at`` waits for a level."""

    awaited: Awaited
    key: str
    drawings: Sequence[int]
    _levels: dict[int, Tensor] = field(default_factory=dict)

    def at(self, level: int) -> Tensor:
        if level not in self._levels:
            self._levels[level] = self.awaited.part("trajectory", self.key, level_name(level))[list(self.drawings)]
        return self._levels[level]


@dataclass(frozen=True)
class StoredStates(Mapping[int, Tensor]):
    """The translated latents of a window's anchors, by level from 1; a level is waited for when it is asked for."""

    awaited: Awaited
    levels: int
    _states: dict[int, Tensor] = field(default_factory=dict)

    def __getitem__(self, level: int) -> Tensor:
        if not 1 <= level <= self.levels:
            raise KeyError(level)
        if level not in self._states:
            self._states[level] = self.awaited.part("run", self.awaited.key, chosen_name(level))
        return self._states[level]

    def __iter__(self) -> Iterator[int]:
        return iter(range(1, self.levels + 1))

    def __len__(self) -> int:
        return self.levels


def is_finished(store: Store, run: str) -> bool:
    """Whether the store holds the last state of a sampling run. run: its key."""
    state = store.peek("run", run, STATE)
    return state is not None and state[1].get("level") == 0
