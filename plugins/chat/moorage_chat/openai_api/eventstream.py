"""An event stream to a client: begun with its first event, kept alive while nothing comes, ended when nobody reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from moorage.api import ClientLeft, Exchange, TaskSupervisor

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
COMMENT = b": waiting\n\n"
STALL = 30.0
"""Seconds that a client may take to read what was sent, before it counts as gone."""


class EventStream:
    """One to one client. ping: seconds of silence after which a comment is sent, which every client skips."""

    def __init__(self, exchange: Exchange, tasks: TaskSupervisor, ping: float) -> None:
        self._exchange, self._tasks, self._ping = exchange, tasks, ping
        self._turn = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._wrote = self._loop.time()
        self._writing: float | None = None
        self._stalled = False

    @property
    def begun(self) -> bool:
        """Whether the client has been told anything: a refusal is then said within the stream."""
        return self._exchange.begun

    async def send(self, events: bytes) -> None:
        """Whole events. TooManyRequests, with the first, when the user has too many streams open."""
        async with self._turn:
            self._writing = self._loop.time()
            try:
                if not self._exchange.begun:
                    await self._exchange.begin(200, HEADERS)
                await self._exchange.write(events)
            finally:
                self._writing = None
            self._wrote = self._loop.time()

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Around what sends. ClientLeft when the client does not read what it is sent."""
        task = asyncio.current_task()
        assert task is not None
        before = task.cancelling()
        pulse = self._tasks.spawn(self._beat(task), "pulse")
        try:
            yield
        except asyncio.CancelledError:
            if self._stalled and task.uncancel() <= before:
                raise ClientLeft from None
            raise
        finally:
            pulse.cancel()

    async def _beat(self, task: asyncio.Task[object]) -> None:
        while True:
            now = self._loop.time()
            if self._writing is not None:
                if now - self._writing >= STALL:
                    self._stalled = True
                    task.cancel()
                    return
                await asyncio.sleep(min(self._ping, self._writing + STALL - now))
            elif now - self._wrote >= self._ping:
                await self.send(COMMENT)
            else:
                await asyncio.sleep(self._wrote + self._ping - now)
