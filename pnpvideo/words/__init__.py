"""Prompts, captions and edit directions, and the embeddings that a model reads of them."""
