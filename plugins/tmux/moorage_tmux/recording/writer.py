"""Lines on their way to a file: kept in bounded memory, written in order by a thread, at least twice a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from moorage_tmux.background import Background
from moorage_tmux.recording.files import CastFile

INTERVAL = 0.5
"""Seconds after which what was put is written."""
SOON = 256 * 1024
"""Bytes with which the writing does not wait for that."""


class Writer:
    """One file's writer.

    written: bytes that the file has. size: those on their way included. pending: those alone.
    on_written is called after each writing, on_error once when the file took no more; nothing is written then.
    """

    def __init__(
        self,
        file: CastFile,
        *,
        threads: Executor,
        background: Background,
        on_written: Callable[[], None],
        on_error: Callable[[OSError], None],
    ) -> None:
        self.written = self.size = 0
        self.error: OSError | None = None
        self._file, self._threads, self._background = file, threads, background
        self._on_written, self._on_error = on_written, on_error
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def pending(self) -> int:
        """Bytes that were put and are not in the file."""
        return self.size - self.written

    def put(self, line: str) -> None:
        """Add a line, without waiting."""
        if self.error is not None:
            return
        self._lines.append(line)
        self.size += len(line) if line.isascii() else len(line.encode("utf-8", "replace"))
        self._drained.clear()
        if self._timer is None:
            self._timer = self._background.later(INTERVAL, self._due)
        elif self.pending >= SOON and not self._writing.locked():
            self._timer.cancel()
            self._due()

    async def wait_drained(self, timeout: float | None = None) -> None:
        """Wait until nothing is pending. TimeoutError."""
        async with asyncio.timeout(timeout):
            await self._drained.wait()

    async def flush(self) -> None:
        """Write everything that was put; errors go to `on_error`."""
        async with self._writing:
            while self._lines and self.error is None:
                lines, self._lines = self._lines, []
                try:
                    self.written += await asyncio.get_running_loop().run_in_executor(
                        self._threads, self._file.write, lines
                    )
                except OSError as error:
                    self.error = error
                    self._lines.clear()
                    self.size = self.written
                    self._on_error(error)
                else:
                    self._on_written()
            self._drained.set()

    async def close(self) -> None:
        """Write everything and close the file; a disk that does not take it shows in `error`."""
        if self._timer is not None:
            self._timer.cancel()
        await self.flush()
        async with self._writing:
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._file.close)
            except OSError as error:
                self.error = self.error or error

    def _due(self) -> None:
        self._timer = None
        self._background.spawn(self.flush(), "recording-write")
