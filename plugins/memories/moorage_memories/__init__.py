"""Memories: what people and models keep, found again by words and by meaning: the `memories` plugin."""
