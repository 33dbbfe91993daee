"""Edits, one technique a file: what to do with the features and attention that the injection seam hands over."""
