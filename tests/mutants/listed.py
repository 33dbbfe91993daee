"""All mutants, in the order in which they are tried."""

from . import comparing, keeping, loading, reading, writing

MUTANTS = (*reading.MUTANTS, *writing.MUTANTS, *keeping.MUTANTS, *loading.MUTANTS, *comparing.MUTANTS)
