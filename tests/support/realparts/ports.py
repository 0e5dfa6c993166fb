"""Spare TCP ports on loopback."""

from __future__ import annotations

import itertools
import os
import socket

# Below the range that the kernel gives to outgoing connections: a port that such a connection holds for a moment
# could not be listened on. Each process starts elsewhere, so that runs side by side rarely try the same one.
FIRST, LAST = 18_000, 32_000
_next = itertools.cycle(range(FIRST, LAST))
for _ in range(os.getpid() * 97 % (LAST - FIRST)):
    next(_next)


def free_port() -> int:
    """A port that nobody listened on a moment ago, and that this process has not given out lately."""
    for _ in range(LAST - FIRST):
        port = next(_next)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is free")
