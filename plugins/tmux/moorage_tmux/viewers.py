"""One viewer's socket as the fan-out sees it: take a message now, or fall behind and catch up by a snapshot."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

DRAIN_TIMEOUT = 30.0
RESYNC_INTERVAL = 0.25
MAX_KEPT = 256 * 1024
"""Characters of messages that are kept for a viewer who lags; one for whom there are more is given up."""


class Outlet(Protocol):
    """What is needed of a socket: never waits in `post`, bounds what it keeps."""

    @property
    def pending(self) -> int:
        """Bytes posted and not yet taken by the transport."""
        ...

    @property
    def closed(self) -> bool:
        """True once either side closed."""
        ...

    def post(self, data: str | bytes) -> bool:
        """Send without waiting; False when the message was dropped."""
        ...

    async def wait_drained(self, timeout: float | None = None) -> None:
        """Wait until nothing is pending; TimeoutError."""
        ...


Spawn = Callable[[Coroutine[Any, Any, None], str], object]


class Viewer:
    """A socket that output is posted to.

    limit: pending bytes beyond which the viewer counts as lagging: it is then sent nothing until its socket has
    drained, and `on_recovered` is called to send it the present state. on_lag: called when it falls behind.
    on_given_up: called when it lags for so long that not even what must not be lost can be kept for it.
    """

    def __init__(
        self,
        outlet: Outlet,
        *,
        limit: int,
        spawn: Spawn,
        on_recovered: Callable[[], None],
        on_lag: Callable[[], None] = lambda: None,
        on_given_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.lagging = False
        self._kept: deque[str] = deque()
        self._kept_size = 0
        self._on_given_up = on_given_up
        self._on_lag = on_lag
        self._again = False
        self._outlet = outlet
        self._limit = limit
        self._spawn = spawn
        self._on_recovered = on_recovered

    def post(self, text: str) -> bool:
        """Hand over a message. False when it, or one before it, was dropped: a snapshot will follow."""
        if self.lagging:
            return False
        kept = self._outlet.post(text)
        if kept and self._outlet.pending <= self._limit:
            return True
        self._lag()
        return kept

    def tell(self, text: str) -> None:
        """Hand over a message that no snapshot makes up for: it is kept for a viewer who lags."""
        if not self.lagging:
            sent = self._outlet.post(text)
            if not sent or self._outlet.pending > self._limit:
                self._lag()
            if sent:
                return
        if self._outlet.closed:
            return
        self._kept.append(text)
        self._kept_size += len(text)
        if self._kept_size > MAX_KEPT:
            self._kept.clear()
            self._kept_size = 0
            self._on_given_up()

    def _lag(self) -> None:
        if self.lagging or self._outlet.closed:
            return
        self.lagging = True
        self._on_lag()
        self._spawn(self._recover(), "viewer-recovery")

    async def _recover(self) -> None:
        """Wait for the socket to drain. A viewer that reads very slowly is not resynchronised without pause."""
        await asyncio.sleep(RESYNC_INTERVAL if self._again else 0)
        self._again = True
        while not self._outlet.closed:
            try:
                await self._outlet.wait_drained(DRAIN_TIMEOUT)
            except TimeoutError:
                continue
            break
        self.lagging = False
        kept, self._kept, self._kept_size = self._kept, deque(), 0
        for text in kept:
            self.tell(text)
        if not self._outlet.closed and not self.lagging:
            self._on_recovered()
