"""The machine's and the server's figures as a stream: one sampler for all viewers, asleep while nobody looks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from typing_extensions import TypedDict

from moorage.errors import TooManyRequests
from moorage.events import TaskSupervisor

EVERY = 2.0
"""Seconds between two samples. Source: `api/octo.md`'s program."""
KEEPALIVE = 15.0
"""Seconds without an event after which a comment is sent."""
MAX_VIEWERS = 64


class HostShape(TypedDict):
    """The machine. cpu_percent: of all cores together, since the sample before; 0 in the very first."""

    cpu_percent: float
    mem_total_bytes: int
    mem_used_bytes: int
    mem_available_bytes: int


class FiguresShape(TypedDict):
    """One event of the stream. containers: of sessions that run, in whatever runtime. server: of this process."""

    timestamp: str
    host: HostShape | None
    containers: Sequence[Mapping[str, Any]]
    error: str | None
    server: dict[str, Any]


Containers = Callable[[], Awaitable[tuple[Sequence[Mapping[str, Any]], list[str]]]]
"""Gives the figures of what runs, and what could not be found out, as sentences."""


class Figures:
    """What `GET /api/admin/metrics` streams, as events of server-sent events.

    server: gives this server's own figures; asked for each sample, as `containers` is.
    """

    def __init__(self, tasks: TaskSupervisor, server: Callable[[], dict[str, Any]], containers: Containers) -> None:
        self._tasks, self._server, self._containers = tasks, server, containers
        self._viewers = 0
        self._sampler: asyncio.Task[None] | None = None
        self._sampled = asyncio.Event()
        self._newest = b""

    def open(self) -> AsyncIterator[bytes]:
        """A viewer's events: one at once, then each sample as it is made. TooManyRequests beyond `MAX_VIEWERS`.

        Who takes them slowly is given the newest one, not all.
        """
        if self._viewers >= MAX_VIEWERS:
            raise TooManyRequests(f"No more than {MAX_VIEWERS} may watch the metrics at once", retry_after=10)
        return self._watch()

    async def _watch(self) -> AsyncIterator[bytes]:
        self._viewers += 1
        try:
            if self._sampler is None or self._sampler.done():
                self._newest = await self._event()
                self._sampler = self._tasks.spawn(self._sample(), "figures")
            shown = self._newest
            yield shown
            while True:
                try:
                    async with asyncio.timeout(KEEPALIVE):
                        while self._newest is shown:
                            await self._sampled.wait()
                except TimeoutError:
                    yield b": keepalive\n\n"
                    continue
                shown = self._newest
                yield shown
        finally:
            self._viewers -= 1
            if not self._viewers and self._sampler is not None:
                self._sampler.cancel()
                self._sampler = None

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            self._newest = await self._event()
            # Wakes all who wait now; who comes later waits for the next one.
            self._sampled.set()
            self._sampled = asyncio.Event()

    async def _event(self) -> bytes:
        host, error = _host()
        containers, errors = await self._containers()
        figures: FiguresShape = {
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "host": host,
            "containers": containers,
            "error": "; ".join(([error] if error else []) + errors) or None,
            "server": self._server(),
        }
        return b"data: " + json.dumps(figures, separators=(",", ":")).encode() + b"\n\n"


def memory_of_process() -> int | None:
    """Bytes of memory that this process holds; None where that cannot be read."""
    import psutil

    try:
        return int(psutil.Process().memory_info().rss)
    except (psutil.Error, OSError):
        return None


def _host() -> tuple[HostShape | None, str | None]:
    """The machine's figures, or why there are none."""
    import psutil

    try:
        memory = psutil.virtual_memory()
        cpu = psutil.cpu_percent(interval=None)
    except (psutil.Error, OSError, RuntimeError) as error:
        return None, f"The host's figures cannot be read: {type(error).__name__}"
    return {
        "cpu_percent": cpu,
        "mem_total_bytes": memory.total,
        "mem_used_bytes": memory.used,
        "mem_available_bytes": memory.available,
    }, None
