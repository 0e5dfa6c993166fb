"""Threads for work on files. A file system that hangs takes some of them, and never the server.

The server's own threads are not used: a hanging one of those would take logins with it, and a stop of the server would
wait for it. These are daemons, each workspace has its share of them, and who waits for one does so for a bounded time.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from moorage.api import Unavailable

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "asyncio.Future[Any]", Callable[[], None]]


class Stopped(Exception):
    """Nobody waits for the work any more."""


class Stop:
    """Tells work in a thread that nobody waits for it any more."""

    __slots__ = ("_set",)

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """End the work at its next `check`."""
        self._set = True

    def check(self) -> None:
        """Stopped if it should end."""
        if self._set:
            raise Stopped


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """A `Stop` that is set when the block is left, however."""
    stop = Stop()
    try:
        yield stop
    finally:
        stop.set()


class Closable(Protocol):
    """What holds a file open."""

    def close(self) -> None:
        """Let go of it."""
        ...


C = TypeVar("C", bound=Closable)


class Held(Generic[C]):
    """An open thing that jobs use one at a time; closed by whoever is last, a job that hangs too."""

    def __init__(self, thing: C) -> None:
        self.thing, self._lock = thing, threading.Lock()
        self._busy = self._doomed = False

    @contextlib.contextmanager
    def use(self) -> Iterator[C]:
        """Around a job, which is given the thing. Stopped when it was let go of."""
        with self._lock:
            if self._doomed or self._busy:
                raise Stopped
            self._busy = True
        try:
            yield self.thing
        finally:
            with self._lock:
                self._busy = False
                doomed = self._doomed
            if doomed:
                self.thing.close()

    def close(self) -> None:
        """Close it now, or when the job that uses it ends."""
        with self._lock:
            first, self._doomed = not self._doomed, True
            idle = not self._busy
        if first and idle:
            self.thing.close()


@dataclass(slots=True)
class _Share:
    """What one workspace may have under way at once."""

    places: asyncio.Semaphore
    users: int = 0


class Pool:
    """Runs blocking calls.

    threads: at most so many, started as needed. share: of them for one workspace. waiting: jobs that may wait for
    their workspace's turn, all together. seconds: how long a caller waits for one, unless it says otherwise.
    """

    def __init__(self, *, threads: int = 16, share: int = 4, waiting: int = 512, seconds: float = 30.0) -> None:
        self.threads, self.share, self.waiting, self.seconds = threads, share, waiting, seconds
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._shares: dict[str, _Share] = {}
        self._started = self._under_way = self._callers = 0
        self._closed = False

    async def run(self, key: str, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """Call `work` in a thread, for the workspace `key`. Its errors are raised here.

        Unavailable when it is not done in time, or too much is waiting already. It then goes on unseen; what it
        returns is dropped, so a result that holds a file must close it when it is forgotten.
        """
        if self._closed or self._callers >= self.waiting:
            raise Unavailable("Too much is being done with files: try again", headers={"Retry-After": "5"})
        share = self._shares.setdefault(key, _Share(asyncio.Semaphore(self.share)))
        share.users += 1
        self._callers += 1
        try:
            async with asyncio.timeout(self.seconds if seconds is None else seconds):
                await share.places.acquire()
                return await self._submit(key, share, work)
        except TimeoutError:
            raise Unavailable("The file system does not answer", headers={"Retry-After": "5"}) from None
        finally:
            self._callers -= 1
            self._leave(key, share)

    def _submit(self, key: str, share: _Share, work: Callable[[], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        share.users += 1
        self._under_way += 1

        def release() -> None:
            self._under_way -= 1
            share.places.release()
            self._leave(key, share)

        self._jobs.put((work, future, release))
        if self._started < min(self.threads, self._under_way):
            self._started += 1
            threading.Thread(target=_serve, args=(self._jobs,), name=f"files-{self._started}", daemon=True).start()
        return future

    def _leave(self, key: str, share: _Share) -> None:
        share.users -= 1
        if not share.users:
            self._shares.pop(key, None)

    def close(self) -> None:
        """Let the threads end; one that hangs is left behind."""
        self._closed = True
        for _ in range(self._started):
            self._jobs.put(None)


def _serve(jobs: queue.SimpleQueue[_Job | None]) -> None:
    """A thread's life."""
    while (job := jobs.get()) is not None:
        work, future, release = job
        result: Any = None
        error: BaseException | None = None
        if not future.cancelled():
            try:
                result = work()
            except BaseException as raised:
                error = raised
        # The loop may be closed: then nobody waits.
        with contextlib.suppress(RuntimeError):
            future.get_loop().call_soon_threadsafe(_tell, future, result, error, release)
        del job, work, future, release, result, error


def _tell(future: asyncio.Future[Any], result: Any, error: BaseException | None, release: Callable[[], None]) -> None:
    release()
    if future.done():
        if isinstance(result, Held):
            result.close()
    elif error is not None:
        future.set_exception(Unavailable("Stopped") if isinstance(error, StopIteration | Stopped) else error)
    else:
        future.set_result(result)
