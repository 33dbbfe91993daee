"""Keep the model libraries from writing to a user's terminal."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARIES = ("accelerate", "diffusers", "huggingface_hub", "transformers")


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """No warnings; log records go to the handlers of whoever configured logging, if anybody did."""
    silent, loggers = logging.NullHandler(), [logging.getLogger(name) for name in LIBRARIES]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [silent], True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, before, strict=True):
            logger.handlers, logger.propagate = handlers, propagate
