"""The plugin's own work, outside of any request: tasks and timers that carry nobody's address or log context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar

from moorage.api import TaskSupervisor

T = TypeVar("T")


class Background:
    """Made anywhere; `open` it where the plugin starts: what runs later inherits the context of that moment."""

    def __init__(self, tasks: TaskSupervisor) -> None:
        self._tasks = tasks
        self._context: Context | None = None

    def open(self) -> None:
        """Take the context of the caller for all that follows."""
        self._context = copy_context()

    def spawn(self, coro: Coroutine[Any, Any, Any], name: str) -> None:
        """Run a coroutine as a supervised task. After the supervisor's stop it is dropped: nothing may start then."""
        try:
            # A copy, since the caller may be running in the context itself, which cannot be entered twice.
            self._own().copy().run(self._tasks.spawn, coro, name)
        except RuntimeError:
            coro.close()

    def start(self, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as a task that the caller awaits, and whose errors are the caller's."""
        return asyncio.get_running_loop().create_task(coro, context=self._own().copy())

    def later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call `callback` after `delay` seconds."""
        return asyncio.get_running_loop().call_later(delay, callback, context=self._own())

    def _own(self) -> Context:
        if self._context is None:
            raise RuntimeError("the plugin has not started")
        return self._context
