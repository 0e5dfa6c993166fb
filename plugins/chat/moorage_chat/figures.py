"""The plugin's metrics."""

from __future__ import annotations

from moorage.api import Hub

BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0)
CONVERSATION, COMPLETION = "chat", "v1"
"""What an answer is for: a conversation, or a client of `/v1`."""


class Figures:
    """How many answers there were, how they ended, how long they took and what they cost."""

    def __init__(self, hub: Hub) -> None:
        self._running = hub.metrics.gauge("running", "Answers under way on this server", ["surface"])
        self._ended = hub.metrics.counter(
            "generations_total", "Answers that ended", ["surface", "provider", "status", "error"]
        )
        self._tokens = hub.metrics.counter("tokens_total", "Tokens that were used", ["provider", "direction"])
        self._first = hub.metrics.histogram(
            "first_token_seconds", "From the start until the answer began", ["provider"], buckets=BUCKETS
        )
        self._seconds = hub.metrics.histogram(
            "generation_seconds", "From the start of an answer until its end", ["provider"], buckets=BUCKETS
        )
        self._refused = hub.metrics.counter("refused_total", "Answers that a limit refused", ["limit"])

    def began(self, surface: str) -> None:
        """One is let in."""
        self._running.labels(surface).inc()

    def first(self, provider: str, seconds: float) -> None:
        """Its first piece came."""
        self._first.labels(provider).observe(seconds)

    def ended(
        self, surface: str, provider: str, status: str, seconds: float, *, error: str = "", tokens: tuple[int, int]
    ) -> None:
        """It is over. status: ok, error, canceled, interrupted. error: its code. tokens: asked, answered."""
        self._running.labels(surface).dec()
        self._ended.labels(surface, provider, status, error).inc()
        self._seconds.labels(provider).observe(seconds)
        self._tokens.labels(provider, "prompt").inc(tokens[0])
        self._tokens.labels(provider, "completion").inc(tokens[1])

    def refused(self, limit: str) -> None:
        """A limit refused one: messages_per_day, tokens_per_day or running."""
        self._refused.labels(limit).inc()
