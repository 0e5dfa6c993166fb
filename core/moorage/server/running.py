"""A request while its view runs: cut off when its deadline passes or, once it streams, when its right ends."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, Protocol

from moorage.access import Actor
from moorage.context import RequestInfo
from moorage.errors import DeadlineExceeded, Unauthorized
from moorage.routes import Access
from moorage.server.places import Places


class Registry(Protocol):
    """The part of the socket registry that the gate needs."""

    def add(self, entry: Any) -> None: ...
    def remove(self, entry: Any) -> None: ...


class _Cause(enum.Enum):
    DEADLINE = enum.auto()
    REVOKED = enum.auto()


class Deadlines:
    """The deadlines of all running requests, looked at by one timer while there are any.

    A timer for each request costs 1 to 2 µs; a request may end `STEP` seconds late instead.
    """

    STEP = 0.1

    def __init__(self) -> None:
        self._due: dict[Running, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, running: Running, at: float) -> None:
        """Cut the request off when `perf_counter()` passes `at`, unless cleared before."""
        self._due[running] = at
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.STEP, self._look)

    def clear(self, running: Running) -> None:
        """No deadline for this one any more."""
        self._due.pop(running, None)

    def _look(self) -> None:
        now = perf_counter()
        for running in [running for running, at in self._due.items() if at <= now]:
            del self._due[running]
            running.expire()
        self._timer = asyncio.get_running_loop().call_later(self.STEP, self._look) if self._due else None


class Running:
    """One HTTP request in the hands of its view; in the registry from its second chunk on."""

    __slots__ = (
        "_cause",
        "_deadlines",
        "_free",
        "_outer",
        "_registry",
        "_streaming",
        "_task",
        "access",
        "actor",
        "plugin",
    )

    def __init__(
        self, actor: Actor, plugin: str, access: str | Access | None, registry: Registry, deadlines: Deadlines
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.actor, self.plugin, self.access = actor, plugin, access
        self._registry, self._deadlines, self._task = registry, deadlines, task
        self._outer = task.cancelling()
        self._cause: _Cause | None = None
        self._free: Callable[[], None] | None = None
        self._streaming = False

    def hold(self, places: Places, info: RequestInfo, most: int) -> None:
        """Take a place among what stays open for long, once. TooManyRequests."""
        if self._free is None:
            self._free = partial(places.free, places.take(info, most))

    def answering(self) -> None:
        """The answer has begun: the deadline was for that; a long download may then take its time."""
        self._deadlines.clear(self)

    def streaming(self) -> None:
        """One more chunk is to come: from now on a lost right cuts the answer off."""
        if not self._streaming:
            self._streaming = True
            self._registry.add(self)

    def close_soon(self, code: int = 1000, reason: str = "") -> None:
        """Cut the response off."""
        self._cut(_Cause.REVOKED)

    def explain(self) -> None:
        """After a cancellation: DeadlineExceeded or Unauthorized if that was why, nothing if somebody else did it."""
        if self._cause is None or self._task.uncancel() > self._outer:
            return
        raise DeadlineExceeded if self._cause is _Cause.DEADLINE else Unauthorized

    def end(self) -> None:
        """The view is over."""
        self._deadlines.clear(self)
        if self._streaming:
            self._registry.remove(self)
        if self._free is not None:
            self._free()

    def expire(self) -> None:
        """The deadline has passed."""
        self._cut(_Cause.DEADLINE)

    def _cut(self, cause: _Cause) -> None:
        if self._cause is None:
            self._cause = cause
            self._task.cancel()
