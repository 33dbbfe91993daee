"""Install edits in a network and remove them again. No other module changes a network."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial, reduce
from typing import Any, cast

from torch import Tensor, nn

from pnpvideo.diffusion.finite import finite
from pnpvideo.errors import NoMatchingSite
from pnpvideo.injection.attention import attend, attention_call, check_arguments, check_attention
from pnpvideo.injection.edit import (
    Attend,
    AttentionCall,
    AttentionEdit,
    Edit,
    NetworkCall,
    ResidualEdit,
    Residuals,
    SkipEdit,
    StopForward,
)
from pnpvideo.injection.joint_attention import attend_joint, attend_text, check_joint, is_joint, joint_call
from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment
from pnpvideo.injection.site import Kind, Site

COMPILED = "_compiled_call_impl"
"""Attribute in which ``nn.Module.compile`` keeps the compiled call; None: the module runs uncompiled."""


class Session:
    """Edits while they are installed in a network. They act only on network calls inside ``during`` or after ``look``.

    last: the site after which the call under way stops; None: it runs to its end.
    """

    def __init__(self, edits: Sequence[Edit]) -> None:
        self.edits = tuple(edits)
        self._now: tuple[Moment, Lanes] | None = None
        self.last: Site | None = None

    @contextmanager
    def during(self, moment: Moment, lanes: Lanes, last: Site | None = None) -> Iterator[None]:
        """Set the step and the rows of the network call inside the block.

        last: stop the call after this site. The call then has no output, and the rest of the block is skipped.
        """
        self._now, self.last = (moment, lanes), last
        try:
            with suppress(StopForward):
                yield
        finally:
            self._now = self.last = None

    def look(self, moment: Moment, lanes: Lanes) -> None:
        """Set the step and the rows of all network calls until the session ends.

        For gradients: with gradient checkpointing the backward pass runs blocks again, and edits must act on them with
        the same step and rows.
        """
        self._now = (moment, lanes)

    @property
    def now(self) -> tuple[Moment, Lanes] | None:
        """Step and rows of the network call under way; None if there is none, and no edit is active."""
        return self._now


@contextmanager
def injected(network: nn.Module, edits: Sequence[Edit]) -> Iterator[Session]:
    """Install ``edits`` in ``network`` during the block; afterwards every processor and hook is as before.

    The edits of one attention site are nested: the first is outermost, the last calls the attention itself. Those of a
    residual site run in order, and those of the whole network are summed. Raises NoMatchingSite if an edit has no sites
    or names one that the network lacks, and ModelError if an attention layer computes something that the adapter does
    not support.
    """
    session = Session(edits)
    stacks: dict[Site, list[Edit]] = {}
    for edit in edits:
        if not edit.sites:
            raise NoMatchingSite(f"{type(edit).__name__} matches no site of this network")
        for site in edit.sites:
            stacks.setdefault(site, []).append(edit)
    modules = {site: _module(network, site) for site in stacks}
    undo: list[Callable[[], None]] = []
    try:
        for site, stack in stacks.items():
            module = modules[site]
            if site.kind is Kind.NETWORK:
                adding = _skip_hook(session, cast(list[SkipEdit], stack))
                undo.append(module.register_forward_pre_hook(adding, with_kwargs=True).remove)
            elif site.kind is Kind.RESIDUAL:
                block = network.get_submodule(site.name.rpartition(".")[0])
                undo.append(partial(setattr, block, COMPILED, getattr(block, COMPILED)))
                undo.append(partial(setattr, module, COMPILED, getattr(module, COMPILED)))
                for compiled in (block, module):  # run uncompiled: a compiled block would bake in this step's hook
                    setattr(compiled, COMPILED, None)
                hook = _residual_hook(session, site, cast(list[ResidualEdit], stack))
                undo.append(module.register_forward_hook(hook).remove)
            else:
                original = module.processor
                (check_joint if _is_joint(original) else check_attention)(module, site)
                undo.append(partial(setattr, module, "processor", original))
                module.processor = _EditedProcessor(session, site, cast(list[AttentionEdit], stack), original)
        yield session
    finally:
        for restore in reversed(undo):
            restore()


@contextmanager
def checkpointed(network: Any, wanted: bool = True) -> Iterator[None]:
    """Switch on gradient checkpointing during the block, if ``wanted``: less memory, more time."""
    if not wanted or network.is_gradient_checkpointing:
        yield
        return
    network.enable_gradient_checkpointing()
    try:
        yield
    finally:
        network.disable_gradient_checkpointing()


def _module(network: nn.Module, site: Site) -> Any:
    try:
        return network.get_submodule(site.name)
    except AttributeError as absent:
        raise NoMatchingSite(f"the network has no module {site.name!r}, which the backend declared") from absent


def _residual_hook(session: Session, site: Site, stack: list[ResidualEdit]) -> Callable[..., Tensor | None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if session.now is None:
            return None
        for edit in stack:
            if edit.active(*session.now):
                output = edit(output, site, *session.now)
        if site == session.last:
            finite(output, f"the network's features at {site.name}")  # no output is left to be checked
            raise StopForward
        return output

    return hook


def _skip_hook(session: Session, stack: list[SkipEdit]) -> Callable[..., Any]:
    def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> Any:
        active = [edit for edit in stack if session.now is not None and edit.active(*session.now)]
        if session.now is None or not active:
            return None
        x, timestep, text = inputs
        call = NetworkCall(x=x, timestep=timestep, text=text, added=named.get("added_cond_kwargs"))
        total = reduce(Residuals.plus, (edit(call, *session.now) for edit in active))
        found = {
            "down_block_additional_residuals": total.skips,
            "mid_block_additional_residual": total.middle,
        }
        return inputs, {**named, **found}

    return hook


class _EditedProcessor:
    """diffusers attention processor that runs the active edits, or the original processor where none is active."""

    def __init__(self, session: Session, site: Site, stack: list[AttentionEdit], original: Callable[..., Any]) -> None:
        self.session, self.site, self.stack, self.original = session, site, stack, original

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Any:
        now = self.session.now
        active = [edit for edit in self.stack if now is not None and edit.active(*now)]
        if now is None or not active:
            return self.original(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        check_arguments(self.site, hidden_states, {"attention_mask": attention_mask, "temb": temb})
        if _is_joint(self.original):
            return self._joint(attn, active, hidden_states, encoder_hidden_states)
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        call = attention_call(attn, self.site, *now, hidden_states, context)
        return self._edited(active, partial(attend, attn))(call)

    def _joint(self, attn: Any, active: list[AttentionEdit], hidden: Tensor, text_hidden: Tensor | None) -> Any:
        """The same of a layer over the tokens of picture and text: the outputs for both, or for the picture's."""
        assert self.session.now is not None
        call, text = joint_call(attn, self.site, *self.session.now, hidden, text_hidden)
        pictures = self._edited(active, partial(attend_joint, attn, text))(call)
        return pictures if text is None else (pictures, attend_text(attn, text, call))

    def _edited(self, active: list[AttentionEdit], innermost: Attend) -> Attend:
        """``innermost``, the attention itself, inside the active edits."""
        if self.site == self.session.last:
            innermost = _stop
        for edit in reversed(active):
            innermost = partial(edit, attend=innermost)
        return innermost


def _is_joint(processor: Any) -> bool:
    while isinstance(processor, _EditedProcessor):
        processor = processor.original
    return is_joint(processor)


def _stop(call: AttentionCall) -> Tensor:
    finite(call.hidden, f"the network's features at {call.site.name}")  # no output is left to be checked
    raise StopForward
