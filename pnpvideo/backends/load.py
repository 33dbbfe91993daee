"""Load a model once, and share it among all that ask for it."""

import threading
from weakref import WeakValueDictionary

from pnpvideo.backends.backend import Backend
from pnpvideo.backends.checkpoint import COVERED, locate
from pnpvideo.backends.device import choose_device, choose_dtype
from pnpvideo.backends.fingerprint import fingerprint
from pnpvideo.backends.stable_diffusion import StableDiffusion
from pnpvideo.events import Report, ignore
from pnpvideo.settings.models import resolve
from pnpvideo.settings.options import Runtime

_LOADING = threading.Lock()
_LOADED: "WeakValueDictionary[tuple[str, str, str, bool], StableDiffusion]" = WeakValueDictionary()


def load(model: str, runtime: Runtime | None = None, report: Report = ignore) -> Backend:
    """The model that ``model`` names (alias, folder or hub id), on the device and in the precision of ``runtime``.

    A model that is in use somewhere is not loaded a second time, whichever thread asks for it, as long as its files are
    the same; the libraries that load are not safe in several threads, so loading waits its turn. report: hears how far
    a download is. Raises ModelError and DeviceError.
    """
    runtime = runtime or Runtime()
    device = choose_device(runtime.device)
    dtype = choose_dtype(runtime.dtype, device)
    key = (resolve(model), str(device), str(dtype), runtime.compile)
    with _LOADING:
        folder, backend = locate(key[0], report), _LOADED.get(key)
        if backend is None or fingerprint(folder, COVERED) != backend.fingerprint:
            backend = _LOADED[key] = StableDiffusion(model, device, dtype, runtime.compile)
        return backend
