"""The benchmarks by the name that the command line uses."""

from pnpvideo.measure.suites.five import FIVE
from pnpvideo.measure.suites.flowedit import FLOWEDIT
from pnpvideo.measure.suites.pie import PIE
from pnpvideo.measure.suites.row import Suite
from pnpvideo.measure.suites.tgve import TGVE
from pnpvideo.measure.suites.ti2i import TI2I
from pnpvideo.measure.suites.v2vbench import V2VBENCH

SUITES: dict[str, Suite] = {suite.name: suite for suite in (PIE, TI2I, FLOWEDIT, TGVE, V2VBENCH, FIVE)}
