"""From the command to the first 200, and the memory then: nothing, no plugin, and tmux."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import report
from bench.processes import Moorage, cpu_seconds, rss_mb

import harness  # isort: skip  (found through bench.processes)

CONFIGS: dict[str, dict[str, Any]] = {
    "no plugin": {},
    "tmux": {"plugins": {"tmux": {"enabled": True, "mount": ["/tmux"], "socket_name": "moorage-bench-start"}}},
}


def _until_200(port: int, path: str, alive: Callable[[], bool]) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
    deadline = time.monotonic() + 30
    while alive() and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(request)
            if sock.recv(64).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.005)
    raise AssertionError("the server did not start")


def _first_200(process: subprocess.Popen[Any], port: int, path: str, started: float) -> tuple[float, float, float]:
    _until_200(port, path, lambda: process.poll() is None)
    return time.monotonic() - started, cpu_seconds(process.pid), rss_mb(process.pid)


def _moorage(server: Moorage) -> tuple[float, float, float]:
    started = time.monotonic()
    try:
        return _first_200(server.spawn(), server.port, "/health", started)
    finally:
        server.stop()


def _quart() -> tuple[float, float, float]:
    port = harness.free_port()
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "bench.peers", "quart", str(port)], stderr=subprocess.DEVNULL)
    try:
        return _first_200(process, port, "/ok", started)
    finally:
        process.terminate()
        process.wait(10)


def run(*, rounds: int) -> None:
    """Measure and print."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        servers = {}
        for name, config in CONFIGS.items():
            path = Path(folder, name.replace(" ", "-"))
            path.mkdir()
            servers[name] = Moorage(path, config)
        for turn in range(rounds):
            found.setdefault("bare Quart on Hypercorn", []).append(_quart())
            for name, server in servers.items():
                key = f"Moorage, {name}" + (", very first start" if turn == 0 else "")
                found.setdefault(key, []).append(_moorage(server))
    rows = [(name, *(report.median([row[i] for row in found[name]]) for i in range(3))) for name in sorted(found)]
    report.table("start to first 200", ("server", "seconds", "CPU s", "RSS MB"), rows)
    kept = {name: {"seconds": seconds, "cpu_s": cpu, "rss_mb": rss} for name, seconds, cpu, rss in rows}
    print(f"  kept in {report.save('start', kept)}")
