"""The log of a workload: its newest output in two files, and never more of it than was agreed."""

from __future__ import annotations

import os

CURRENT, OLDER = "log", "log.1"
RATE = 48 * 1024 * 1024
"""Bytes a second that are taken for long: whoever writes more is made to wait, so that it costs no core to keep up."""
BURST = 16 * 1024 * 1024


class Log:
    """Two files, each of at most half of `limit` bytes: when the newer is full, it takes the place of the older."""

    def __init__(self, folder: str, limit: int) -> None:
        self._newer, self._older = os.path.join(folder, CURRENT), os.path.join(folder, OLDER)
        self._half = max(4096, limit // 2)
        self._lost = 0
        self._fd = -1
        self._size = 0
        self._tokens, self._at = float(BURST), 0.0
        self._open(os.O_APPEND)

    def _open(self, mode: int) -> None:
        try:
            self._fd = os.open(self._newer, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode, 0o600)
            self._size = os.fstat(self._fd).st_size
        except OSError:
            self._fd, self._size = -1, 0

    def write(self, data: bytes) -> None:
        """Keep output. A full disk costs the output, and is told once it can be."""
        view = memoryview(data)
        while view:
            room = self._half - self._size
            if room <= 0:
                self._rotate()
                room = self._half
            if self._fd < 0:
                self._open(os.O_APPEND)
            try:
                if self._lost and self._fd >= 0:
                    self._size += os.write(self._fd, b"\n[%d bytes were lost: the disk was full]\n" % self._lost)
                    self._lost = 0
                written = os.write(self._fd, view[:room])
            except OSError:
                self._lost += len(view)
                return
            self._size += written
            view = view[written:]

    def _rotate(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        try:
            os.replace(self._newer, self._older)
        except OSError:
            pass
        self._open(os.O_TRUNC | os.O_APPEND)

    def pause(self, taken: int, now: float) -> float:
        """Seconds to wait before more output is taken, `taken` bytes having been at `now` (monotonic)."""
        if self._at:
            self._tokens = min(BURST, self._tokens + (now - self._at) * RATE)
        self._at = now
        self._tokens -= taken
        return 0.0 if self._tokens > 0 else max(0.02, -self._tokens / RATE)
