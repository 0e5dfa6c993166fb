"""Sentences as vectors. The model runs in a worker process, so nothing here imports much."""
