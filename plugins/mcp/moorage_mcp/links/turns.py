"""Turns: how many programs are started at once, all together and of one user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

AT_ONCE = 16
"""A start is nearly all computing: a hundred at once would all be slow, and end by their time-out."""
OF_ONE_USER = 4
"""Programs that hang keep their turns until their time-out; nobody else waits for them."""


@dataclass(slots=True)
class _Line:
    """One user's. count: of those who have a turn or wait for one."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OF_ONE_USER))
    count: int = 0


class Turns:
    """Let starts wait for their turn, in the order in which they came."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(AT_ONCE)
        self._lines: dict[int, _Line] = {}

    @asynccontextmanager
    async def take(self, user_id: int) -> AsyncIterator[None]:
        """Around a start."""
        line = self._lines.setdefault(user_id, _Line())
        line.count += 1
        try:
            async with line.turns, self._all:
                yield
        finally:
            line.count -= 1
            if not line.count:
                del self._lines[user_id]
