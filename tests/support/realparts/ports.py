"""Spare TCP ports on loopback."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port that nobody listened on a moment ago. Use it soon."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
