"""Load a model once, and share it among all that ask for it."""

import os
import threading
from pathlib import Path
from weakref import WeakValueDictionary

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.checkpoint import locate
from pnpvideo.backends.customized import customized_fingerprint
from pnpvideo.backends.device import choose_device, choose_dtype
from pnpvideo.backends.embedding_file import embeddings_of
from pnpvideo.backends.few_step import few_step, few_step_hint
from pnpvideo.backends.packaging import is_joint, packaging
from pnpvideo.backends.parts import UNCHANGED
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.backends.stable_diffusion3 import StableDiffusion3
from pnpvideo.events import Notice, Report, ignore
from pnpvideo.settings.models import resolve
from pnpvideo.settings.options import Customization, Runtime

_LOADING = threading.Lock()
_LOADED: "WeakValueDictionary[tuple[str, str, str, bool, str], StableDiffusion | StableDiffusion3]" = (
    WeakValueDictionary()
)


def load(
    model: str,
    runtime: Runtime | None = None,
    report: Report = ignore,
    customization: Customization = UNCHANGED,
) -> Backend:
    """The model that ``model`` names (alias, folder, single file or hub id), on the device and in the precision of
    ``runtime``, changed by ``customization``.

    A model that is in use somewhere is not loaded a second time, whichever thread asks for it, as long as its files are
    the same; the libraries that load are not safe in several threads, so loading waits its turn. report: hears how far
    a download is. Raises ModelError and DeviceError.
    """
    runtime = runtime or Runtime()
    device = choose_device(runtime.device)
    dtype = choose_dtype(runtime.dtype, device)
    key = (resolve(model), str(device), str(dtype), runtime.compile, repr(customization))
    with _LOADING:
        path, backend = locate(key[0], report), _LOADED.get(key)
        source = packaging(path, customization.prediction)
        if notice := source.notice():
            report(Notice(message=notice))
        joint = is_joint(path)
        if customization.few_step is None and not joint and not few_step(source.config("scheduler")):
            for file in (path, *(Path(file) for file, _ in customization.lora)):
                if os.path.isfile(file) and (hint := few_step_hint(file)):
                    report(Notice(message=hint))
        for embedding in embeddings_of(customization.embedding):
            report(Notice(message=f"{embedding.word!r} in a prompt stands for {embedding.path}"))
        if backend is None or customized_fingerprint(path, customization) != backend.fingerprint:
            kind = StableDiffusion3 if joint else StableDiffusion
            backend = _LOADED[key] = kind(model, device, dtype, runtime.compile, customization)
        return backend
