"""How many sessions there may be, and may run: room is made by stopping what nobody uses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from moorage.api import Conflict, MoorageError

from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.records import Entry, Records


class Room:
    """Admits sessions, once it is opened."""

    def __init__(self, config: OpenCodeConfig, records: Records) -> None:
        self._config, self._records = config, records
        self._made: dict[str, int] = {}
        self._starting: dict[str, int] = {}
        self._turn = asyncio.Lock()

    def open(self, *, stop: Callable[[Entry], Awaitable[None]], busy: Callable[[Entry], Awaitable[bool]]) -> None:
        """stop: stops one to make room for another. busy: whether its agent is at work, though no person is."""
        self._stop, self._busy = stop, busy

    @asynccontextmanager
    async def to_keep(self, pid: str, user_id: int) -> AsyncIterator[None]:
        """Around the making of a session: Conflict when the user has as many as they may."""
        most = self._config.max_sessions_per_user
        making = sum(1 for other, owner in self._made.items() if owner == user_id and not self._records.get(other))
        if len(self._records.of(user_id)) + making >= most:
            raise Conflict(f"You have {most} sessions, which is as many as are allowed: delete one first")
        self._made[pid] = user_id
        try:
            yield
        finally:
            self._made.pop(pid, None)

    @asynccontextmanager
    async def to_run(self, pid: str, user_id: int) -> AsyncIterator[None]:
        """Around what makes a session one that runs. Conflict when too many do and none of them is idle.

        Inside, its place is kept; at the end its own status must say that it takes one.
        """
        async with self._turn:
            await self._make(pid, user_id)
            self._starting[pid] = user_id
        try:
            yield
        finally:
            self._starting.pop(pid, None)

    async def _make(self, pid: str, user_id: int) -> None:
        tried: set[str] = set()
        for owner, most in ((user_id, self._config.max_running_per_user), (None, self._config.max_running)):
            while self._count(pid, owner) >= most:
                idle = [
                    entry
                    for entry in self._records
                    if entry.idle(self._config.idle_seconds)
                    and entry.live.pid not in tried
                    and owner in (None, entry.live.user_id)
                ]
                if not idle:
                    raise Conflict(f"active sessions at limit ({most}); no idle sessions available to stop")
                oldest = min(idle, key=lambda entry: entry.used_at)
                tried.add(oldest.live.pid)
                if not await self._busy(oldest):
                    with contextlib.suppress(MoorageError):  # Then it goes on, and another one is tried.
                        await self._stop(oldest)

    def _count(self, but: str, owner: int | None) -> int:
        """How many run, or are about to, of a user or of all."""
        taken = {pid: user for pid, user in self._starting.items() if pid != but}
        taken |= {
            entry.live.pid: entry.live.user_id for entry in self._records if entry.active and entry.live.pid != but
        }
        return sum(1 for user in taken.values() if owner in (None, user))
