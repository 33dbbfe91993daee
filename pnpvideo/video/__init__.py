"""Video in and out: pixels and their times."""
