"""Calls that change one thing, one after another; calls for other things do not wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class _Turn:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.takers = 0


class Turns:
    """A lock per name, kept only while somebody holds or awaits it."""

    def __init__(self) -> None:
        self._all: dict[str, _Turn] = {}

    def __len__(self) -> int:
        return len(self._all)

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Wait for the turn of a name, and hold it within the context. In the order of asking."""
        turn = self._all.setdefault(name, _Turn())
        turn.takers += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.takers -= 1
            if not turn.takers:
                del self._all[name]
