"""The error tree. Everything that pnpvideo raises on purpose derives from one root.

    PnPVideoError            (exit 1)
    ├── OptionError          (exit 2)  an option has a value that is not accepted
    ├── InputError           (exit 3)  the input cannot be read as a picture or a clip
    │   └── DecodeError      (exit 3)  the input was recognised, but decoding failed part-way
    ├── ModelError           (exit 4)  a checkpoint is missing, damaged or of another architecture
    │   └── NoMatchingSite   (exit 4)  an edit names layers that the network does not have
    ├── DeviceError          (exit 5)  the device is absent, or its memory is exhausted
    │   └── NotFiniteError   (exit 5)  a network gave NaN or infinity, in fp32 too
    ├── OutputError          (exit 6)  the output cannot be written
    │   └── EncodeError      (exit 6)  the encoder failed; nothing was written under the final name
    ├── BatchError           (exit 7)  some rows of a batch failed; the others are done
    └── StoreError           (exit 1)  the store is locked, unwritable or inconsistent

A message says what was given, what is accepted and what to do, in one or two sentences.
"""

import re


class PnPVideoError(Exception):
    """Root of all errors raised on purpose; ``exit_code`` is what the command line returns."""

    exit_code = 1


class OptionError(PnPVideoError):
    exit_code = 2


class InputError(PnPVideoError):
    exit_code = 3


class DecodeError(InputError):
    pass


class ModelError(PnPVideoError):
    exit_code = 4


class NoMatchingSite(ModelError):
    pass


class DeviceError(PnPVideoError):
    exit_code = 5


class NotFiniteError(DeviceError):
    pass


class OutputError(PnPVideoError):
    exit_code = 6


class EncodeError(OutputError):
    pass


class BatchError(PnPVideoError):
    exit_code = 7


class StoreError(PnPVideoError):
    pass


def printable(text: str) -> str:
    """Escape control characters, so that a name or a tag from a file cannot drive the terminal that shows it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def refuse_url(path: object) -> None:
    """Raise InputError if ``path`` is a URL, or what Path makes of one, with one slash where there were two."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", str(path), re.DOTALL)  # one letter alone is a Windows drive
    if found is not None:
        scheme, rest = found.groups()
        url = printable(f"{scheme}:///{rest}" if scheme.lower() == "file" else f"{scheme}://{rest}")
        raise InputError(f"{url} is a URL; only local files are read: download it, and give its path")


def command_to_install(extra: str) -> str:
    """The command that adds an extra of ``pyproject.toml`` to an installation from a clone, for messages."""
    return f"in the clone of pnpvideo, pip install -c constraints.txt -e '.[{extra}]'"
