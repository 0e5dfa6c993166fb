"""Ports of loopback for workloads: free when they are given, and each given once."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

from moorage.errors import Unavailable, ValidationFailed

HOST = "127.0.0.1"


class Ports:
    """The ports of a range, given in turn, so that one that was just given back is the last to be given again."""

    def __init__(self, text: str) -> None:
        """text: "FIRST-LAST". ValidationFailed."""
        first, _, last = text.partition("-")
        self._first, self._count = int(first), int(last) - int(first) + 1
        if not 0 < self._first <= int(last) < 65536:
            raise ValidationFailed(f"[runtimes.process] ports: {text} is no range of ports")
        self._given: dict[int, str] = {}
        self._next = random.randrange(self._count)  # noqa: S311 - so that two servers seldom meet.

    def take(self, name: str, wanted: Iterable[str]) -> dict[str, int]:
        """A free port for each name of a port. Unavailable when there are not so many."""
        found: dict[str, int] = {}
        try:
            for port_name in wanted:
                found[port_name] = self._one(name)
        except Unavailable:
            self.free(name)
            raise
        return found

    def adopt(self, name: str, ports: Iterable[int]) -> None:
        """Note what a workload has already."""
        self._given.update(dict.fromkeys(ports, name))

    def free(self, name: str) -> None:
        """Take back all that a workload had."""
        self._given = {port: owner for port, owner in self._given.items() if owner != name}

    def _one(self, name: str) -> int:
        for _ in range(self._count):
            port = self._first + self._next
            self._next = (self._next + 1) % self._count
            if port not in self._given and _is_free(port):
                self._given[port] = name
                return port
        raise Unavailable("All ports that workloads may have are taken: see [runtimes.process] ports")


def _is_free(port: int) -> bool:
    """Whether it can be bound now, as servers bind: on loopback, and on all addresses."""
    for host in (HOST, "0.0.0.0"):  # noqa: S104 - asked and let go again at once, nothing listens.
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
            except OSError:
                return False
    return True
