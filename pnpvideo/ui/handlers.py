"""What the page does at each press of a button: reads the controls, has the work done, shows what came of it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.datastructures import Headers

from pnpvideo.errors import OptionError, PnPVideoError
from pnpvideo.methods.registry import USUAL, USUAL_EDIT
from pnpvideo.settings.options import KNOWN_DEFAULTS
from pnpvideo.ui import markup
from pnpvideo.ui.controls import content_of, readers, values_of
from pnpvideo.ui.gate import owner_of
from pnpvideo.ui.session import Cancelled, Made, Session, Sessions, public_message
from pnpvideo.ui.work import Asked, Studio, adopt, remove_mask

LOG = logging.getLogger("pnpvideo.ui")
PROGRESS = gr.Progress()
BY_PROMPT, BY_CHANGE = "By a prompt", "From one thing to another"
CANCELLED = "Cancelled. The same run goes on from what it has finished."
Contents = Mapping[Any, Any]
"""What components hold, by component."""


@dataclass(frozen=True)
class Handlers:
    """Functions that gradio calls. start: values that the controls began with. options, named: the components."""

    sessions: Sessions
    studio: Studio
    start: Mapping[str, Any]
    options: Mapping[str, Any]
    named: Mapping[str, Any]

    def open(self, request: gr.Request) -> str:
        """Begin the session of a page that was opened."""
        try:
            self.sessions.open(str(request.session_hash), _owner(request))
        except OptionError as error:
            return markup.problem(str(error))
        return ""

    def close(self, request: gr.Request) -> None:
        """End the session of a page that is gone."""
        self.sessions.close(request.session_hash)

    def take_source(self, uploaded: str, request: gr.Request) -> tuple[Any, ...]:
        """Make an uploaded file the source."""

        def take(session: Session) -> tuple[Any, ...]:
            session.source = adopt(session, Path(uploaded), "source")
            shown = markup.source(session.publish(session.source), session.source.name)
            return None, shown, ""

        return self._answer(request, 3, take, status=2)

    def take_mask(self, uploaded: str, request: gr.Request) -> tuple[Any, ...]:
        """Make an uploaded file the mask."""

        def take(session: Session) -> tuple[Any, ...]:
            session.mask = adopt(session, Path(uploaded), "mask")
            shown = markup.source(session.publish(session.mask), session.mask.name)
            return None, shown, ""

        return self._answer(request, 3, take, status=2)

    def remove_mask(self, request: gr.Request) -> tuple[Any, ...]:
        """Go on without the mask."""

        def remove(session: Session) -> tuple[Any, ...]:
            remove_mask(session)
            return "", ""

        return self._answer(request, 2, remove, status=1)

    def run(self, contents: Contents, request: gr.Request, progress: Any = PROGRESS) -> tuple[Any, ...]:
        """Translate the source."""

        def work(session: Session) -> tuple[Any, ...]:
            suffix = contents[self.named["suffix"]] or None
            made = self.studio.translate(session, self._asked(contents), suffix, _shown_on(progress))
            done = markup.notice(f"Finished in {made.seconds:.1f} s.")
            choices = [(_named(each), each.number) for each in session.results]
            ticked = gr.update(choices=choices, value=[made.number])
            return done, markup.results(session.results), ticked, gr.update(selected="result")

        return self._answer(request, 4, work)

    def preview(self, contents: Contents, request: gr.Request, progress: Any = PROGRESS) -> tuple[Any, ...]:
        """Try the combinations of the dials on a few frames."""

        def work(session: Session) -> tuple[Any, ...]:
            pairs = (
                (contents[self.named[f"dial_{number}"]], contents[self.named[f"values_{number}"]]) for number in (1, 2)
            )
            dials = [f"{name}={values}" for name, values in pairs if name]
            pictures = int(contents[self.named["pictures"]])
            shown, tried = self.studio.preview(session, self._asked(contents), dials, pictures, _shown_on(progress))
            return markup.notice("Press a cell to take its options."), markup.cells(shown, tried)

        return self._answer(request, 2, work)

    def pick(self, request: gr.Request, event: gr.EventData) -> tuple[Any, ...]:
        """Set the controls to the options of a cell."""
        count = 5 + len(self.options)

        def work(session: Session) -> tuple[Any, ...]:
            cell = session.cells.get(event.cell)
            if cell is None:
                raise OptionError("that cell is gone; try the options again")
            before, after = cell.values.get("change") or ("", "")
            contents = (content_of(name, cell.values.get(name, KNOWN_DEFAULTS[name])) for name in self.options)
            said = markup.notice(f"The options of cell {cell.number} are set; change them, or press Run.")
            return said, BY_CHANGE if before else BY_PROMPT, cell.prompt or "", before, after, *contents

        return self._answer(request, count, work)

    def compare(self, numbers: list[int], request: gr.Request, progress: Any = PROGRESS) -> tuple[Any, ...]:
        """Show results beside their source."""

        def work(session: Session) -> tuple[Any, ...]:
            return "", markup.comparison(self.studio.compare(session, numbers, _shown_on(progress)))

        return self._answer(request, 2, work)

    def cancel(self, request: gr.Request) -> str:
        """End the work that is under way."""

        def stop(session: Session) -> tuple[Any, ...]:
            session.stop()
            return (markup.notice(CANCELLED),)

        return str(self._answer(request, 1, stop)[0])

    def choose_task(self, task: str) -> tuple[Any, ...]:
        """Show the fields of a task, and take its usual method."""
        change = task == BY_CHANGE
        return gr.update(visible=not change), gr.update(visible=change), USUAL_EDIT if change else USUAL

    def show_read(self, method: str, coherence: str) -> list[Any]:
        """Show the controls of the options that a method and a coherence read, and hide the others'."""
        owners = [owners for name in self.options if (owners := readers(name)) is not None]
        return [gr.update(visible=is_shown(each, method, coherence)) for each in owners]

    def _asked(self, contents: Contents) -> Asked:
        named = {name: contents[self.named[name]] for name in ("task", "prompt", "before", "after")}
        values = values_of({name: contents[component] for name, component in self.options.items()}, self.start)
        if named["task"] != BY_CHANGE:
            return Asked(prompt=named["prompt"], values=values)
        before, after = (named["before"] or "").strip(), (named["after"] or "").strip()
        if not before or not after:
            raise OptionError("say both: what is there (From), and what it becomes (To)")
        return Asked(prompt=None, change=(before, after), values=values)

    def _answer(
        self, request: gr.Request, count: int, work: Callable[[Session], tuple[Any, ...]], status: int = 0
    ) -> tuple[Any, ...]:
        """The ``count`` outputs that ``work`` gives for the page's session; where it fails, a message alone.

        status: which of the outputs shows messages.
        """
        try:
            session = self.sessions.find(request.session_hash, _owner(request))
        except OptionError as error:
            return _only(markup.problem(str(error)), count, status)
        try:
            return work(session)
        except Cancelled:
            return _only(markup.notice(CANCELLED), count, status)
        except PnPVideoError as error:
            return _only(markup.problem(public_message(error, session)), count, status)
        except Exception:
            LOG.exception("a request of the page failed")
            return _only(markup.problem("Something unexpected went wrong; the server's log says what."), count, status)


def is_shown(owners: tuple[str, ...] | None, method: str, coherence: str) -> bool:
    """Whether ``method`` or ``coherence`` is among ``owners``, those that read an option; None: all read it."""
    return owners is None or method in owners or coherence in owners


def _only(message: str, count: int, status: int) -> tuple[Any, ...]:
    return tuple(message if number == status else gr.skip() for number in range(count))


def _shown_on(progress: Any) -> Callable[[float | None, str], None]:
    return lambda share, text: progress(share, desc=text)


def _named(made: Made) -> str:
    return f"{made.number}: {made.title}"


def _owner(request: gr.Request) -> str:
    owner, known = owner_of(Headers(dict(request.headers)))
    return owner if known else ""
