"""The background tasks of one link: they end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from moorage_mcp.links.exchange import Spawn


class Tasks:
    """Starts tasks by the plugin's supervisor, and can end them all."""

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self._running: set[asyncio.Task[None]] = set()

    def __call__(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start one."""
        task = self._spawn(work, name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    def cancel(self) -> None:
        """End all of them but the one that asks."""
        current = asyncio.current_task()
        for task in self._running:
            if task is not current:
                task.cancel()
