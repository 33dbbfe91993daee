"""All mutants, in the order in which they are tried."""

from . import batching, comparing, inspecting, keeping, loading, reading, suites, writing

MUTANTS = (
    *reading.MUTANTS,
    *writing.MUTANTS,
    *keeping.MUTANTS,
    *loading.MUTANTS,
    *comparing.MUTANTS,
    *inspecting.MUTANTS,
    *batching.MUTANTS,
    *suites.MUTANTS,
)
