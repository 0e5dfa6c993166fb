"""The last quarter of an hour of the server itself, in figures: kept in memory, for the console's plots."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from typing_extensions import TypedDict

from moorage.observe.metrics import LoopHistogram

EVERY = 5.0
"""Seconds between two samples."""
KEPT = 180
"""Samples: a quarter of an hour."""


class Sample(TypedDict):
    """Five seconds. at: their end, ISO 8601 in UTC with milliseconds.

    requests: answered within them, of these client_errors (4xx but 429), limited (429) and server_errors (5xx).
    p50, p99: seconds that answers took, null without any (upper bounds, from buckets). cpu_percent: of one core.
    connections: open sockets and streams; users: who hold them. lag: seconds by which the event loop is late.
    plugins: requests by plugin.
    """

    at: str
    requests: int
    client_errors: int
    limited: int
    server_errors: int
    p50: float | None
    p99: float | None
    cpu_percent: float
    rss_bytes: int | None
    connections: int
    users: int
    lag: float
    plugins: dict[str, int]


@dataclass(frozen=True, slots=True)
class Now:
    """What is asked at each sample. cpu: seconds of processor time since the start."""

    cpu: float
    rss_bytes: int | None
    connections: int
    users: int
    lag: float


class History:
    """Takes samples while `run` does. seconds: `http_request_seconds`, with plugin and status among its labels."""

    def __init__(self, seconds: LoopHistogram, now: Callable[[], Now]) -> None:
        self._seconds, self._now = seconds, now
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._cpu, self._at = 0.0, time.monotonic()

    def samples(self, since: str = "") -> list[Sample]:
        """The samples after `since`, an `at`; the oldest first."""
        return [one for one in self._samples if one["at"] > since]

    async def run(self, every: float = EVERY) -> None:
        """Sample for ever."""
        self.sample()
        self._samples.clear()  # The first one would count from the start of the server.
        while True:
            await asyncio.sleep(every)
            self.sample()

    def sample(self) -> None:
        """Take one, of what was counted since the one before."""
        buckets = [0] * (len(self._seconds.bounds) + 1)
        statuses: Counter[str] = Counter()
        plugins: Counter[str] = Counter()
        for labels, counts in self._seconds.counts():
            before = self._counts.get(labels)
            fresh = counts if before is None else [new - old for new, old in zip(counts, before, strict=True)]
            self._counts[labels] = list(counts)
            if not (total := sum(fresh)):
                continue
            plugin, _, _, status = labels
            plugins[plugin] += total
            statuses["429" if status == "429" else status[:1]] += total
            buckets = [one + more for one, more in zip(buckets, fresh, strict=True)]
        now, at = self._now(), time.monotonic()
        passed, used = at - self._at, now.cpu - self._cpu
        self._cpu, self._at = now.cpu, at
        self._samples.append(
            {
                "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
                "requests": sum(buckets),
                "client_errors": statuses["4"],
                "limited": statuses["429"],
                "server_errors": statuses["5"],
                "p50": quantile(self._seconds.bounds, buckets, 0.5),
                "p99": quantile(self._seconds.bounds, buckets, 0.99),
                "cpu_percent": round(100 * used / passed, 1) if passed > 0 else 0.0,
                "rss_bytes": now.rss_bytes,
                "connections": now.connections,
                "users": now.users,
                "lag": round(now.lag, 6),
                "plugins": dict(plugins),
            }
        )


def quantile(bounds: tuple[float, ...], counts: list[int], part: float) -> float | None:
    """The bucket's upper bound under which `part` of the counts are; of the last one, the highest bound."""
    total = sum(counts)
    if not total:
        return None
    upto = itertools.accumulate(counts)
    place = next(index for index, reached in enumerate(upto) if reached >= part * total)
    return bounds[min(place, len(bounds) - 1)]
