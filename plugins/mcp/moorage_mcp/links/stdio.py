"""MCP over a program's stdin and stdout: one JSON message a line. Source: MCP, Transports, stdio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from moorage.api import Exec

from moorage_mcp.links.base import LinkClosed
from moorage_mcp.links.duplex import SEEN, Duplex, answered_id, too_large
from moorage_mcp.links.exchange import Spawn

MAX_JUNK = 200
"""Lines in a row that are no messages; then it is no MCP server that writes there."""
MAX_SKIPPED = 16
"""How many times the largest message a line may be that is skipped; then the program is ended."""
MAX_OUTBOX = 64
"""Messages that wait for the program to read; more senders wait, each as long as its own time-out."""
STALL_SECONDS = 60.0
"""A program that takes nothing of a message for so long does not read any more."""
LEAVE_SECONDS = 2.0
"""In which a program ends by itself once its stdin has."""


@runtime_checkable
class Telling(Protocol):
    """A program that can say how it ended: what it wrote to stderr tells more than its exit code."""

    async def why(self) -> str:
        """For people, without secrets; soon after its output has ended."""
        ...


class Stdio(Duplex):
    """A program that was started, as a transport. limit: bytes of a message that it may send.

    The transport owns the program: `close` ends it.
    """

    def __init__(self, program: Exec, limit: int, spawn: Spawn, dropped: Callable[[], None] = lambda: None) -> None:
        super().__init__(dropped)
        self._program, self._limit = program, limit
        self.junk = 0
        """Lines that were no messages, in all."""
        self._junk = 0
        self._line: list[bytes] = []
        self._size = self._skipped = 0
        self._head = self._tail = b""
        self._outbox: deque[bytes] = deque()
        self._more, self._room = asyncio.Event(), asyncio.Event()
        self._ending = False
        self._tasks = [spawn(self._read(), "read a server's output"), spawn(self._write(), "write a server's input")]

    async def send(self, data: bytes) -> None:
        """As `Duplex`. Nobody's time-out cuts a message in two: one task writes them whole."""
        while len(self._outbox) >= MAX_OUTBOX:
            self._room.clear()
            await self._room.wait()
            self._check()
        self._outbox.append(data + b"\n")
        self._more.set()

    async def close(self) -> None:
        """End the program: by the end of its input first, as the protocol asks."""
        if self._ending:
            return
        self._ending = True
        self.broke("the connection was closed")
        for task in self._tasks:
            task.cancel()
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._program.close_input()
                await self._program.wait()
        except (TimeoutError, OSError):
            pass
        finally:
            await self._program.close()

    def broke(self, why: str) -> None:
        """As `Duplex`."""
        super().broke(why)
        self._room.set()

    # -- input ---------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        while True:
            while self._outbox:
                try:
                    async with asyncio.timeout(STALL_SECONDS):
                        await self._program.write(self._outbox[0])
                except TimeoutError:
                    self.broke("the server does not read what it is sent")
                    return
                except (OSError, ValueError):
                    # It may be noticed here before its output ends, and the reason is wanted all the same.
                    self.broke(await self._ended())
                    return
                self._outbox.popleft()
                self._room.set()
            self._more.clear()
            await self._more.wait()

    # -- output --------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while data := await self._program.read():
                self._feed(data)
                await self.breathe()
        except LinkClosed as error:
            self.broke(str(error))
        except OSError:
            self.broke("the server's output broke off")
        else:
            self.broke(await self._ended())

    async def _ended(self) -> str:
        if isinstance(self._program, Telling):
            return f"the server has ended: {await self._program.why()}"
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                code = await self._program.wait()
        except (TimeoutError, OSError):
            return "the server has closed its output"
        return f"the server has ended with {f'signal {code - 128}' if code > 128 else f'exit code {code}'}"

    def _feed(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self._skipped:
                self._skip(line)
                self._skip_end()
                continue
            if self._line:
                self._line.append(line)
                line = b"".join(self._line)
                self._line.clear()
                self._size = 0
            if len(line) > self._limit:
                self._skip(line)
                self._skip_end()
            elif line and not line.isspace():
                self._whole(line)
        if self._skipped:
            self._skip(rest)
        elif rest:
            self._line.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                line = b"".join(self._line)
                self._line.clear()
                self._size = 0
                self._skip(line)

    def _whole(self, line: bytes) -> None:
        if self.took(line):
            self._junk = 0
            return
        self.junk += 1
        self._junk += 1
        if self._junk > MAX_JUNK:
            raise LinkClosed("what the program writes is no MCP")

    def _skip(self, data: bytes) -> None:
        """A line is too long: only its ends are kept, which say whose answer it is."""
        if not self._skipped:
            self._head = data[:SEEN]
        self._tail = (self._tail + data[-SEEN:])[-SEEN:]
        self._skipped += len(data)
        if self._skipped > self._limit * MAX_SKIPPED:
            raise LinkClosed(f"the server sent a message larger than {self._limit * MAX_SKIPPED} bytes")

    def _skip_end(self) -> None:
        id = answered_id(self._head, self._tail)
        self._head = self._tail = b""
        self._skipped = 0
        if id is None:
            raise LinkClosed(f"the server sent a message larger than {self._limit} bytes")
        self.fail_call(id, too_large(self._limit))
