"""When credentials were last used: noted in memory on the request, written by the sweep."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

WRITE_EVERY = 60.0
"""Seconds between two writes for one credential."""
MAX_PENDING = 20_000
BATCH = 500
"""Ids per statement; SQLite takes at most 999 values in one."""


class Touches:
    """Uses of one kind of credential, by row id, that the database does not know yet."""

    def __init__(self, every: float) -> None:
        self._every = timedelta(seconds=every)
        self._pending: dict[int, datetime] = {}

    def note(self, row_id: int, stored: datetime | None, at: datetime) -> None:
        """Remember a use, unless `stored` (what the database says) is recent enough."""
        if stored is None or at - stored >= self._every:
            if row_id not in self._pending and len(self._pending) >= MAX_PENDING:
                return
            self._pending[row_id] = at

    def latest(self, row_id: int, stored: datetime | None) -> datetime | None:
        """The last use, whether or not it is written yet."""
        pending = self._pending.get(row_id)
        if pending is None or (stored is not None and stored > pending):
            return stored
        return pending

    def take(self) -> Iterator[tuple[list[int], datetime]]:
        """Empty it, as batches of ids and the time to write for them (the latest of the batch)."""
        pending, self._pending = sorted(self._pending.items(), key=lambda item: item[1]), {}
        for start in range(0, len(pending), BATCH):
            batch = pending[start : start + BATCH]
            yield [row_id for row_id, _ in batch], batch[-1][1]
