"""Work in the background that goes on while what it needs is away: the log says so once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from moorage.api import Hub, MoorageError


def reason_of(error: Exception) -> str:
    """An error for the log, in a line."""
    return error.message if isinstance(error, MoorageError) else f"{type(error).__name__}: {error}"


async def repeat(hub: Hub, every: float, work: Callable[[], Awaitable[None]], problem: str) -> None:
    """Do it now and each so many seconds, for ever. problem: the line in the log when it fails, until it does not."""
    away = False
    while True:
        try:
            await work()
            away = False
        except Exception as error:
            if not away:
                hub.log.error(problem, reason=reason_of(error))
            away = True
        await asyncio.sleep(every)
