"""What a running server tells commands: `run/plugins.json` in the data folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import structlog

from moorage.plugins.states import Record

log = structlog.get_logger("moorage.status")


def status_file(data_dir: Path) -> Path:
    """Where the running server writes its plugins' states."""
    return data_dir / "run" / "plugins.json"


def write_status(data_dir: Path, plugins: Iterable[Record], needs_restart: list[str]) -> None:
    """Replace the file as a whole. A full disk is logged: it must not stop the server."""
    path = status_file(data_dir)
    body = {
        "pid": os.getpid(),
        "needs_restart": needs_restart,
        "plugins": {one.name: {"state": one.state.value, "reason": one.reason} for one in plugins},
    }
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.write_text(json.dumps(body, indent=1))
        fresh.replace(path)
    except OSError as error:
        log.error("cannot write the status file", path=str(path), error=str(error))


def remove_status(data_dir: Path) -> None:
    """Forget the file at the end."""
    with contextlib.suppress(OSError):
        status_file(data_dir).unlink()
