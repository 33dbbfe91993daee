"""The benchmarks by the name that the command line uses."""

from pnpvideo.measure.suites.pie import PIE
from pnpvideo.measure.suites.row import Suite
from pnpvideo.measure.suites.ti2i import TI2I

SUITES: dict[str, Suite] = {suite.name: suite for suite in (PIE, TI2I)}
