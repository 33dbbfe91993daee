"""What becomes of files of each format, found out by trying: ``python -m tests.formats docs/formats.md``."""
