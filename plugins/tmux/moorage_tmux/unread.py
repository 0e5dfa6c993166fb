"""What was typed into a pane and its program has not read: tmux keeps all of it, so it is bounded here."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import struct
import termios
from collections.abc import Awaitable, Callable

from moorage_tmux.tmux import TmuxError

ENOUGH = 64 * 1024
"""Bytes after which it is looked whether the program reads at all."""
HALF = 2048
"""Half of what a Linux terminal holds for its program (4096). tmux keeps nothing back while there is room."""
LOOK_SECONDS = 0.02
_TTY = re.compile(r"/dev/(?:pts/\d{1,9}|tty\w{1,16})\Z", re.ASCII)


class NotRead(TmuxError):
    """The program in the pane does not read what is typed."""


class Typing(asyncio.Lock):
    """Held by whoever types into a pane. `admit` before each part."""

    def __init__(self) -> None:
        super().__init__()
        self._unread = 0
        self._stuck = False

    async def __aenter__(self) -> Typing:  # type: ignore[override]
        await self.acquire()
        return self

    async def admit(self, size: int, tty: Callable[[], Awaitable[str]], timeout: float) -> None:
        """Count `size` bytes; NotRead when too much before them is unread, and stays so for `timeout` seconds.

        tty: asks for the path of the pane's terminal. One that we may not open is taken for read.
        """
        if self._unread + size > ENOUGH and self._unread:
            path = await tty()
            loop = asyncio.get_running_loop()
            # Who is known not to read is not waited for again and again.
            end = loop.time() + (0 if self._stuck else timeout)
            while waiting(path) >= HALF:
                if loop.time() >= end:
                    self._stuck = True
                    raise NotRead("The program does not read what is typed")
                await asyncio.sleep(LOOK_SECONDS)
            self._unread, self._stuck = 0, False
        self._unread += size


def waiting(path: str) -> int:
    """Bytes that wait in a terminal for its program; 0 when that cannot be known."""
    if not _TTY.match(path):
        return 0
    try:
        # Opened for a moment only: as long as we have it open, tmux would not see that its program has gone.
        terminal = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)))[0])
    except OSError:
        return 0
    finally:
        os.close(terminal)
