"""A key's way through a session's terminal to its output, versus a bare pty behind a WebSocket on the same engine."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from bench import report, ways
from bench.processes import PASSWORD, Moorage, first_ready
from bench.terminal import echo
from bench.ways import Open, Terminal

import agentstub  # isort: skip  (found through bench.processes)
import harness  # isort: skip


def server_of(folder: Path, engine: str) -> Moorage:
    """A started server whose sessions' shell gives back each byte, without limits."""
    place = folder / engine
    place.mkdir()
    settings = agentstub.standin(place)
    settings["plugins"]["opencode"]["shell"] = f"sh -c '{ways.ECHO}'"
    core = {"server": {"engine": engine, "access_log": False}, "limits": {"enabled": False}}
    server = first_ready(place / "server", harness.merged(settings, core))
    server.start()
    return server


def session_terminal(server: Moorage) -> Open:
    """The contract's dialect of `/api/session/{id}/term`: a message is typed, what comes is output."""

    @contextlib.asynccontextmanager
    async def open_(viewers: int, program: str) -> AsyncIterator[Terminal]:
        project = server.folder.parent / "projects" / "one"
        project.mkdir(exist_ok=True)
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
            login = await client.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})
            client.headers["Authorization"] = f"Bearer {login.json()['token']}"
            made = await client.post("/api/sessions", json={"project_path": str(project)})
            made.raise_for_status()
            path = f"/api/sessions/{made.json()['id']}"
            try:
                where = f"{server.ws_url}{path}/terminal"
                async with ways.watching(where, viewers, [server.cookie("ann")]) as (seats, clients):
                    yield Terminal(seats, clients[0].send, server.pid)
            finally:
                (await client.delete(path)).raise_for_status()

    return open_


async def _measure(keys: int, rounds: int) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        terminals: dict[str, Open] = {}
        for engine in ways.engines():
            server = server_of(Path(folder), engine)
            stack.callback(server.stop)
            terminals[f"Moorage, {engine}"] = session_terminal(server)
            terminals[f"bare pty, {engine}"] = ways.single(engine)
        for _ in range(rounds):
            for name, open_ in terminals.items():
                found.setdefault(name, []).append(await echo(open_, 1, keys))
    return {name: {key: report.median([row[key] for row in rows]) for key in rows[0]} for name, rows in found.items()}


def run(*, keys: int, rounds: int) -> None:
    """Measure and print."""
    found: dict[str, Any] = asyncio.run(_measure(keys, rounds))
    heads = ("way", "p50 ms", "p95", "p99", "last viewer p50", "p95", "p99", "CPU µs/key", "load")
    report.table("a key until its output, in a session", heads, [(name, *row.values()) for name, row in found.items()])
    print(f"  kept in {report.save('session_terminal', found)}")
