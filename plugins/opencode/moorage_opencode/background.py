"""The plugin's own work, outside of any request: tasks that carry nobody's address or log context."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any, TypeVar

from moorage.api import TaskSupervisor, Unavailable

T = TypeVar("T")


class Background:
    """Made anywhere; `open` it where the plugin starts: what runs later inherits the context of that moment."""

    def __init__(self, tasks: TaskSupervisor) -> None:
        self._tasks = tasks
        self._context: Context | None = None

    def open(self) -> None:
        """Take the context of the caller for all that follows."""
        self._context = copy_context()

    def spawn(self, coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run a coroutine as a supervised task. Unavailable before the plugin's start and after the supervisor's stop.

        Whoever waits for it uses `asyncio.wait`, which leaves it alone when the waiting ends early.
        """
        if self._context is None:
            coro.close()
            raise Unavailable("Sessions are not started yet")
        try:
            # A copy, since the caller may be running in the context itself, which cannot be entered twice.
            return self._context.copy().run(self._tasks.spawn, coro, name)
        except RuntimeError as error:
            raise Unavailable("The server is stopping, or reads its configuration again") from error
