"""The state of a workload as it lies on disk: for the keeper that writes it and the server that reads it."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAME = "state.json"
SIZE = 4096
"""Written at least so long: where a full disk takes no new file, the old one can still be written over."""


def write(folder: str, state: dict[str, Any]) -> None:
    """Replace the state at once or not at all; on a full disk, write over the one that is there. OSError."""
    data = json.dumps(state, separators=(",", ":")).encode().ljust(SIZE - 1) + b"\n"
    path = os.path.join(folder, NAME)
    try:
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.replace(path + ".new", path)
    except OSError:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(fd, data, 0)
            os.ftruncate(fd, len(data))
        finally:
            os.close(fd)


def read(folder: str) -> dict[str, Any] | None:
    """The state, None when there is none or it cannot be read as one."""
    try:
        with open(os.path.join(folder, NAME), "rb") as file:
            state = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None
