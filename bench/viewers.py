"""What viewers and watched sessions cost while nothing is typed: memory, CPU, and a crowd that joins at once."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from bench import report, ways, wsclient
from bench.processes import Moorage, Plain, children, cpu_seconds, rss_mb

FLOOD = "seq 1 200000; printf 'flood-over-%d\\n' 2 2 2 2 2 2 2 2"
END = b"flood-over-2"
EACH = 20
"""Viewers of each idle session."""


class Crowd:
    """Viewers who come and stay; `urls` and `who` (cookies) are taken in turn."""

    def __init__(self, urls: Sequence[str], who: Sequence[str] = ("",), wanted: bytes = b'"snapshot":true') -> None:
        self._urls, self._who, self._wanted = urls, who, wanted
        self.seats: list[ways.Seat] = []
        self.clients: list[wsclient.Viewer] = []

    async def grow(self, count: int) -> float:
        """Let them be `count`, the new ones all at once; seconds until each of those saw the screen."""
        numbers = range(len(self.seats), count)
        seats = [ways.Seat() for _ in numbers]
        waiting = [seat.expect(self._wanted) for seat in seats]
        started = time.perf_counter()
        self.clients += await asyncio.gather(
            *(
                wsclient.connect(
                    self._urls[number % len(self._urls)], seat.take, cookie=self._who[number % len(self._who)]
                )
                for number, seat in zip(numbers, seats, strict=True)
            )
        )
        async with asyncio.timeout(60):
            seen = await asyncio.gather(*waiting)
        self.seats += seats
        return max(seen, default=started) - started

    async def flooded(self, type_in: Callable[[str], None]) -> None:
        """A flood that everybody sees to its end."""
        waiting = [seat.expect(END) for seat in self.seats]
        type_in(FLOOD + "\r")
        async with asyncio.timeout(120):
            await asyncio.gather(*waiting)

    def leave(self) -> None:
        """All at once."""
        for client in self.clients:
            client.transport.abort()


async def _memory(pid: int, crowd: Crowd, crowds: Sequence[int], type_in: Callable[[str], None]) -> dict[str, Any]:
    """By number of viewers: MB idle, MB after a flood, seconds and CPU ms per viewer in which the new ones joined."""
    found: dict[str, Any] = {}
    for count in crowds:
        joining, before = count - len(crowd.seats), cpu_seconds(pid)
        seconds = await crowd.grow(count)
        cpu = (cpu_seconds(pid) - before) / joining * 1000
        await asyncio.sleep(1)
        idle = rss_mb(pid)
        await crowd.flooded(type_in)
        await asyncio.sleep(1)
        found[str(count)] = {"idle_mb": idle, "flooded_mb": rss_mb(pid), "join_s": seconds, "join_cpu_ms": cpu}
    first, last = crowds[-2:]
    for key in ("idle_mb", "flooded_mb"):
        grown = found[str(last)][key] - found[str(first)][key]
        found[f"{key[:-3]}_kb_each"] = grown * 1024 / (last - first)
    return found


async def _of_moorage(tmux: ways.Tmux, folder: Path, engine: str, crowds: Sequence[int]) -> dict[str, Any]:
    server = ways.server_over(tmux, folder, engine)
    try:
        who = ways.cookies(server)
        session = await tmux.session(ways.SHELL)
        await _claim(server, who[0], session)
        crowd = Crowd([f"{server.ws_url}/tmux/ws/terminal/{session}"], who)
        try:
            return await _memory(
                server.pid,
                crowd,
                crowds,
                lambda text: crowd.clients[0].send(json.dumps({"type": "sendKeys", "keys": text})),
            )
        finally:
            crowd.leave()
    finally:
        server.stop()


async def _of_terminado(crowds: Sequence[int]) -> dict[str, Any]:
    peer = Plain([sys.executable, "-m", "bench.peers", "terminado", "{port}", ways.SHELL], "/ok")
    with peer.running():
        crowd = Crowd([peer.url.replace("http", "ws") + "/ws"], wanted=b'["setup"')
        try:
            return await _memory(
                peer.pid, crowd, crowds, lambda text: crowd.clients[0].send(json.dumps(["stdin", text]))
            )
        finally:
            crowd.leave()


async def _claim(server: Moorage, cookie: str, session: str) -> None:
    async with httpx.AsyncClient(base_url=server.url, headers={"Cookie": cookie}) as client:
        (await client.post(f"/tmux/api/sessions/{session}/claim")).raise_for_status()


async def _idle(tmux: ways.Tmux, folder: Path, engine: str, sessions: int, seconds: float) -> dict[str, float]:
    """CPU ms a second and memory with no viewer, and with sessions that are watched by EACH viewers and do nothing."""
    # Without pings, which every socket has and which cost the same whatever it shows.
    server = ways.server_over(tmux, folder, engine, ws_ping_interval=0)
    try:
        who = ways.cookies(server)
        await asyncio.sleep(2)
        alone = await _used(server.pid, seconds)
        before = rss_mb(server.pid)
        urls = [f"{server.ws_url}/tmux/ws/terminal/{await tmux.session(ways.ECHO)}" for _ in range(sessions)]
        crowd = Crowd(urls, who)
        try:
            await crowd.grow(sessions)
            await asyncio.sleep(1)
            each = (rss_mb(server.pid) - before) * 1024 / sessions
            await crowd.grow(sessions * EACH)
            await asyncio.sleep(2)
            watched = await _used(server.pid, seconds)
            clients = [rss_mb(pid) for pid in children(server.pid)]
        finally:
            crowd.leave()
    finally:
        server.stop()
    return {
        "alone_ms": alone,
        "watched_ms": watched,
        "session_ms": max(0.0, watched - alone) / sessions,
        "session_kb": each,
        "client_mb": report.median(clients),
    }


async def _used(pid: int, seconds: float) -> float:
    """CPU ms a second of a server and its tmux clients."""
    pids = [pid, *children(pid)]
    before = sum(map(cpu_seconds, pids))
    await asyncio.sleep(seconds)
    return (sum(map(cpu_seconds, pids)) - before) / seconds * 1000


async def _measure(crowds: Sequence[int], sessions: int, seconds: float) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    idle: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        tmux = ways.Tmux(Path(folder))
        tmux.run("new-session", "-d", "-s", "keeper", "exec sleep 1000000")
        stack.callback(tmux.run, "kill-server")
        for engine in ways.engines():
            name = f"Moorage, {engine}"
            memory[name] = await _of_moorage(tmux, Path(folder), engine, crowds)
            idle[name] = await _idle(tmux, Path(folder), engine, sessions, seconds)
        if importlib.util.find_spec("terminado"):
            # Not the largest crowd: terminado shows each who joins the last thousand pieces of output, and to
            # hundreds at once after a flood that takes longer than their connections last.
            memory["terminado"] = await _of_terminado(crowds[:-1])
    return {"memory": memory, "idle": idle}


def run(*, crowds: Sequence[int], sessions: int, idle: float) -> None:
    """Measure and print."""
    if shutil.which("tmux") is None:
        print("viewers: needs tmux (Debian: apt install tmux); left out")
        return
    found = asyncio.run(_measure(crowds, sessions, idle))
    rows: list[tuple[object, ...]] = [
        (f"{name}, {count}", *row[str(count)].values())
        for name, row in found["memory"].items()
        for count in crowds
        if str(count) in row
    ]
    heads = ("way, viewers", "MB idle", "MB after a flood", "all joined in s", "CPU ms/join")
    report.table("viewers of one session", heads, rows)
    for name, row in found["memory"].items():
        print(f"  {name}: {row['idle_kb_each']:.0f} KB per viewer, {row['flooded_kb_each']:.0f} after a flood")
    heads = ("server", "CPU ms/s alone", "watched", "per session", "KB per session", "MB per tmux client")
    title = f"{sessions} sessions that do nothing, {EACH} viewers each, {idle:g} s"
    report.table(title, heads, [(name, *row.values()) for name, row in found["idle"].items()])
    print(f"  kept in {report.save('viewers', found)}")
