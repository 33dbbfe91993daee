"""Edits in attention over picture and text together, against the same written plainly."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.errors import ModelError
from pnpvideo.injection import AttentionCall, Kind, Lanes, Moment, Site, injected, select
from pnpvideo.injection.edit import Attend
from pnpvideo.injection.joint_attention import attend_joint, attend_text, check_joint, is_joint, joint_call
from pnpvideo.methods.plug_and_play import PlugAndPlay

MOMENT = Moment(0, 2, 500.0, ())
FRAMES = (0, 1)


def latents(seed: int) -> Tensor:
    return torch.randn((2, 16, 4, 6), generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Watching:
    """Changes nothing."""

    sites: tuple[Site, ...]
    acts: bool = True

    def begin(self, moment: Moment) -> None: ...

    def active(self, moment: Moment, lanes: Lanes) -> bool:
        return self.acts

    def needs_source(self, moment: Moment, frames: tuple[int, ...]) -> bool:
        return False

    def __call__(self, call: AttentionCall, attend: Attend) -> Tensor:
        return attend(call)


@pytest.mark.parametrize("acts", [True, False])
def test_an_edit_that_changes_nothing_leaves_the_output(acts: bool, joint_backend: StableDiffusion3) -> None:
    """Bit for bit where it is not active; all processors are as before afterwards."""
    network, text = joint_backend.network, joint_backend.embed("a fox").batch(2)
    before = dict(network.attn_processors)
    plain = joint_backend.predict(latents(0), 500.0, text)
    edit = Watching(select(joint_backend.sites, Kind.SELF), acts)
    with injected(network, [edit]) as session, session.during(MOMENT, Lanes(("positive",), FRAMES)):
        found = joint_backend.predict(latents(0), 500.0, text)
    assert torch.allclose(found, plain, atol=1e-6) if acts else torch.equal(found, plain)
    after = network.attn_processors
    assert all(after[name] is processor for name, processor in before.items()) and len(after) == len(before)
    assert torch.equal(joint_backend.predict(latents(0), 500.0, text), plain)


class Plain:
    """A processor of diffusers that keeps the picture's q and k, or uses those of ``source`` in their place."""

    def __init__(self, source: "Plain | None" = None) -> None:
        self.source = source

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: None = None
    ) -> Any:
        def heads(layer: Any, norm: Any, value: Tensor) -> Tensor:
            found: Tensor = layer(value).unflatten(2, (attn.heads, -1)).transpose(1, 2)
            return found if norm is None else norm(found)

        q, k = heads(attn.to_q, attn.norm_q, hidden_states), heads(attn.to_k, attn.norm_k, hidden_states)
        v, own_k, words = heads(attn.to_v, None, hidden_states), k, encoder_hidden_states
        self.q, self.k = q, k
        if self.source is not None:
            q, k = self.source.q, self.source.k
        if words is None:
            return attn.to_out[0](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        text_q, text_k = (
            heads(attn.add_q_proj, attn.norm_added_q, words),
            heads(attn.add_k_proj, attn.norm_added_k, words),
        )
        values = torch.cat((v, heads(attn.add_v_proj, None, words)), 2)
        picture = F.scaled_dot_product_attention(q, torch.cat((k, text_k), 2), values)
        told = F.scaled_dot_product_attention(text_q, torch.cat((own_k, text_k), 2), values).transpose(1, 2).flatten(2)
        return (
            attn.to_out[0](picture.transpose(1, 2).flatten(2)),
            words if attn.context_pre_only else attn.to_add_out(told),
        )


def test_plug_and_play_is_the_same_written_plainly(joint_backend: StableDiffusion3) -> None:
    """Attention among the picture's tokens with the source's q and k in the second of three blocks, and its features;
    the text's tokens attend as they would."""
    source, edited = latents(0), latents(1)
    hen, fox = (joint_backend.embed(text).batch(2) for text in ("a hen", "a fox"))
    method = PlugAndPlay(feature_until=1.0, attention_until=1.0, fresh_noise=0.0)
    with injected(joint_backend.network, method.edits(joint_backend.sites)) as session:
        with session.during(MOMENT, Lanes(("source",), FRAMES)):
            joint_backend.predict(source, 500.0, hen)
        with session.during(MOMENT, Lanes(("positive",), FRAMES)):
            found = joint_backend.predict(edited, 500.0, fox)

    network = joint_backend.network
    before: dict[str, Any] = dict(network.attn_processors)
    keep: dict[str, Tensor] = {}
    names = [name for name in before if name.startswith("transformer_blocks.1.")]
    recording = {name: Plain() for name in names}
    hook = network.transformer_blocks[1].ff.register_forward_hook(lambda *call: keep.update(features=call[2]))
    network.set_attn_processor({**before, **recording})
    joint_backend.predict(source, 500.0, hen)
    hook.remove()
    hook = network.transformer_blocks[1].ff.register_forward_hook(lambda *call: keep["features"])
    network.set_attn_processor({**before, **{name: Plain(recording[name]) for name in names}})
    expected = joint_backend.predict(edited, 500.0, fox)
    hook.remove()
    network.set_attn_processor(before)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, joint_backend.predict(edited, 500.0, fox), atol=1e-3)


def test_shared_and_further_keys_are_read_by_every_frame(joint_backend: StableDiffusion3) -> None:
    module = joint_backend.network.transformer_blocks[1].attn
    site, lanes = joint_backend.sites[3], Lanes(("positive",), FRAMES)
    generator = torch.Generator().manual_seed(0)
    hidden, words = torch.randn((2, 6, 16), generator=generator), torch.randn((2, 4, 16), generator=generator)
    call, text = joint_call(module, site, MOMENT, lanes, hidden, words)
    assert text is not None and attend_text(module, text, call).shape == words.shape
    k, v = call.k["positive"], call.v["positive"]
    both = {"positive": torch.cat((k, k.flip(0)), 1)}, {"positive": torch.cat((v, v.flip(0)), 1)}
    expected = attend_joint(module, text, replace(call, k=both[0], v=both[1]))
    shared = {"positive": k.flatten(0, 1).unsqueeze(0)}, {"positive": v.flatten(0, 1).unsqueeze(0)}
    found = attend_joint(module, text, replace(call, k=shared[0], v=shared[1]))
    assert torch.allclose(found, expected, atol=1e-6)
    first = replace(call, extra={"positive": (k[1:], v[1:])})
    assert torch.allclose(attend_joint(module, text, first)[:1], expected[:1], atol=1e-6)


class AttentionCalls(TorchFunctionMode):
    """Counts the elements that are concatenated before each attention: (those since the one before) of each."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[int] = []
        self._since = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function is torch.cat:
            self._since += result.numel()
        if function is F.scaled_dot_product_attention:
            self.before.append(self._since)
            self._since = 0
        return result


@pytest.mark.parametrize("extra", [0, 2])
def test_shared_keys_are_joined_with_one_frames_text_at_a_time(extra: int, joint_backend: StableDiffusion3) -> None:
    """Five keyframes: bit for bit the published equation frame by frame, and never five copies of the shared keys."""
    module, site = joint_backend.network.transformer_blocks[1].attn, joint_backend.sites[0]
    generator = torch.Generator().manual_seed(0)
    frames, lane = 5, "positive"
    hidden, words = (torch.randn((frames, n, 16), generator=generator) for n in (6, 3))
    call, text = joint_call(module, site, MOMENT, Lanes((lane,), tuple(range(frames))), hidden, words)
    assert text is not None
    k, v = (value[lane].flatten(0, 1).unsqueeze(0) for value in (call.k, call.v))
    more = torch.randn((2, 1, 6 * extra, 16), generator=generator)
    shared = replace(call, k={lane: k}, v={lane: v}, extra={lane: (more[0], more[1])} if extra else {})
    with AttentionCalls() as calls, torch.no_grad():
        found = attend_joint(module, text, shared)
    tokens = (frames + extra) * 6 + 3
    assert calls.before == [2 * tokens * 16] * frames

    def heads(value: Tensor) -> Tensor:
        return value.unflatten(2, (module.heads, -1)).transpose(1, 2)

    expected = []
    for frame in range(frames):
        own = slice(frame, frame + 1)
        keys = torch.cat([k, *([more[0]] if extra else []), text.k[lane][own]], 1)
        values = torch.cat([v, *([more[1]] if extra else []), text.v[lane][own]], 1)
        expected.append(F.scaled_dot_product_attention(heads(call.q[lane][own]), heads(keys), heads(values)))
    with torch.no_grad():
        assert torch.equal(found, module.to_out[0](torch.cat(expected).transpose(1, 2).flatten(2)))


def test_layers_that_compute_more_are_refused(joint_backend: StableDiffusion3) -> None:
    module = joint_backend.network.transformer_blocks[0].attn
    assert is_joint(module.processor) and not is_joint(None)
    check_joint(module, joint_backend.sites[0])
    module.rescale_output_factor = 2.0
    try:
        with pytest.raises(ModelError, match=r"rescale_output_factor = 2\.0"):
            check_joint(module, joint_backend.sites[0])
    finally:
        module.rescale_output_factor = 1.0
