"""The two ways in which each benchmark is measured."""

from enum import Enum


class Mode(Enum):
    """COMPAT: as the code of the paper computes the figures, faults included, so that its table can be compared.
    STRICT: the same measures without those faults."""

    COMPAT = "compat"
    STRICT = "strict"
