"""One viewer's socket as the fan-out sees it: take a message now, or fall behind and catch up by a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

DRAIN_TIMEOUT = 30.0
RESYNC_INTERVAL = 0.25


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
    """

    def __init__(
        self,
        outlet: Outlet,
        *,
        limit: int,
        spawn: Spawn,
        on_recovered: Callable[[], None],
        on_lag: Callable[[], None] = lambda: None,
    ) -> None:
        self.lagging = False
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
        if not self._outlet.closed:
            self.lagging = True
            self._on_lag()
            self._spawn(self._recover(), "viewer-recovery")
        return kept

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
        if not self._outlet.closed:
            self._on_recovered()
