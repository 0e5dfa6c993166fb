"""A tmux server of each test's own, and a Moorage server over it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Tmux = Callable[..., str]


@pytest.fixture
def tmux(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tmux]:
    """Runs a tmux command on a server that ends with the test."""
    folder = Path(tempfile.mkdtemp(prefix="mg"))  # Short: the path of a socket has some 100 characters.
    monkeypatch.setenv("TMUX_TMPDIR", str(folder))

    def run(*arguments: str) -> str:
        command = ["tmux", "-L", "guard", "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=20).stdout

    run("new-session", "-d", "-s", "main", "-x", "60", "-y", "12", "stty -echo; exec cat")
    yield run
    run("kill-server")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def moorage_config(tmux: Tmux) -> dict[str, Any]:
    """What `moorage_app` is started with."""
    guard = {"enabled": True, "secrets": [r"\bsk-\w{3,}"], "forbidden": [r"^\s*reboot\b"]}
    return {"plugins": {"tmux": {"enabled": True, "mount": ["/"], "socket_name": "guard"}, "guard": guard}}
