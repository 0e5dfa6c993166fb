"""A provider's turns: so many answers at once, and a bounded queue behind them, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque

from moorage_chat.providers.base import ErrorCode, ProviderError


class Turns:
    """The turns of one provider. parallel: how many at once; queue: how many may wait."""

    def __init__(self, parallel: int, queue: int) -> None:
        self._parallel, self._queue = parallel, queue
        self.running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether the next one has to wait."""
        return self.running >= self._parallel

    @property
    def full(self) -> bool:
        """Whether the next one is refused."""
        return self.busy and self.waiting >= self._queue

    async def take(self) -> None:
        """Wait for a turn, which must be given back. ProviderError when too many wait."""
        if not self.busy:
            self.running += 1
            self._ended.clear()
            return
        if self.full:
            raise ProviderError(ErrorCode.RATE_LIMITED, f"{self.waiting} wait for their turn already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # It was given the turn in the moment in which it was cancelled.
                self.give_back()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    async def ended(self) -> None:
        """Wait until no turn is taken."""
        await self._ended.wait()

    def give_back(self) -> None:
        """End a turn: the one that waits longest has the next."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                # The turn is handed over, so that nobody who comes now goes before those that wait.
                turn.set_result(None)
                return
        self.running -= 1
        if self.running == 0:
            self._ended.set()
