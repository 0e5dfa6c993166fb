"""How many calls in the last minute: sliding windows in memory, bounded whatever the number of keys.

An estimate from two fixed windows (the last one counts by the part of it that is still in the window), so that a key
costs three numbers however often it calls. The core's windows keep every hit; a minute here may have a million.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from math import ceil

MAX_KEYS = 65_536
SECONDS = 60.0

Check = tuple[Hashable, int]
"""(what is counted, how many of it in a minute)."""


class Windows:
    """Counts calls by key. The keys that were unused for longest are forgotten when there are too many.

    forgotten: told of each key that was forgotten while it still counted: then more calls get through than allowed.
    """

    def __init__(
        self,
        *,
        max_keys: int = MAX_KEYS,
        clock: Callable[[], float] = time.monotonic,
        forgotten: Callable[[], None] = lambda: None,
    ) -> None:
        self._max_keys, self._clock, self._forgotten = max_keys, clock, forgotten
        self._counts: OrderedDict[Hashable, tuple[int, int, int]] = OrderedDict()
        """By key: which window, its count, the count of the one before."""

    def __len__(self) -> int:
        return len(self._counts)

    def hit(self, checks: Sequence[Check]) -> int:
        """Count a call under every key, or under none if one of them is at its limit.

        Answers 0, or the whole seconds after which the call would be let through.
        """
        now = self._clock()
        window, part = int(now // SECONDS), (now % SECONDS) / SECONDS
        found = []
        for key, most in checks:
            count, last = self._of(key, window)
            if count + last * (1 - part) + 1 > most:
                return _wait(most, count, last, part)
            found.append((key, count, last))
        for key, count, last in found:
            self._counts[key] = (window, count + 1, last)
            self._counts.move_to_end(key)
        self._shrink(window)
        return 0

    def _of(self, key: Hashable, window: int) -> tuple[int, int]:
        kept = self._counts.get(key)
        if kept is None or window - kept[0] > 1:
            return 0, 0
        return (kept[1], kept[2]) if kept[0] == window else (0, kept[1])

    def _shrink(self, window: int) -> None:
        while len(self._counts) > self._max_keys:
            _, (at, _, _) = self._counts.popitem(last=False)
            if window - at <= 1:
                self._forgotten()


def _wait(most: int, count: int, last: int, part: float) -> int:
    """Seconds until another call fits: in this window as the last one leaves it, else in the next."""
    if most < 1:
        return ceil(SECONDS)
    if count + 1 <= most and last:
        until = 1 - (most - 1 - count) / last
        return max(1, ceil((until - part) * SECONDS))
    until = 1 + max(0.0, 1 - (most - 1) / count)
    return max(1, ceil((until - part) * SECONDS))
