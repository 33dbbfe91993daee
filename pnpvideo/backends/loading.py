"""The only place that has diffusers and transformers load or build anything.

They never see the folder or file that a user names. They see a temporary folder with copies of its known configs,
without what could make a library run code or fetch something, and links to its vocabularies and to the safetensors
weights that were chosen. So code, pickles, adapters and indexes of that folder are out of their reach, whatever they
look for. Of a checkpoint in a single file, they build a network by a config that was derived here, and get its tensors.
"""

import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from accelerate import init_empty_weights
from diffusers.utils import logging as diffusers_logging
from torch import Tensor, nn
from torch.nn.modules import module as registration

from pnpvideo.backends.model_files import CONFIGS, VOCABULARIES, read_json, tensor_shapes, weights_of
from pnpvideo.backends.quiet import quiet_libraries
from pnpvideo.errors import ModelError
from pnpvideo.scratch import scratch_folder

HARMLESS = ("position_ids",)
"""A buffer that old text encoders saved and no code reads."""
ALIGNMENT = 64
"""Bytes; what torch itself allocates by."""
_CODE = ("auto_map", "custom_pipelines", "trust_remote_code")
_SIDES = ("crop_size", "height", "longest_edge", "shortest_edge", "size", "width")
_MOST_PIXELS, _MOST_COUNTED, _MOST_BUFFERED = 4096, 100_000, 1 << 28
_TOKEN_FIELDS = {"content", "id", "lstrip", "normalized", "rstrip", "single_word", "special"}
_ONE_AT_A_TIME = threading.RLock()  # the libraries replace parts of torch while they load
_BOM = b"\xef\xbb\xbf"


def load_network(kind: Any, folder: Path, dtype: torch.dtype | None = None, unread: tuple[str, ...] = ()) -> Any:
    """The network in ``folder``, frozen, in evaluation mode, every weight from its files. Raises ModelError.

    kind: a diffusers or transformers class, such as UNet2DConditionModel. dtype None: as the library has it.
    unread: what the caller never asks, such as "pooler."; its weights may be missing.
    """
    files = weights_of(folder)
    shapes = tensor_shapes(files)
    elements = sum(math.prod(shape) for shape in shapes.values())
    with _sealed(folder) as sealed, _Size(folder, len(shapes), elements):
        _link_weights(sealed, files, kind)
        found, info = _loaded(
            kind,
            folder,
            sealed,
            lambda: kind.from_pretrained(
                sealed,
                trust_remote_code=False,
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
                dtype=dtype,
            ),
        )
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        keys = sorted(str(key) for key in info.get(problem) or ())
        keys = [key for key in keys if key.rpartition(".")[2] not in HARMLESS and not key.startswith(unread)]
        if keys:
            raise ModelError(
                f"{folder}: {problem.replace('_', ' ')}, {len(keys)} in all, such as {keys[0]}; "
                "the weights do not fit the architecture that config.json states"
            )
    return _aligned(found).eval().requires_grad_(False)


def build_network(kind: Any, config: Mapping[str, Any], tensors: Mapping[str, Tensor], source: Path) -> Any:
    """The network of this config with these tensors as its weights, frozen, in evaluation mode. Raises ModelError.

    kind: as in ``load_network``. tensors: by the network's own names, of one dtype, which it keeps. source: the file
    that they are from, for messages.
    """

    def build() -> Any:
        with init_empty_weights(include_buffers=False):
            known = _harmless(dict(config), source)
            found = kind.from_config(known) if hasattr(kind, "from_config") else kind(kind.config_class(**known))
        return found, found.load_state_dict(tensors, strict=False, assign=True)

    with _Size(source, len(tensors), sum(tensor.numel() for tensor in tensors.values())):
        found, keys = _loaded(kind, source, source, build)
    for problem, names in (("missing", keys.missing_keys), ("unexpected", keys.unexpected_keys)):
        if names:
            raise ModelError(
                f"{source}: {problem} tensors of its {kind.__name__}, {len(names)} in all, such as {min(names)}"
            )
    return _aligned(found).eval().requires_grad_(False)


def _aligned(network: nn.Module) -> nn.Module:
    """``network``, each of whose weights on the CPU starts at a multiple of ALIGNMENT bytes.

    A weight that was mapped from a file starts where the file has it, and some processors round otherwise there: the
    same weights in another file would draw another picture.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNMENT:
            tensor.data = tensor.data.clone()
    return network


def load_reader(kind: Any, folder: Path) -> Any:
    """What turns texts or pictures into a network's input, such as CLIPTokenizer or AutoProcessor. ModelError."""
    with _sealed(folder) as sealed:
        return _loaded(
            kind,
            folder,
            sealed,
            lambda: kind.from_pretrained(sealed, trust_remote_code=False, local_files_only=True),
        )


def _loaded(kind: Any, folder: Path, sealed: Path, load: Callable[[], Any]) -> Any:
    """``load()`` in silence; whatever the libraries raise becomes a ModelError about ``folder``."""
    try:
        with _ONE_AT_A_TIME, quiet_libraries(), _without_bars():
            return load()
    except ModelError:
        raise
    except Exception as damaged:  # OSError, ValueError, KeyError, SafetensorError, and a plain Exception of a parser
        lines = [line.strip() for line in str(damaged).splitlines() if line.strip()] or [type(damaged).__name__]
        said = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]  # such as the first tensor that does not fit
        own = "; code of its own, which its configs name, is never run" if _names_code(folder) else ""
        raise ModelError(
            f"{folder} cannot be loaded as a {kind.__name__}: {said.replace(str(sealed), str(folder))}{own}"
        ) from damaged


@contextmanager
def _sealed(folder: Path) -> Iterator[Path]:
    """A temporary folder with the known configs of ``folder``, made harmless, and links to its vocabularies."""
    with scratch_folder() as sealed:
        for config in CONFIGS:
            if os.path.lexists(folder / config):
                value = _harmless(read_json(folder / config), folder / config)
                (sealed / config).write_text(json.dumps(value), encoding="utf-8")
        for vocabulary in VOCABULARIES:
            if os.path.isfile(folder / vocabulary):
                if vocabulary == "tokenizer.json":
                    _check_tokens(folder / vocabulary)
                _link(folder / vocabulary, sealed / vocabulary)
        yield sealed


def _harmless(value: Any, path: Path) -> Any:
    """A config without what names code or other files. Raises ModelError for counts that no network has."""
    if isinstance(value, list):
        return [_harmless(item, path) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        if key == "quantization_config" and item is not None:
            raise ModelError(f"{path} states quantised weights ({key}); accepted are float32, float16 and bfloat16")
        most = _MOST_PIXELS if key in _SIDES else _MOST_COUNTED if "layer" in key or key.startswith("num_") else None
        if most is not None and isinstance(item, int | float) and not abs(item) <= most:
            raise ModelError(f"{path}: {key} is {item}; accepted are up to {most}")
        if isinstance(value.get("content"), str) and key not in (*_TOKEN_FIELDS, "__type"):
            continue  # of an added token: see _check_tokens
        if key not in _CODE and not key.endswith(("_implementation", "_implementation_internal", "_file")):
            kept[key] = _harmless(item, path)
    return kept


def _check_tokens(path: Path) -> None:
    """Raises ModelError for fields of added tokens that the tokenizers library, which is not Python, would print."""
    try:
        stated = json.loads(path.read_text(encoding="utf-8-sig"))
        unknown = {field for token in stated["added_tokens"] for field in token} - _TOKEN_FIELDS
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return  # it is no vocabulary, as the library will say
    if unknown:
        accepted = ", ".join(sorted(_TOKEN_FIELDS))
        raise ModelError(f"{path}: an added token has the field {min(unknown)!r}; accepted are {accepted}")


def _names_code(folder: Path) -> bool:
    return any("auto_map" in read_json(folder / name) for name in CONFIGS if os.path.isfile(folder / name))


def _link_weights(sealed: Path, files: Sequence[Path], kind: Any) -> None:
    """Link ``files`` under the names that the library looks for, with an index where there are several."""
    stem = "diffusion_pytorch_model" if issubclass(kind, diffusers.ModelMixin) else "model"
    if len(files) == 1:
        return _link(files[0], sealed / f"{stem}.safetensors")
    table: dict[str, str] = {}
    for number, path in enumerate(files, 1):
        shard = f"{stem}-{number:05}-of-{len(files):05}.safetensors"
        _link(path, sealed / shard)
        table |= dict.fromkeys(tensor_shapes([path]), shard)
    index = {"metadata": {"total_size": sum(path.stat().st_size for path in files)}, "weight_map": table}
    (sealed / f"{stem}.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def _link(path: Path, to: Path) -> None:
    """A link where the system allows one, else a copy; always a copy of a text with a byte-order mark, without it."""
    try:
        with open(path, "rb") as file:
            if path.suffix in (".json", ".txt") and file.read(3) == _BOM:
                with open(to, "wb") as copy:
                    shutil.copyfileobj(file, copy)
                return
        try:
            to.symlink_to(path.absolute())
        except OSError:  # Windows without the right to make them
            shutil.copyfile(path, to)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


class _Size:
    """A context in which this thread builds no network that is much larger than the weights that are there.

    A config may state any width and number of layers; the libraries would build that, and fill what the files lack.
    """

    def __init__(self, folder: Path, tensors: int, elements: int) -> None:
        self.folder, self.thread = folder, threading.get_ident()
        self.tensors, self.elements, self.buffered = 4 * tensors + 1000, 4 * elements + (1 << 20), _MOST_BUFFERED

    def __enter__(self) -> None:
        self.handles = (
            registration.register_module_parameter_registration_hook(self._parameter),
            registration.register_module_buffer_registration_hook(self._buffer),
        )

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _parameter(self, module: nn.Module, name: str, value: Tensor | None) -> None:
        if value is not None and threading.get_ident() == self.thread:
            self.tensors, self.elements = self.tensors - 1, self.elements - value.numel()
            self._check()

    def _buffer(self, module: nn.Module, name: str, value: Tensor | None) -> None:
        if value is not None and threading.get_ident() == self.thread:
            self.buffered -= value.numel()
            self._check()

    def _check(self) -> None:
        if min(self.tensors, self.elements, self.buffered) < 0:
            raise ModelError(f"{self.folder}: config.json states a network that is many times larger than its weights")


@contextmanager
def _without_bars() -> Iterator[None]:
    bars = [part for part in (diffusers_logging, transformers.logging) if part.is_progress_bar_enabled()]
    for part in bars:
        part.disable_progress_bar()
    try:
        yield
    finally:
        for part in bars:
            part.enable_progress_bar()
