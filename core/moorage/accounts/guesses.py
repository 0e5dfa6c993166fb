"""Wrong guesses of short codes: so many in a window of time, then none is looked at until it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from tortoise.exceptions import IntegrityError
from tortoise.expressions import F

from moorage.accounts.attempts import network
from moorage.accounts.models import AuthAttempt
from moorage.accounts.shared import Shared
from moorage.errors import TooManyRequests

WINDOW = timedelta(minutes=10)


class Guesses:
    """Counts of one `kind`, per user and per client's network, in the database: a restart forgives nothing.

    A row's `last_at` is the beginning of its window, and `failures` what was wrong in it.
    """

    def __init__(self, shared: Shared, kind: str, *, allowed: int) -> None:
        self._shared = shared
        self._kind = kind
        self._allowed = allowed

    async def check(self, address: str, user_id: int | None = None) -> None:
        """TooManyRequests while a window is full."""
        now = self._shared.now()
        keys = self._keys(address, user_id)
        full = await AuthAttempt.filter(key__in=keys, failures__gte=self._allowed, last_at__gt=now - WINDOW)
        if full:
            self._refuse(max(row.last_at for row in full), now)

    async def wrong(self, address: str, user_id: int | None = None) -> None:
        """Count a wrong guess."""
        keys = self._keys(address, user_id)
        for _ in range(3):
            try:
                async with self._shared.db.transaction():
                    await self._count(keys)
                return
            except IntegrityError:
                # Another server made the row first.
                continue

    async def _count(self, keys: Sequence[str]) -> None:
        now = self._shared.now()
        for key in keys:
            if await AuthAttempt.filter(key=key, last_at__gt=now - WINDOW).update(failures=F("failures") + 1):
                continue
            # Only one that is over begins anew: another request may have begun one just now.
            if not await AuthAttempt.filter(key=key, last_at__lte=now - WINDOW).update(failures=1, last_at=now):
                await AuthAttempt.create(key=key, failures=1, last_at=now)

    def _keys(self, address: str, user_id: int | None) -> list[str]:
        # In one order everywhere, so that two of these cannot wait for each other.
        found = [f"{self._kind}:address:{network(address)}"[:80]]
        return found if user_id is None else [*found, f"{self._kind}:user:{user_id}"]

    def _refuse(self, began: datetime, now: datetime) -> None:
        seconds = ceil((began + WINDOW - now).total_seconds())
        raise TooManyRequests("Too many wrong codes; try again later", retry_after=seconds)
