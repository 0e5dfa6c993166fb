"""A worker: a process that is started when it is needed, asked in turn, ended when it idles, and replaced when it dies.

For what computes long, or may crash, in native code: models, engines. The object that is called lives in the process
(see `program`): a factory `package.module:name` makes it of the settings; its methods take `(body: bytes, **params)`,
and give JSON-able data, or (data, bytes). Its module should import little: that is what a start takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog

from moorage.events import TaskSupervisor
from moorage.workers.process import Ended, Process

_log = structlog.get_logger("moorage.workers")


class WorkerError(Exception):
    """A call that was not answered well. Its text is for the log."""


class WorkerGone(WorkerError):
    """The process could not be started, ended, or took too long and was ended. The next call begins a new one."""


class WorkerRefused(WorkerError):
    """The object raised. kind: the exception's class, as "ValueError"."""

    def __init__(self, kind: str, message: str) -> None:
        self.kind, self.message = kind, message
        super().__init__(f"{kind}: {message}")


class WorkerBusy(WorkerError):
    """Too many wait already."""


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What to run. name: for logs. target: `package.module:factory`; settings: JSON-able, given to it.

    environ: variables beside the few that a worker is given. nice: how far the server goes first.
    start_timeout: seconds in which the object must have been made; call_timeout: for one call, its turn not counted.
    idle_seconds: without a call or a session, after which the process is ended; None: never.
    max_waiting: calls that may wait for their turn.
    """

    name: str
    target: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    nice: int = 5
    start_timeout: float = 60.0
    call_timeout: float = 60.0
    idle_seconds: float | None = 300.0
    max_waiting: int = 256


@dataclass(frozen=True, slots=True)
class WorkerReply:
    """What a method gave."""

    data: Any
    body: bytes = b""


class Worker:
    """Asks one process. Close it at the end. A cancelled call is done all the same, and its answer dropped."""

    def __init__(self, tasks: TaskSupervisor, spec: WorkerSpec) -> None:
        self.spec = spec
        self._tasks = tasks
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = self._sessions = 0
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def load(self) -> int:
        """Sessions, and calls that run or wait."""
        return self._waiting + self._sessions

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return self._process.pid if self._process is not None and self._process.usable else None

    async def call(
        self, method: str, body: bytes = b"", /, *, within: float | None = None, **params: Any
    ) -> WorkerReply:
        """Call a method, in turn. within: seconds, instead of `call_timeout`. WorkerError."""
        return await self._call(None, method, body, within, params)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[WorkerSession]:
        """Around calls that stand on one another: the process stays, and when it ends nevertheless they fail.

        WorkerError when there is none to be had.
        """
        self._sessions += 1
        try:
            async with self._turn:
                process = await self._running()
            yield WorkerSession(self, process)
        finally:
            self._sessions -= 1
            self._rest()

    async def close(self) -> None:
        """End the process; who waits gets WorkerGone."""
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        if self._process is not None:
            await self._process.close()

    async def _call(
        self, expected: Process | None, method: str, body: bytes, seconds: float | None, params: Mapping[str, Any]
    ) -> WorkerReply:
        if self._waiting >= self.spec.max_waiting:
            raise WorkerBusy(f"{self.spec.name}: {self._waiting} calls wait already")
        self._waiting += 1
        try:
            async with self._turn:
                process = expected or await self._running()
                head, answer = await self._asked(process, method, body, seconds or self.spec.call_timeout, params)
        finally:
            self._waiting -= 1
            self._rest()
        if "error" in head:
            raise WorkerRefused(head["kind"], head["error"])
        return WorkerReply(head["data"], answer)

    async def _asked(
        self, process: Process, method: str, body: bytes, seconds: float, params: Mapping[str, Any]
    ) -> tuple[dict[str, Any], bytes]:
        try:
            # Else who asks and goes away, again and again, would fill it with work that no bound counts.
            await process.settled()
            return await process.ask(method, params, body, seconds)
        except TimeoutError:
            process.kill(f"a call of {method} took more than {seconds:g} s")
            raise self._gone(f"{method} took more than {seconds:g} s") from None
        except Ended as error:
            raise self._gone(str(error)) from error

    async def _running(self) -> Process:
        """The process, started if need be. Only in turn."""
        if self._closed:
            raise WorkerGone(f"{self.spec.name}: it was stopped")
        process, spec = self._process, self.spec
        try:
            if process is None or not process.usable:
                environ = {"MOORAGE_WORKER_NICE": str(spec.nice), **spec.environ}
                process = self._process = await Process.start(
                    self._tasks, spec.name, spec.target, spec.settings, environ
                )
                if self._closed:  # Meanwhile: nobody else would end it.
                    await process.close()
            async with asyncio.timeout(spec.start_timeout):
                await process.ready()
        except TimeoutError:
            assert process is not None
            process.kill(f"it was not ready within {spec.start_timeout:g} s")
            raise self._gone(f"it was not ready within {spec.start_timeout:g} s") from None
        except Ended as error:
            raise self._gone(str(error)) from error
        return process

    def _gone(self, why: str) -> WorkerGone:
        if not self._closed:
            _log.warning("a worker process failed", worker=self.spec.name, reason=why)
        return WorkerGone(f"{self.spec.name}: {why}")

    def _rest(self) -> None:
        """Begin to count the idle seconds."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self.spec.idle_seconds is not None and not self.load and not self._closed and self._process is not None:
            self._idle = asyncio.get_running_loop().call_later(self.spec.idle_seconds, self._unload)

    def _unload(self) -> None:
        if not self.load and self._process is not None:
            self._process.kill("it was idle")
            self._process = None


class WorkerSession:
    """Calls to one process, whatever happens: once it has ended, they are WorkerGone."""

    def __init__(self, worker: Worker, process: Process) -> None:
        self._worker, self._process = worker, process

    async def call(
        self, method: str, body: bytes = b"", /, *, within: float | None = None, **params: Any
    ) -> WorkerReply:
        """As `Worker.call`."""
        return await self._worker._call(self._process, method, body, within, params)
