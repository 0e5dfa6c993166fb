"""The answer to one request: plain JSON, or an event stream as soon as something else is to be said before it.

Where nothing is streamed JSON costs a third less. A call that takes long becomes a stream too, so that nothing on the
way takes the connection for dead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from moorage.api import Exchange, MoorageError, TaskSupervisor

from moorage_mcp.endpoint.outlet import Outlet
from moorage_mcp.endpoint.reading import JSON, STREAM
from moorage_mcp.wire import jsonrpc, sse

SOON = 5.0
"""Seconds after which an answer that has not come becomes a stream."""
KEEP_ALIVE = 15.0
"""Seconds between comments on a stream that is silent."""


class Pulse:
    """Keeps streams alive, by one timer for all: looked at once a second while there are any."""

    STEP = 1.0

    def __init__(self, tasks: TaskSupervisor) -> None:
        self._tasks = tasks
        self._due: dict[Reply, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, reply: Reply, seconds: float) -> None:
        """Call `reply.pulse()` in so many seconds."""
        self._due[reply] = monotonic() + seconds
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.STEP, self._look)

    def forget(self, reply: Reply) -> None:
        """No more."""
        self._due.pop(reply, None)

    def _look(self) -> None:
        now = monotonic()
        for reply in [reply for reply, at in self._due.items() if at <= now]:
            del self._due[reply]
            self._tasks.spawn(reply.pulse(), "pulse")
        self._timer = asyncio.get_running_loop().call_later(self.STEP, self._look) if self._due else None

    def close(self) -> None:
        """The plugin ends."""
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()


class Reply:
    """One answer. outlet: makes what events are kept in, so that a client that was cut off gets the rest of them."""

    def __init__(
        self,
        exchange: Exchange,
        pulse: Pulse,
        *,
        outlet: Callable[[], Outlet] | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.exchange, self._pulse, self._headers = exchange, pulse, headers
        self._new_outlet = outlet
        self._outlet: Outlet | None = None
        self._lock: asyncio.Lock | None = None
        self._begun = self._done = False
        pulse.watch(self, SOON)

    async def say(self, message: Mapping[str, Any]) -> None:
        """Send an event. MoorageError when no stream may be begun."""
        data = jsonrpc.encode(message)
        async with self._turn():
            if not self._done:
                await self._begin()
                await self._event(data)

    async def finish(self, message: Mapping[str, Any], status: int = 200) -> None:
        """Send the result or the error. status: for the case that it is the whole answer."""
        data = jsonrpc.encode(message)
        if self._lock is None:
            self._done = True
            self._pulse.forget(self)
            if not self.exchange.left:
                await self.exchange.answer(status, (JSON, *self._headers), data)
            return
        async with self._lock:
            self._done = True
            self._pulse.forget(self)
            if self._begun:
                await self._event(data)
                self._end()
            elif not self.exchange.left:
                await self.exchange.answer(status, (JSON, *self._headers), data)

    async def silence(self) -> None:
        """End without an answer: the request was cancelled."""
        async with self._turn():
            self._done = True
            self._pulse.forget(self)
            if not self._begun and not self.exchange.left:
                await self.exchange.answer(200, (*STREAM, *self._headers))
            self._end()

    def drop(self) -> None:
        """It comes to nothing more: the handler is being cancelled."""
        self._done = True
        self._pulse.forget(self)
        self._end()

    async def pulse(self) -> None:
        """Show a sign of life."""
        async with self._turn():
            if self._done or self.exchange.left:
                return
            try:
                await self._begin()
                await self.exchange.write(sse.KEEP_ALIVE)
            except MoorageError:
                return  # Too many streams: the answer has until the deadline.
        self._pulse.watch(self, KEEP_ALIVE)

    def _turn(self) -> asyncio.Lock:
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    async def _begin(self) -> None:
        if self._begun:
            return
        await self.exchange.begin(200, (*STREAM, *self._headers))
        self._begun = True
        if self._new_outlet is not None:
            outlet = self._outlet = self._new_outlet()
            if outlet.primed:
                await self.exchange.write(outlet.prime())
        self._pulse.forget(self)
        self._pulse.watch(self, KEEP_ALIVE)

    async def _event(self, data: bytes) -> None:
        event = sse.encode(data, kind="message") if self._outlet is None else self._outlet.add(data)
        await self.exchange.write(event)

    def _end(self) -> None:
        if self._outlet is not None:
            self._outlet.end()
