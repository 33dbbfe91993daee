"""Temporal coherence, chosen separately from the method: which frames share a network call, and what they share."""
