"""The only code that alters a network: it puts edits in, and takes every one out again."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pnpvideo.errors import NoMatchingSite
from pnpvideo.injection.edit import Attend, AttentionCall, AttentionEdit, Edit, Enough, LaneTensors, ResidualEdit
from pnpvideo.injection.lanes import Lanes
from pnpvideo.injection.moment import Moment
from pnpvideo.injection.site import Kind, Site

COMPILED = "_compiled_call_impl"
"""Where a module has what Module.compile made of it; None: its call is its forward."""


class Session:
    """The time during which edits are in a network. Each network call is made inside ``during``."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self.edits = tuple(edits)
        self._now: tuple[Moment, Lanes] | None = None
        self.last: Site | None = None

    @contextmanager
    def during(self, moment: Moment, lanes: Lanes, last: Site | None = None) -> Iterator[None]:
        """Tell the edits which step and which rows the network call inside is about.

        last: the site whose edits are the last to look at this call: there it is left, and has no result.
        """
        self._now, self.last = (moment, lanes), last
        try:
            with suppress(Enough):
                yield
        finally:
            self._now = self.last = None

    def look(self, moment: Moment, lanes: Lanes) -> None:
        """From here to the end of the session, network calls are about this step and these rows.

        For a gradient: what recomputes a block on the way back must find the edits as they were.
        """
        self._now = (moment, lanes)

    @property
    def now(self) -> tuple[Moment, Lanes] | None:
        return self._now


@contextmanager
def injected(network: nn.Module, edits: Sequence[Edit]) -> Iterator[Session]:
    """Put ``edits`` into ``network`` for the time of the block; afterwards every processor and hook is as before.

    Edits of one site form a stack in the order given: the first is outermost, the last stands next to the
    attention itself. Raises NoMatchingSite if an edit has no sites or names one that the network lacks.
    """
    session = Session(edits)
    stacks: dict[Site, list[Any]] = {}
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
            if site.kind is Kind.RESIDUAL:
                block = network.get_submodule(site.name.rpartition(".")[0])
                undo.append(partial(setattr, block, COMPILED, getattr(block, COMPILED)))
                setattr(block, COMPILED, None)  # compiled, it would know the hook of one step alone
                undo.append(module.register_forward_hook(_residual_hook(session, site, stack)).remove)
            else:
                original = module.processor
                undo.append(partial(setattr, module, "processor", original))
                module.processor = _Processor(session, site, stack, original)
        yield session
    finally:
        for restore in reversed(undo):
            restore()


@contextmanager
def checkpointed(network: Any, wanted: bool = True) -> Iterator[None]:
    """In the block, where ``wanted``, a gradient recomputes the network's blocks instead of keeping their insides."""
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
            raise Enough
        return output

    return hook


class _Processor:
    """A diffusers attention processor that runs the edits' stack, or the original where none is active."""

    def __init__(self, session: Session, site: Site, stack: list[AttentionEdit], original: Any) -> None:
        self.session, self.site, self.stack, self.original = session, site, stack, original

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        now = self.session.now
        active = [edit for edit in self.stack if now is not None and edit.active(*now)]
        if now is None or not active:
            return self.original(attn, hidden_states, encoder_hidden_states, attention_mask, **options)
        moment, lanes = now
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states

        def projected(layer: nn.Module, value: Tensor) -> LaneTensors:
            return LaneTensors(lanes.names, lambda lane: layer(value[lanes.rows(lane)]))

        call = AttentionCall(
            self.site,
            moment,
            lanes,
            hidden_states,
            projected(attn.to_q, hidden_states),
            projected(attn.to_k, context),
            projected(attn.to_v, context),
            heads=attn.heads,
        )
        attend: Attend = _stop if self.site == self.session.last else partial(_attend, attn)
        for edit in reversed(active):
            attend = partial(edit, attend=attend)
        return attend(call)


def _stop(call: AttentionCall) -> Tensor:
    raise Enough


def _attend(attn: Any, call: AttentionCall) -> Tensor:
    """Scaled dot-product attention, lane by lane, and the output projection: (rows, tokens, channels)."""
    mixed = []
    for lane in call.lanes.names:
        q, k, v = call.q[lane], call.k[lane], call.v[lane]
        if lane in call.extra:
            more_k, more_v = call.extra[lane]
            frames = [
                _sdpa(
                    attn,
                    q[f : f + 1],
                    torch.cat((k[f : f + 1], more_k), 1),
                    torch.cat((v[f : f + 1], more_v), 1),
                )
                for f in range(q.shape[0])
            ]
            mixed.append(torch.cat(frames))
        elif k.shape[0] == 1 and q.shape[0] > 1:
            mixed.append(_sdpa(attn, q.reshape(1, -1, q.shape[2]), k, v).reshape(q.shape))
        else:
            mixed.append(_sdpa(attn, q, k, v))
    return attn.to_out[1](attn.to_out[0](torch.cat(mixed)))


def _sdpa(attn: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k, v = (value.unflatten(2, (attn.heads, -1)).transpose(1, 2) for value in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, scale=attn.scale).transpose(1, 2).flatten(2)
