"""Break the code that guards, one small way at a time, and see whether a test notices: ``make mutants``.

The list is our own. mutmut and cosmic-ray change every operator and constant: thousands of mutants in these modules,
most of no consequence, where the tests that could notice one take seconds. Each mutant here is a guard that somebody
might take for needless, with the tests that say why it is not.
"""
