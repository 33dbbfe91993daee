"""Feed damaged files of every format to everything that reads files: ``make fuzz``."""
