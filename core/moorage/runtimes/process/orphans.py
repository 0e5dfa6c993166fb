"""Processes of a workload whose keeper was killed: found by the mark in their environment, and ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from moorage.runtimes.process.launch import MARK

ROUNDS = 20
"""Of looking and killing: who forks on is caught in one of them."""


def end(mark: str) -> int:
    """SIGKILL for all that have the mark. Returns how many there were. Blocks while it reads /proc."""
    ended: set[int] = set()
    for _ in range(ROUNDS):
        found = _marked(mark)
        if not found - ended:
            break
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        ended |= found
    return len(ended)


def _marked(mark: str) -> set[int]:
    wanted = f"{MARK}={mark}".encode()
    found: set[int] = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                environ = (folder / "environ").read_bytes()
            except OSError:
                continue  # Gone, or not ours.
            if wanted in environ.split(b"\0"):
                found.add(int(folder.name))
    return found
