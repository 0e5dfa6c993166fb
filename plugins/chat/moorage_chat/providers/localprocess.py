"""The process of the local model, as the server sees it: started, asked, cancelled, ended. See `localworker`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

from moorage.api import Hub

from moorage_chat.providers.base import ErrorCode, ProviderError

PROGRAM = Path(__file__).with_name("localworker.py")
CANCEL_SECONDS = 0.7
"""In which a job that was cancelled must have ended; else the process is ended."""
END_SECONDS = 1.0
"""In which it must have ended once it says nothing more, and its last words must have come."""
LOAD_SECONDS = 600.0
"""In which the model must have been loaded."""
MAX_LINE = 4 * 1024 * 1024
_KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
    "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES",
)  # fmt: skip
"""Of the server's environment; the rest may hold keys."""

_NAMES = {int(one): one.name for one in signal.Signals}
_HINT = " (built for another processor? CMAKE_ARGS=-DGGML_NATIVE=OFF pip install --no-binary … llama-cpp-python)"


class Process:
    """One process; asked by one at a time."""

    def __init__(self, hub: Hub, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._began = time.monotonic()
        self._jobs = 0
        self._ready = self._killed = False
        self._said: deque[str] = deque(maxlen=10)
        self._listening = hub.tasks.spawn(self._listen(), "local model's errors")

    @classmethod
    async def start(cls, hub: Hub, settings: Mapping[str, Any]) -> Process:
        """Start it; it loads the model meanwhile. ProviderError where it cannot be started."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # Its folder has modules whose names are those of packages.
                str(PROGRAM),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={key: os.environ[key] for key in _KEPT if key in os.environ},
                start_new_session=True,  # Ctrl-C at the server's terminal is for the server.
                limit=MAX_LINE,
            )
        except OSError as error:
            raise ProviderError(ErrorCode.UNREACHABLE, f"the local model's process: {error}") from error
        made = cls(hub, process)
        await made._tell(settings)
        return made

    @property
    def usable(self) -> bool:
        """Whether it runs, and has loaded its model or may still do so."""
        loading = self._ready or time.monotonic() - self._began < LOAD_SECONDS
        return not self._killed and self._process.returncode is None and loading

    async def ask(self, job: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The lines of the answer. ProviderError when it ends before. Closed early, it cancels the job."""
        self._jobs += 1
        number, over = self._jobs, False
        try:
            await self._tell({"id": number, **job})
            while not over:
                line = await self._line()
                if line.get("id") == number:
                    over = "end" in line or "error" in line
                    yield line
        finally:
            if not over and self._process.returncode is None:
                await self._cancel(number)

    async def _cancel(self, number: int) -> None:
        """Have it give a job up. One that loads its model does it later: the model will be wanted again."""
        done = False
        try:
            await self._tell({"cancel": number})
            async with asyncio.timeout(CANCEL_SECONDS):
                while self._ready and not done:
                    line = await self._line()
                    done = line.get("id") == number and ("end" in line or "error" in line)
        except (ProviderError, TimeoutError):
            pass
        finally:
            if self._ready and not done:
                self.kill()

    async def _tell(self, line: Mapping[str, Any]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(line).encode() + b"\n")
            await stdin.drain()
        except OSError:
            raise await self._ended() from None

    async def _line(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        text = await stdout.readline()
        if not text.endswith(b"\n"):
            raise await self._ended()
        line: dict[str, Any] = json.loads(text)
        if "failed" in line:
            self.kill()
            raise ProviderError(ErrorCode.UNREACHABLE, f"the local model: {line['failed']}")
        self._ready = self._ready or "ready" in line
        return line

    async def _ended(self) -> ProviderError:
        """It is gone: what to say of that."""
        self._killed = True
        try:
            async with asyncio.timeout(END_SECONDS):
                code = await self._process.wait()
        except TimeoutError:
            # Not before: who sends a signal to a child that has just ended takes its exit code from the one who waits.
            self.kill()
            code = await self._process.wait()
        await asyncio.wait({self._listening}, timeout=END_SECONDS)
        why = f"exit code {code}" if code >= 0 else _NAMES.get(-code, f"signal {-code}")
        hint = _HINT if -code in (signal.SIGSEGV, signal.SIGILL) else ""
        return ProviderError(ErrorCode.ERROR, f"the local model's process ended: {why}{hint}: {' '.join(self._said)}")

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

    def kill(self) -> None:
        """End it now. Harmless when it has ended."""
        self._killed = True
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def close(self) -> None:
        """End it, and wait until it has."""
        self.kill()
        await self._process.wait()
        self._listening.cancel()
