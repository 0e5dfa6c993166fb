"""Engines of speech: the interface, and those that run in worker processes. Nothing here imports much."""
