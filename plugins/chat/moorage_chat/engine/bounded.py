"""Running what other plugins give, in bounded time: code that ignores its cancellation is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from moorage.api import TaskSupervisor

T = TypeVar("T")
GRACE = 0.5
"""Seconds in which it must end after it was cancelled."""


async def run_bounded(tasks: TaskSupervisor, work: Coroutine[Any, Any, T], seconds: float, what: str) -> T:
    """What `work` returns or raises. TimeoutError after `seconds`; when cancelled, over within `GRACE`."""
    task = tasks.spawn(_caught(work), what)
    # Cancelled before it has begun, it would never close it.
    task.add_done_callback(lambda _: work.close())
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError(f"{what}: no end within {seconds:g} s")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=GRACE)
    if task.cancelled():
        raise RuntimeError(f"{what}: was cancelled from within")
    value, error = task.result()
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


async def run_to_end(tasks: TaskSupervisor, work: Coroutine[Any, Any, T], what: str) -> T:
    """What `work` returns or raises. It goes on to its end, also when who waits for it is cancelled."""
    value, error = await asyncio.shield(tasks.spawn(_caught(work), what))
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


async def _caught(work: Coroutine[Any, Any, T]) -> tuple[T | None, Exception | None]:
    """Its failure as a value: it is for who waits, and no failure of a background task."""
    try:
        return await work, None
    except Exception as error:
        return None, error
