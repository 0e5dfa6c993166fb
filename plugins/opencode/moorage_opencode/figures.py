"""The plugin's metrics."""

from __future__ import annotations

from moorage.api import Hub

from moorage_opencode.records import Records

BUCKETS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0)


class Figures:
    """How many sessions there are, how long they take to start, how many did not."""

    def __init__(self, hub: Hub) -> None:
        self._sessions = hub.metrics.gauge("sessions", "Sessions, by status", ["status"])
        self._seconds = hub.metrics.histogram(
            "session_start_seconds", "From being asked to start until it can be used", ["runtime"], buckets=BUCKETS
        )
        self._failed = hub.metrics.counter("session_start_failures_total", "Starts that failed", ["runtime"])

    def count(self, records: Records) -> None:
        """The sessions as they are now."""
        for status, number in records.counts().items():
            self._sessions.labels(status).set(number)

    def started(self, runtime: str, seconds: float) -> None:
        """One became ready."""
        self._seconds.labels(runtime).observe(seconds)

    def failed(self, runtime: str) -> None:
        """One did not."""
        self._failed.labels(runtime).inc()
