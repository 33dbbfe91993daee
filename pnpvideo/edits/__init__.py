"""Edits of a network's features and attention, one technique per file (see injection for their protocols)."""
