"""How many calls in the last minute: moving windows in memory, exact, and bounded whatever the number of keys."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from math import ceil

MAX_KEYS = 65_536
MAX_HITS = 500_000
"""Remembered over all keys."""
SECONDS = 60.0

Check = tuple[Hashable, int]
"""(what is counted, how many of it in a minute)."""


class Windows:
    """Counts calls by key. The keys that were unused for longest are forgotten when there is too much to remember.

    forgotten: told of each key that was forgotten while it still counted: then more calls get through than allowed.
    """

    def __init__(
        self,
        *,
        max_keys: int = MAX_KEYS,
        max_hits: int = MAX_HITS,
        clock: Callable[[], float] = time.monotonic,
        forgotten: Callable[[], None] = lambda: None,
    ) -> None:
        self._max_keys, self._max_hits, self._clock, self._forgotten = max_keys, max_hits, clock, forgotten
        self._hits: OrderedDict[Hashable, deque[float]] = OrderedDict()
        self._total = 0

    def __len__(self) -> int:
        return len(self._hits)

    def hit(self, checks: Sequence[Check]) -> int:
        """Count a call under every key, or under none if one of them is at its limit.

        Answers 0, or the whole seconds after which the call would be let through.
        """
        now = self._clock()
        for key, most in checks:
            hits = self._since(key, now - SECONDS)
            if len(hits) >= most:
                return max(1, ceil((hits[0] + SECONDS - now) if hits else SECONDS))
        for key, _ in checks:
            self._hits.setdefault(key, deque()).append(now)
            self._hits.move_to_end(key)
        self._total += len(checks)
        self._shrink(now - SECONDS)
        return 0

    def _since(self, key: Hashable, start: float) -> Sequence[float]:
        hits = self._hits.get(key)
        if hits is None:
            return ()
        while hits and hits[0] <= start:
            hits.popleft()
            self._total -= 1
        return hits

    def _shrink(self, start: float) -> None:
        """Forget a key whose hits are all over, and as many as the bounds ask for."""
        while self._hits:
            hits = next(iter(self._hits.values()))
            over = not hits or hits[-1] <= start
            if not over and len(self._hits) <= self._max_keys and self._total <= self._max_hits:
                return
            self._hits.popitem(last=False)
            self._total -= len(hits)
            if not over:
                self._forgotten()
