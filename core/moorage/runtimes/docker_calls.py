"""Calls to a Docker engine: the Docker SDK in a bounded number of threads, and what its errors mean."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from moorage.errors import Conflict, MoorageError, NotFound, Unavailable, ValidationFailed

if TYPE_CHECKING:
    from docker import APIClient

T = TypeVar("T")
MAX_WAITING = 1024
"""Calls that may wait for a thread; those beyond are refused at once."""
END_SECONDS = 2.0
"""How long `close` waits for threads. One that hangs in a call is left: it is a daemon, and its call has a time-out."""
_log = structlog.get_logger("moorage.runtimes.docker")


class Refused(Exception):
    """The engine answered with an error. status: of HTTP; text: its own words, for the log and for `meaning`."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(f"{status}: {text}")


@dataclass(slots=True)
class _Job:
    do: Callable[[APIClient], Any]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]


class Calls:
    """Runs calls of the SDK outside the event loop.

    url: of the engine. timeout: seconds that it may be silent within a call, and that a call may wait for a thread.
    threads: calls at the same time. Threads begin when they are needed, each with a client of its own: the SDK's
    clients are not made to be shared.
    """

    def __init__(self, url: str, timeout: float, threads: int) -> None:
        self._url, self._timeout, self._size = url, timeout, threads
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._free = asyncio.Semaphore(threads)
        self._threads: list[threading.Thread] = []
        self._waiting = self._running = 0
        self._closed = False

    async def __call__(self, do: Callable[[APIClient], T]) -> T:
        """What `do` returns. Refused with the engine's answer; Unavailable when there is none.

        A caller that is cancelled leaves the call to its thread, which is not given out again before it is through.
        """
        if self._closed:
            raise Unavailable("The server is ending")
        if self._waiting >= MAX_WAITING:
            raise Unavailable("Too many calls wait for the Docker engine")
        await self._take()
        loop = asyncio.get_running_loop()
        job = _Job(do, loop, loop.create_future())
        self._running += 1
        self._jobs.put(job)
        if len(self._threads) < min(self._running, self._size):
            thread = threading.Thread(target=self._work, name=f"docker-{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)
        found: T = await job.done
        return found

    async def _take(self) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
        except TimeoutError:
            raise Unavailable("The Docker engine is busy, or does not answer") from None
        finally:
            self._waiting -= 1
        if self._closed:
            self._free.release()
            raise Unavailable("The server is ending")

    async def close(self) -> None:
        """End the threads; further calls are refused. Safe to repeat."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        await asyncio.to_thread(self._join, time.monotonic() + END_SECONDS)
        self._threads.clear()

    def _join(self, deadline: float) -> None:
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _finish(self, job: _Job, result: Any, error: Exception | None) -> None:
        """On the loop: what came of a call."""
        self._running -= 1
        self._free.release()
        if job.done.done():
            return
        if error is None:
            job.done.set_result(result)
        else:
            job.done.set_exception(error)

    def _work(self) -> None:
        client: APIClient | None = None
        while (job := self._jobs.get()) is not None:
            result, error = None, None
            try:
                if client is None:
                    client = self._connect()
                result = job.do(client)
            except Exception as raised:
                error = self._told(raised)
            try:
                job.loop.call_soon_threadsafe(self._finish, job, result, error)
            except RuntimeError:
                break  # The loop has ended: nobody waits for it any more.
        if client is not None:
            client.close()

    def _connect(self) -> APIClient:
        from moorage.runtimes.docker_client import connect

        return connect(self._url, self._timeout)

    def _told(self, error: Exception) -> Exception:
        """An exception of the SDK as one that says what it means."""
        import requests
        from docker.errors import APIError, DockerException, InvalidVersion

        if isinstance(error, APIError):
            return Refused(int(error.status_code or 500), str(error.explanation or ""))
        if isinstance(error, requests.exceptions.Timeout):
            told: MoorageError = Unavailable(f"The Docker engine did not answer within {self._timeout:g} seconds")
        elif isinstance(error, InvalidVersion):
            told = Unavailable("The Docker engine is too old: it must be 20.10 or newer")
        elif isinstance(error, (DockerException, requests.exceptions.RequestException, OSError)):
            # Where it is, the log says: this is told to whoever asked for something.
            told = Unavailable("The Docker engine cannot be reached")
        else:
            return error
        told.__cause__ = error
        return told


def meaning(refused: Refused, what: str) -> MoorageError:
    """A refusal as an error with a public face. what: the thing that was asked for, in words."""
    text = " ".join(refused.text.split())
    known = _known(text)
    if known is None:
        _log.warning("the docker engine refused", what=what, status=refused.status, said=text[:2000])
        # Its own words may tell of other containers and of the machine: they are for the log.
        kind = {404: NotFound, 409: Conflict, 400: ValidationFailed}.get(refused.status, Unavailable)
        known = kind(f"The Docker engine refused to make {what}: see the server's log")
    known.__cause__ = refused
    return known


def _known(text: str) -> MoorageError | None:
    small = text.lower()
    if "executable file not found" in small or "no such file or directory: unknown" in small:
        return ValidationFailed("The image does not have the program that is to run in it")
    if "permission denied: unknown" in small:
        return ValidationFailed("The program that is to run is not executable for the container's user")
    if "bind source path does not exist" in small:
        path = text.rpartition(": ")[2]
        return ValidationFailed(f"There is no {path} where the Docker engine runs")
    if "network" in small and "not found" in small:
        return Unavailable(
            "The containers' network is not there: make it with `docker network create`, or set runtimes.docker.network"
        )
    if "memory limit" in small and "minimum" in small:
        return ValidationFailed("The memory limit is less than a container needs")
    if "init binary" in small or "container-init" in small or "docker-init" in small:
        return Unavailable("The engine has no init program: install docker-init (tini), for Podman catatonit")
    if "port is already allocated" in small or "address already in use" in small:
        return Unavailable("No port of this machine could be given to the container")
    return None
