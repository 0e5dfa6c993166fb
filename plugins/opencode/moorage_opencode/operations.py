"""What is done with a session, one thing after another: each is a task that no client's leaving ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from moorage.api import MoorageError, Unavailable

from moorage_opencode.background import Background
from moorage_opencode.records import Entry

_log = structlog.get_logger("moorage.opencode")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation ended: well, or with an error for who asked."""

    error: MoorageError | None = None


class Operations:
    """Runs operations; those of one session in the order in which they were asked for."""

    def __init__(self, background: Background) -> None:
        self._background = background

    def run(
        self, entry: Entry, what: str, work: Callable[[], Awaitable[None]], *, stops: bool = False
    ) -> asyncio.Task[Outcome]:
        """Do it when its turn comes. stops: what starts meanwhile gives way at its next step."""
        task = self._background.spawn(self._turn(entry, what, work, stops), f"{what} {entry.live.pid}")
        entry.task = task
        if stops:
            # Counted here and not in the task, so that a start that is under way sees it at once.
            entry.stops += 1
        return task

    async def _turn(self, entry: Entry, what: str, work: Callable[[], Awaitable[None]], stops: bool) -> Outcome:
        try:
            await entry.lock.acquire()
        finally:
            if stops:
                entry.stops -= 1
        try:
            await work()
        except MoorageError as error:
            return Outcome(error)
        except Exception:
            _log.exception("operation failed", what=what, session=entry.live.pid)
            return Outcome(MoorageError())
        finally:
            entry.lock.release()
        return Outcome()


async def done(task: asyncio.Task[Outcome]) -> None:
    """Wait for an operation and raise its error. The task goes on when the waiting is broken off."""
    await asyncio.wait({task})
    if task.cancelled():
        raise Unavailable("The server is stopping, or reads its configuration again")
    outcome = task.result()
    if outcome.error is not None:
        raise outcome.error
