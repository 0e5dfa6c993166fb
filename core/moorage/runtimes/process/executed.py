"""A program that runs inside a workload: its terminal or pipes are in the server's hand, its end the keeper tells."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import termios

from moorage.runtimes.base import TerminalSize
from moorage.runtimes.process.control import Control, Gone, done

LOST = 255
"""The exit code of a program of which nobody can tell any more how it ended."""


class ProcessExec:
    """See `Exec`. Nothing is read before somebody asks for it, so a program that is not read is made to wait."""

    def __init__(self, control: Control, files: list[int], *, terminal: bool) -> None:
        self._control = control
        self._terminal = terminal
        self._input, self._output = (files[0], files[0]) if terminal else (files[0], files[1])
        for fd in files:
            os.set_blocking(fd, False)
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._waits: set[asyncio.Future[None]] = set()
        self._exit: asyncio.Task[int] = self._loop.create_task(self._wait())

    async def read(self, limit: int = 65536) -> bytes:
        """See `Exec.read`."""
        while not self._closed:
            try:
                data = os.read(self._output, limit)
            except BlockingIOError:
                await self._until(readable=True)
                continue
            except OSError:
                return b""  # The terminal's other side is closed.
            if len(data) < limit and self._terminal and data:
                data += self._rest(limit - len(data))
            # Whoever always finds something must not keep the others from their turn.
            await asyncio.sleep(0)
            return data
        return b""

    def _rest(self, limit: int) -> bytes:
        """A terminal gives 4 KiB at a time at most; the rest that is there saves the reader work."""
        parts: list[bytes] = []
        while limit > 0:
            try:
                data = os.read(self._output, limit)
            except OSError:
                break
            if not data:
                break
            parts.append(data)
            limit -= len(data)
        return b"".join(parts)

    async def write(self, data: bytes) -> None:
        """See `Exec.write`."""
        view = memoryview(data)
        while view:
            if self._closed or self._input < 0 or self._exit.done():
                raise ConnectionError("The program has ended, or its input was ended")
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                await self._until(readable=False)
            except OSError as error:
                raise ConnectionError("The program takes no input any more") from error

    async def close_input(self) -> None:
        """See `Exec.close_input`."""
        if not self._terminal and self._input >= 0:
            fd, self._input = self._input, -1
            self._loop.remove_writer(fd)
            os.close(fd)

    async def resize(self, size: TerminalSize) -> None:
        """See `Exec.resize`."""
        if self._terminal and not self._closed:
            cells = struct.pack("HHHH", _cells(size.rows), _cells(size.columns), 0, 0)
            try:
                fcntl.ioctl(self._input, termios.TIOCSWINSZ, cells)
            except OSError as error:
                if error.errno not in (errno.EIO, errno.EBADF):
                    raise

    async def wait(self) -> int:
        """See `Exec.wait`."""
        return await asyncio.shield(self._exit)

    async def close(self) -> None:
        """See `Exec.close`."""
        if not self._closed:
            self._closed = True
            self._let_go()
            if not self._exit.done():
                try:
                    await self._control.send({"do": "close"})
                except Gone:
                    pass
        try:
            async with asyncio.timeout(10):
                await self.wait()
        except TimeoutError:
            self._exit.cancel()

    async def _wait(self) -> int:
        try:
            while "exit" not in (answer := await self._control.receive()):
                pass
            return int(answer["exit"])
        except Gone:
            return LOST
        finally:
            self._control.close()

    async def _until(self, *, readable: bool) -> None:
        """Wait until there is something to read, or room to write, or `close` was called."""
        fd = self._output if readable else self._input
        future = self._loop.create_future()
        self._waits.add(future)
        add = self._loop.add_reader if readable else self._loop.add_writer
        try:
            add(fd, done, future)
            await future
        finally:
            self._waits.discard(future)
            if not self._closed:
                (self._loop.remove_reader if readable else self._loop.remove_writer)(fd)

    def _let_go(self) -> None:
        """Close the files; who waits for them goes on."""
        for fd in {self._input, self._output} - {-1}:
            self._loop.remove_reader(fd)
            self._loop.remove_writer(fd)
            os.close(fd)
        self._input = self._output = -1
        for future in self._waits:
            done(future)


def _cells(count: int) -> int:
    return max(1, min(count, 65535))
