"""Supervised tasks: every background task has a name, an owner, a logged end and a bounded stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from moorage.errors import Unavailable

T = TypeVar("T")
_RECANCEL_SECONDS = 0.5
_log = structlog.get_logger("moorage.tasks")


class Exited(Exception):
    """Code in a task called `sys.exit`, which is not its to decide."""


async def contained(coro: Coroutine[Any, Any, T]) -> T:
    """Await `coro`; an exit that it asks for becomes an `Exited`. asyncio would end the whole server with it.

    For use in a task of its own, whose end must close `coro`: cancelled early, it would never have begun.
    """
    try:
        return await coro
    except (SystemExit, KeyboardInterrupt) as error:
        raise Exited(f"{type(error).__name__}: {error}") from error


async def together(work: Coroutine[Any, Any, None], watch: Coroutine[Any, Any, None]) -> None:
    """Run both until one ends. However that comes about, by a deadline or a lost right too, neither goes on alone."""
    tasks = [asyncio.ensure_future(contained(work)), asyncio.ensure_future(watch)]
    tasks[0].add_done_callback(lambda _: work.close())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def repeat(what: str, every: float, work: Callable[[], Awaitable[None]], *, at_once: bool = False) -> None:
    """Do it every so many seconds, for ever. What it needs is away: one line says so, and one when it is back.

    what: names it in the log. at_once: the first time comes before the first pause.
    """
    away = False
    if not at_once:
        await asyncio.sleep(every)
    while True:
        try:
            await work()
        except Unavailable as error:
            if not away:
                _log.error("not possible now", what=what, reason=error.message)
            away = True
        except Exception:
            _log.exception("failed", what=what)
        else:
            if away:
                _log.warning("possible again", what=what)
            away = False
        await asyncio.sleep(every)


class TaskSupervisor:
    """Owns the background tasks of one part of the server, named `name` in logs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Run `coro` in the background. Its failure is logged and ends nothing else.

        RuntimeError after `stop`.
        """
        if self._stopped:
            coro.close()
            raise RuntimeError(f"{self.name}: stopped, will not start {name}")
        task = asyncio.get_running_loop().create_task(contained(coro), name=f"{self.name}:{name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        task.add_done_callback(lambda _: coro.close())
        return task

    async def stop(self, timeout: float = 5.0) -> list[str]:
        """Cancel all tasks and wait at most `timeout` seconds. Returns the names of those that would not end."""
        self._stopped = True
        current = asyncio.current_task()
        left = {task for task in self._tasks if task is not current}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while left:
            # Again and again: libraries swallow cancellations (`asyncio.wait_for` does so on Python 3.11).
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=max(0.0, min(_RECANCEL_SECONDS, deadline - loop.time())))
            if loop.time() >= deadline:
                break
        names = sorted(task.get_name() for task in left)
        if names:
            _log.error("tasks did not end in time", owner=self.name, tasks=names, timeout=timeout)
        return names

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            _log.error("task failed", owner=self.name, task=task.get_name(), exc_info=error)
