"""A Redis server of the test run's own, which a test may stop and start again."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

from waits import WAIT

from realparts.child import Child
from realparts.ports import free_port


class RedisServer:
    """Redis on a spare port of loopback; nothing is written to disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._child: Child | None = None
        self.start()

    @staticmethod
    def missing() -> str | None:
        """Why it cannot run here, or None."""
        return None if shutil.which("redis-server") else "no Redis server is installed (Debian: redis-server)"

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, empty, on the same port as before."""
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._child = Child([*argv, "--dir", self.folder], self.folder / "redis.log")
        self._child.wait_until(self._ready, "Redis")

    def _ready(self) -> bool:
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False

    def command(self, *words: str) -> str:
        """Send one inline command; returns the first line of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAIT) as connection:
            connection.sendall((" ".join(words) + "\r\n").encode())
            return connection.makefile("rb").readline().decode().strip()

    def stop(self) -> None:
        """End it; clients see refused connections until `start()`."""
        if self._child is not None:
            self._child.stop()
            self._child = None
