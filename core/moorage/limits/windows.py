"""Moving windows in memory: exact, synchronous, and bounded whatever the number of addresses.

The decisions are those of the moving-window strategy of the `limits` library. Its own memory storage for asyncio has
no bound, and each of its sweeps hands every key to a thread: 60 000 addresses keep two thirds of a core busy.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from math import ceil

from limits import RateLimitItem

from moorage.limits.state import UNLIMITED, LimitState

MAX_KEYS = 65_536
MAX_HITS = 1_000_000


class MovingWindow:
    """The hits of many keys under one limit. When it is full, the keys unused for longest are forgotten."""

    def __init__(
        self,
        item: RateLimitItem,
        *,
        max_keys: int = MAX_KEYS,
        max_hits: int = MAX_HITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = item.amount
        self.seconds = item.get_expiry()
        self.clock = clock
        self._max_keys, self._max_hits = max_keys, max_hits
        self._hits: OrderedDict[str, deque[float]] = OrderedDict()
        self._total = 0
        self._stale_at = 0.0  # No key's hits are over before.

    def __len__(self) -> int:
        return len(self._hits)

    @property
    def total(self) -> int:
        """How many hits are remembered over all keys."""
        return self._total

    def peek(self, key: str, now: float) -> deque[float]:
        """The key's hits in the window that ends now, oldest first."""
        hits = self._hits.get(key)
        if hits is None:
            return deque()
        start = now - self.seconds
        while hits and hits[0] < start:
            hits.popleft()
            self._total -= 1
        return hits

    def add(self, key: str, hits: deque[float], now: float) -> None:
        """Remember one more hit; `hits` is what `peek` gave for the key."""
        hits.append(now)
        self._total += 1
        table = self._hits
        if key in table:
            table.move_to_end(key)
        else:
            table[key] = hits
        if now > self._stale_at or self._total > self._max_hits or len(table) > self._max_keys:
            self._shrink(now)

    def touch(self, key: str) -> None:
        """A refused key stays: it must not be forgotten because others are many."""
        if key in self._hits:
            self._hits.move_to_end(key)

    def _shrink(self, now: float) -> None:
        """Forget the key that was unused for longest if its hits are over, and as many as the bounds ask for."""
        table = self._hits
        oldest = next(iter(table))
        hits = table[oldest]
        over = hits[-1] + self.seconds if hits else 0.0
        if over >= now and len(table) <= self._max_keys and self._total <= self._max_hits:
            self._stale_at = over
            return
        del table[oldest]
        self._total -= len(hits)
        while table and (len(table) > self._max_keys or self._total > self._max_hits):
            _, hits = table.popitem(last=False)
            self._total -= len(hits)


Check = tuple[MovingWindow, str]


def hit(checks: Sequence[Check], *, wall: Callable[[], float] = time.time) -> LimitState:
    """Count one request in all windows, or in none if one of them is full."""
    if not checks:
        return UNLIMITED
    now = checks[0][0].clock()
    found = []
    for window, key in checks:
        hits = window.peek(key, now)
        if len(hits) >= window.limit:
            window.touch(key)
            wait = hits[0] + window.seconds - now if hits else float(window.seconds)
            return LimitState(False, window.limit, 0, ceil(wall() + wait), max(1, ceil(wait)))
        found.append((window, key, hits))
    nearest: MovingWindow | None = None
    least, first = 0, now
    for window, key, hits in found:
        window.add(key, hits, now)
        remaining = window.limit - len(hits)
        if nearest is None or remaining < least:
            nearest, least, first = window, remaining, hits[0]
    assert nearest is not None
    return LimitState(True, nearest.limit, least, ceil(wall() + first + nearest.seconds - now), 0)
