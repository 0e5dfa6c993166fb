"""The plugin's metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from moorage.api import Hub, MoorageError

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Figures:
    """How many memories were added, changed and deleted, and how long reading, writing and searching took."""

    def __init__(self, hub: Hub) -> None:
        self._written = hub.metrics.counter("written_total", "Memories that were added, changed or deleted", ["work"])
        self._failed = hub.metrics.counter("failed_total", "What was refused or could not be done", ["work", "code"])
        self._seconds = hub.metrics.histogram(
            "seconds", "How long the place of memories took", ["work"], buckets=BUCKETS
        )
        self._searches = hub.metrics.counter("searches_total", "Searches, by how was searched", ["mode"])

    @contextmanager
    def timed(self, work: str) -> Iterator[None]:
        """Measure a piece of work: page, get, search, add, change, delete."""
        started = time.perf_counter()
        try:
            yield
        except MoorageError as error:
            self._failed.labels(work, error.error_code).inc()
            raise
        self._seconds.labels(work).observe(time.perf_counter() - started)

    def written(self, work: str, count: int = 1) -> None:
        """So many were added, changed or deleted."""
        self._written.labels(work).inc(count)

    def searched(self, mode: str) -> None:
        """A search was answered. mode: how was searched."""
        self._searches.labels(mode).inc()
