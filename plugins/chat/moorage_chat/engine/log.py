"""The event log of one generation: numbered events in memory, for any number of followers, each at its own place."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from moorage_chat.records import Event

KEPT = 2000
"""Events that stay in memory once they are written down; older ones are read from the database."""

PING, DELTA, REASONING, USAGE, ERROR, DONE = "ping", "delta", "reasoning", "usage", "error", "done"
TOOL_CALL, TOOL_RESULT, STATUS = "tool_call", "tool_result", "status"


class EventLog:
    """Events in their order; the last is `done`. Used from the event loop.

    written: the number up to which they are in the database. unwritable: what is left of them cannot be stored there.
    """

    def __init__(self) -> None:
        self.last = self.written = 0
        self.ended = self.unwritable = False
        self._first = 1
        self._events: list[Event] = []
        self._waiters: set[asyncio.Future[None]] = set()

    def add(self, type: str, data: Mapping[str, Any]) -> Event:
        """Append an event, and wake who waits for it."""
        self.last += 1
        event = Event(self.last, type, data)
        self._events.append(event)
        if type == DONE:
            self.ended = True
        if self._waiters:
            self.wake()
        return event

    def wake(self) -> None:
        """Let all who wait look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def since(self, after: int, most: int | None = None) -> list[Event] | None:
        """The events after that number, `most` at once; None when some of them are only in the database any more."""
        start = after + 1 - self._first
        if start < 0:
            return None
        return self._events[start:] if most is None else self._events[start : start + most]

    def unwritten(self) -> list[Event]:
        """What is not in the database yet: always in memory."""
        return self._events[self.written + 1 - self._first :]

    def wrote(self, seq: int) -> None:
        """All up to that number is in the database: what is old may leave the memory."""
        self.written = max(self.written, seq)
        surplus = min(self.written + 1 - self._first, len(self._events) - KEPT)
        if surplus >= KEPT // 2:
            del self._events[:surplus]
            self._first += surplus

    async def news(self, after: int, timeout: float) -> None:
        """Return once there is an event after that number, or `timeout` seconds have passed."""
        if self.last > after or timeout <= 0:
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.add(waiter)
        timer = loop.call_later(timeout, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiters.discard(waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
