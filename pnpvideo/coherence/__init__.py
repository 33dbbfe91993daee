"""Coherence, an axis beside the method: which frames go through the network together, and what they share."""
