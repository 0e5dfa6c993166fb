"""The server's end of a keeper's socket: requests, answers, and the files that come beside them."""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from moorage.errors import Unavailable
from moorage.runtimes.keeper.control import NAME

SECONDS = 20.0
"""How long a keeper may take to answer."""
BUSY_SECONDS = 20.0
"""How long it may take to be connected with."""
BUSY_PAUSE = 0.01
MAX_FILES = 2


class Gone(Exception):
    """The keeper ended, or its connection did."""


class Control:
    """A connection to a keeper. One request at a time."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._data = b""
        self._files: list[int] = []

    @classmethod
    async def connect(cls, folder: Path) -> Control:
        """Connect to the keeper of a folder. Gone when there is none, or it is too busy for too long."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                return cls._connect(folder)
            except BlockingIOError:
                # More connect at once than it has taken yet.
                if time.monotonic() > deadline:
                    raise Gone("the keeper takes no connections") from None
                await asyncio.sleep(BUSY_PAUSE)

    @classmethod
    def _connect(cls, folder: Path) -> Control:
        """Gone, BlockingIOError."""
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            peer = socket.socket(socket.AF_UNIX)
            try:
                peer.setblocking(False)
                # By way of /proc: the path of a unix socket has room for 107 bytes only. It answers at once or never.
                peer.connect(f"/proc/self/fd/{directory}/{NAME}")
            except BaseException:
                peer.close()
                raise
        except BlockingIOError:
            raise
        except OSError as error:
            raise Gone(str(error)) from None
        finally:
            os.close(directory)
        return cls(peer)

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request, wait for the answer. Gone, Unavailable when it takes too long."""
        try:
            async with asyncio.timeout(SECONDS):
                await self.send(request)
                return await self.receive()
        except TimeoutError:
            raise Unavailable("The workload's keeper did not answer in time") from None

    async def send(self, request: dict[str, Any]) -> None:
        """Send a request. Gone."""
        try:
            await asyncio.get_running_loop().sock_sendall(self._peer, json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise Gone(str(error)) from None

    async def receive(self) -> dict[str, Any]:
        """The next answer. Gone at the end of the connection."""
        while b"\n" not in self._data:
            await self._more()
        line, _, self._data = self._data.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _more(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data, ancillary, _, _ = self._peer.recvmsg(
                    65536, socket.CMSG_SPACE(4 * MAX_FILES), socket.MSG_CMSG_CLOEXEC
                )
                break
            except BlockingIOError:
                await _readable(loop, self._peer.fileno())
            except OSError as error:
                raise Gone(str(error)) from None
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                self._files += numbers
        if not data:
            raise Gone("the connection ended")
        self._data += data

    def files(self) -> list[int]:
        """The files that came, which are the caller's from now on."""
        files, self._files = self._files, []
        return files

    def close(self) -> None:
        """End the connection. Safe to repeat."""
        for fd in self.files():
            os.close(fd)
        self._peer.close()


def done(future: asyncio.Future[None]) -> None:
    """Let go on who waits, once."""
    if not future.done():
        future.set_result(None)


async def _readable(loop: asyncio.AbstractEventLoop, fd: int) -> None:
    future = loop.create_future()
    loop.add_reader(fd, done, future)
    try:
        await future
    finally:
        loop.remove_reader(fd)
