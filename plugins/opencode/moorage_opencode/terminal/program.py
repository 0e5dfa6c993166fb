"""A terminal's program: what is typed goes in, in order and bounded; what it shows comes out as fast as it is taken."""

from __future__ import annotations

import asyncio
from collections import deque

from moorage.api import Exec, TerminalSize

INPUT_BYTES = 1 << 20
"""What may wait for a program that does not read. Beyond it, its terminal's client waits."""
CHUNK = 16 * 1024


class Input:
    """What waits to be typed, and the size that the terminal is to have. Filled before the program runs as well."""

    def __init__(self, size: TerminalSize) -> None:
        self.size = self._applied = size
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self._ended = False

    def resize(self, size: TerminalSize) -> None:
        """The newest size is what counts: those of a storm are skipped."""
        self.size = size
        self._news.set()

    def add(self, data: bytes) -> None:
        """Type this after what waits. Ask `room` before the next."""
        if not data or self._ended:
            return
        self._waiting.append(data)
        self._bytes += len(data)
        if self._bytes >= INPUT_BYTES:
            self._room.clear()
        self._news.set()

    async def room(self, seconds: float) -> bool:
        """Wait until there is room for more; False after so many seconds without."""
        try:
            async with asyncio.timeout(seconds):
                await self._room.wait()
        except TimeoutError:
            return False
        return True

    def started(self, size: TerminalSize) -> None:
        """The program runs, with this size."""
        self._applied = size

    async def feed(self, program: Exec) -> None:
        """Hand all to the program, as it takes it, until it has ended."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._waiting or self.size != self._applied:
                    # A size first: what is typed after it may ask for it.
                    if self.size != self._applied:
                        self._applied = self.size
                        await program.resize(self._applied)
                    elif self._waiting:
                        await program.write(self._take())
        except (ConnectionError, OSError):
            pass  # It has ended: who reads its output is told how.
        finally:
            self._end()

    def _take(self) -> bytes:
        """As much as fits into a chunk: a paste as parts, keys that gathered as one."""
        parts, size = [], 0
        while self._waiting and size < CHUNK:
            part = self._waiting.popleft()
            if len(part) > CHUNK - size:
                self._waiting.appendleft(part[CHUNK - size :])
                part = part[: CHUNK - size]
            parts.append(part)
            size += len(part)
        self._bytes -= size
        if self._bytes < INPUT_BYTES:
            self._room.set()
        return b"".join(parts)

    def _end(self) -> None:
        self._ended = True
        self._waiting.clear()
        self._bytes = 0
        self._room.set()
