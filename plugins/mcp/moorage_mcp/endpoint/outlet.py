"""Streams of a session whose events are kept for a while, so that a client that was cut off can take up the rest.

Source: MCP 2025-11-25, Transports, Resumability and Redelivery. An event's id names its stream and its number in it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from moorage_mcp.wire import sse

MAX_BYTES = 1 << 20
"""Bytes of events that are kept for one session; the oldest are let go."""
MAX_OUTLETS = 64
"""Streams of a session that are remembered, those that have ended included."""
MAX_FOLLOWED = 8
"""Streams of one session for what belongs to no request, open at once."""


class Outlet:
    """One stream. own: for what belongs to no request. primed: its clients know events without data."""

    def __init__(self, store: Outlets, name: str, *, primed: bool, own: bool) -> None:
        self.name, self.primed, self.own = name, primed, own
        self.ended = False
        self.readers = 0
        self.sent = 0
        self.events: deque[tuple[int, bytes]] = deque()
        self._store = store
        self._number = 0
        self._news = asyncio.Event()

    def prime(self) -> bytes:
        """An event that brings nothing but an id: from here on it can be taken up again."""
        return sse.encode(b"", id=f"{self.name}.{self._number}")

    def add(self, data: bytes) -> bytes:
        """Keep an event; what is to be sent."""
        self._number += 1
        event = sse.encode(data, kind="message", id=f"{self.name}.{self._number}")
        self.events.append((self._number, event))
        self._store.grow(len(event))
        self._news.set()
        return event

    def end(self) -> None:
        """There is no more to come."""
        self.ended = True
        self._news.set()

    def knows(self, number: int) -> bool:
        """Whether everything after that number is still here."""
        first = self.events[0][0] if self.events else self._number + 1
        return first - 1 <= number <= self._number

    async def follow(self, number: int) -> list[tuple[int, bytes]]:
        """The events after that number, as soon as there are any; none when it has ended."""
        while True:
            found = [(n, event) for n, event in self.events if n > number]
            if found or self.ended:
                return found
            self._news.clear()
            await self._news.wait()


class Outlets:
    """All streams of one session, bounded."""

    def __init__(self, *, primed: bool) -> None:
        self._primed = primed
        self._all: OrderedDict[str, Outlet] = OrderedDict()
        self._size = 0
        self._serial = 0

    def new(self, *, own: bool = False) -> Outlet:
        """A stream."""
        self._serial += 1
        outlet = Outlet(self, f"{'g' if own else 'p'}{self._serial}", primed=self._primed, own=own)
        self._all[outlet.name] = outlet
        if len(self._all) > MAX_OUTLETS:
            self._let_go()
        return outlet

    def find(self, event_id: str) -> tuple[Outlet, int] | None:
        """The stream and the number that an event's id names; None if it is not here, or not whole any more."""
        name, _, number = event_id.partition(".")
        outlet = self._all.get(name)
        if outlet is None or not (number.isascii() and number.isdigit() and len(number) < 12):
            return None
        return (outlet, int(number)) if outlet.knows(int(number)) else None

    def following(self) -> list[Outlet]:
        """Streams for what belongs to no request, the newest last."""
        return [outlet for outlet in self._all.values() if outlet.own]

    def tell(self, data: bytes) -> None:
        """Say what belongs to no request, on one stream: the newest that is read, or the next that will be."""
        own = self.following() or [self.new(own=True)]
        next((one for one in reversed(own) if one.readers), own[-1]).add(data)

    def take(self) -> Outlet:
        """A stream for who comes without saying what it has had: the newest that nobody reads, else a new one."""
        left = [one for one in self.following() if not one.readers]
        return left[-1] if left else self.new(own=True)

    def grow(self, size: int) -> None:
        """So many bytes more are kept; the oldest go when there are too many."""
        self._size += size
        while self._size > MAX_BYTES:
            # Streams that have ended first: what is under way is what somebody waits for.
            kept = (one for one in self._all.values() if one.events)
            if (oldest := min(kept, key=lambda one: not one.ended, default=None)) is None:
                self._size = 0  # The session has ended meanwhile.
                return
            self._size -= len(oldest.events.popleft()[1])

    def end(self) -> None:
        """The session is over."""
        for outlet in self._all.values():
            outlet.end()
        self._all.clear()

    def _let_go(self) -> None:
        idle = [one for one in self._all.values() if one.ended or (one.own and not one.readers)]
        if idle:
            del self._all[idle[0].name]
            self._size -= sum(len(event) for _, event in idle[0].events)
