"""One worker process, as the server sees it: started, asked, ended. See `program` for what is said."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage.events import TaskSupervisor
from moorage.workers.program import HEAD

PROGRAM = Path(__file__).with_name("program.py")
END_SECONDS = 1.0
"""In which a process that says nothing more must have ended, and its last words must have come."""
MAX_FRAME = 256 * 1024 * 1024
_KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
    "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
)  # fmt: skip
"""Of the server's environment; the rest may hold secrets."""
_NAMES = {int(one): one.name for one in signal.Signals}

Answer = tuple[dict[str, Any], bytes]


class Ended(Exception):
    """The process is gone, or never came. Its text says why."""


class Process:
    """A process that answers calls in their order. `start` makes one."""

    def __init__(self, tasks: TaskSupervisor, process: asyncio.subprocess.Process, name: str) -> None:
        self._process, self._name = process, name
        self._calls = 0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending: dict[int, asyncio.Future[Answer]] = {}
        self._until = 0.0
        self._why: str | None = None
        self._said: deque[str] = deque(maxlen=10)
        self._listening = tasks.spawn(self._listen(), f"{name}: errors")
        self._reading = tasks.spawn(self._read(), f"{name}: answers")

    @classmethod
    async def start(
        cls, tasks: TaskSupervisor, name: str, target: str, settings: Mapping[str, Any], environ: Mapping[str, str]
    ) -> Process:
        """Start it; `ready` waits until its object is made. Ended."""
        kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # Its folder has modules whose names are those of packages.
                str(PROGRAM),
                target,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=kept | dict(environ),
                start_new_session=True,  # Ctrl-C at the server's terminal is for the server.
            )
        except OSError as error:
            raise Ended(f"it could not be started: {error}") from error
        made = cls(tasks, process, name)
        await made._write(dict(settings), b"")
        return made

    @property
    def usable(self) -> bool:
        """Whether it can be asked."""
        return self._why is None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    async def ready(self) -> None:
        """Wait until it can answer. Ended."""
        await asyncio.shield(self._ready)

    async def ask(self, method: str, params: Mapping[str, Any], body: bytes, seconds: float) -> Answer:
        """The head and body of the answer, within so many seconds. Ended, TimeoutError.

        Cancelled, the call is done all the same and its answer dropped; who asks next waits for that in `settled`.
        """
        if self._why is not None:
            raise Ended(self._why)
        self._calls += 1
        loop = asyncio.get_running_loop()
        answer = self._pending[self._calls] = loop.create_future()
        # What nobody waits for any more must not be reported as never retrieved.
        answer.add_done_callback(lambda one: one.cancelled() or one.exception())
        self._until = loop.time() + seconds
        async with asyncio.timeout_at(self._until):
            await self._write({"id": self._calls, "method": method, "params": dict(params)}, body)
            return await asyncio.shield(answer)

    async def settled(self) -> None:
        """Wait for the answer to a call that was cancelled. TimeoutError when that takes longer than it might have."""
        if self._pending:
            async with asyncio.timeout_at(self._until):
                await asyncio.wait(self._pending.values())

    async def _write(self, head: dict[str, Any], body: bytes) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        text = json.dumps(head).encode()
        # That it has ended, the one who reads finds out and says why.
        with contextlib.suppress(OSError):
            stdin.write(HEAD.pack(len(text), len(body)) + text + body)
            await stdin.drain()

    async def _read(self) -> None:
        """Hand out answers until it ends, then say why it has."""
        why = "the server stopped listening"
        try:
            why = await self._end(await self._answers())
        finally:
            self._fail(why)

    async def _answers(self) -> str:
        """Hand out answers. Why it is of no more use, "" when it simply ended."""
        stdout = self._process.stdout
        assert stdout is not None
        try:
            while True:
                first, second = HEAD.unpack(await stdout.readexactly(HEAD.size))
                if first + second > MAX_FRAME:
                    return f"it gave an answer of {first + second} bytes"
                head = json.loads(await stdout.readexactly(first))
                body = await stdout.readexactly(second)
                if "failed" in head:
                    return str(head["failed"])
                if "ready" in head:
                    self._ready.set_result(None)
                elif (waiting := self._pending.pop(head["id"], None)) is not None and not waiting.done():
                    waiting.set_result((head, body))
        except asyncio.IncompleteReadError:
            return ""
        except (ValueError, KeyError) as error:
            return f"it said what is no answer: {error}"

    async def _end(self, why: str) -> str:
        """It says nothing more: have it ended, and find out why it did."""
        if why:
            self.kill()
        try:
            async with asyncio.timeout(END_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            # Not before: who sends a signal to a child that has just ended takes its exit code from the one who waits.
            self.kill()
            code = await self._process.wait()
        await asyncio.wait({self._listening}, timeout=END_SECONDS)
        if why:
            return why
        ended = f"exit code {code}" if code >= 0 else _NAMES.get(-code, f"signal {-code}")
        return f"it ended: {ended}: {' '.join(self._said)}".rstrip(": ")

    def _fail(self, why: str) -> None:
        """Nothing can be asked any more; who waits hears of it."""
        self._why = self._why or why
        futures: list[asyncio.Future[Any]] = [self._ready, *self._pending.values()]
        for waiting in futures:
            if not waiting.done():
                waiting.set_exception(Ended(self._why))
        self._pending.clear()
        if not self._ready.cancelled():
            self._ready.exception()

    async def _listen(self) -> None:
        """Take what it prints, so that it never waits for that; the last lines say why it ended."""
        stderr = self._process.stderr
        assert stderr is not None
        while True:
            try:
                line = await stderr.readline()
            except ValueError:  # Longer than any line of use.
                continue
            if not line:
                return
            self._said.append(line.decode("utf-8", "replace").strip()[:300])

    def kill(self, why: str | None = None) -> None:
        """End it now; `why` is what those who wait are told. Harmless when it has ended."""
        if why is not None:
            self._why = self._why or why
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def close(self) -> None:
        """End it, and wait until it has."""
        self.kill("it was stopped")
        await self._process.wait()
        await asyncio.wait({self._reading, self._listening}, timeout=END_SECONDS)
