"""A request while its view runs: cut off when its deadline passes or, once it streams, when its right ends."""

from __future__ import annotations

import asyncio
import enum
from typing import Any, Protocol

from moorage.access import Actor
from moorage.errors import DeadlineExceeded, Unauthorized
from moorage.routes import Access


class Registry(Protocol):
    """The part of the socket registry that the gate needs."""

    def add(self, entry: Any) -> None: ...
    def remove(self, entry: Any) -> None: ...


class _Cause(enum.Enum):
    DEADLINE = enum.auto()
    REVOKED = enum.auto()


class Running:
    """One HTTP request in the hands of its view; in the registry from its second chunk on.

    A timer and a flag instead of `asyncio.timeout`, which costs four times as much on every request.
    """

    __slots__ = ("_cause", "_outer", "_registry", "_streaming", "_task", "_timer", "access", "actor", "plugin")

    def __init__(
        self, actor: Actor, plugin: str, access: str | Access | None, registry: Registry, timeout: float | None
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.actor, self.plugin, self.access = actor, plugin, access
        self._registry, self._task = registry, task
        self._outer = task.cancelling()
        self._cause: _Cause | None = None
        self._streaming = False
        self._timer = asyncio.get_running_loop().call_later(timeout, self._expire) if timeout else None

    def answering(self) -> None:
        """The answer has begun: the deadline was for that; a long download may then take its time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def streaming(self) -> None:
        """One more chunk is to come: from now on a lost right cuts the answer off."""
        if not self._streaming:
            self._streaming = True
            self._registry.add(self)

    def close_soon(self, code: int = 1000, reason: str = "") -> None:
        """Cut the response off."""
        self._cut(_Cause.REVOKED)

    def end(self, *, cancelled: bool = False) -> None:
        """The view is over. DeadlineExceeded or Unauthorized if it was `cancelled` for that and nobody else did."""
        self.answering()
        if self._streaming:
            self._registry.remove(self)
        if self._cause is None:
            return
        if self._task.uncancel() > self._outer or not cancelled:
            return
        raise DeadlineExceeded if self._cause is _Cause.DEADLINE else Unauthorized

    def _expire(self) -> None:
        self._cut(_Cause.DEADLINE)

    def _cut(self, cause: _Cause) -> None:
        if self._cause is None:
            self._cause = cause
            self._task.cancel()
