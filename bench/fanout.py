"""One producer, many viewers: 1 KB × 50 messages a second to 200 sockets, by `Socket.post` and in other ways."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bench import report, wsclient
from bench.processes import Plain, cpu_seconds, first_ready, rss_mb

import fakedist  # isort: skip  (found through bench.processes)

PLUGIN = """
import asyncio, time
from moorage.api import *

class Bench(Plugin):
    manifest = Manifest(name="bench", version="1.0", summary="Fan-out", mounts=("/bench",),
                        permissions=(Permission("bench:thing:read", "Read", default="viewer"),))

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()
        viewers = set()

        async def post(text):
            for viewer in viewers:
                viewer.post(text)

        async def send(text):
            for viewer in list(viewers):
                await viewer.send(text)

        async def asgi(text):
            for viewer in list(viewers):
                await viewer._send({"type": "websocket.send", "text": text})

        async def produce(how, count, rate):
            fan = {"post": post, "send": send, "asgi": asgi}[how]
            start = time.monotonic()
            for number in range(count):
                await asyncio.sleep(max(0, start + number / rate - time.monotonic()))
                await fan(f"{time.monotonic_ns()}:".ljust(1024, "x"))

        @routes.socket("/fan", access="bench:thing:read")
        async def fan(socket):
            await socket.accept()
            viewers.add(socket)
            try:
                async for message in socket:
                    how, count, rate = message.split()
                    hub.tasks.spawn(produce(how, int(count), float(rate)), "produce")
            finally:
                viewers.discard(socket)

        return routes
"""
WAYS = {"post": "Socket.post", "send": "await Socket.send", "asgi": "await of the engine's own send"}


class Audience:
    """Viewers that count messages and how late they came."""

    def __init__(self) -> None:
        self.viewers: list[wsclient.Viewer] = []
        self.late: list[float] = []
        self.got = 0

    def take(self, payload: bytes) -> None:
        """One message at one viewer."""
        self.got += 1
        if self.got % 16 == 0:
            self.late.append((time.monotonic_ns() - int(payload[: payload.index(b":")])) / 1e6)

    async def join(self, url: str, count: int, cookie: str) -> None:
        """Open `count` connections."""
        for _ in range(count):
            self.viewers.append(await wsclient.connect(url, self.take, cookie=cookie))

    async def measure(self, pid: int, how: str, messages: int, rate: float) -> tuple[float, float, float, float]:
        """(CPU µs per delivered message, delivered share, p50 and p99 ms late)."""
        self.got, self.late = 0, []
        before = cpu_seconds(pid)
        self.viewers[0].send(f"{how} {messages} {rate:g}")
        wanted = messages * len(self.viewers)
        until = time.monotonic() + messages / rate + 5
        while self.got < wanted and time.monotonic() < until:
            await asyncio.sleep(0.05)
        cost = (cpu_seconds(pid) - before) / max(1, self.got) * 1e6
        return cost, self.got / wanted, report.percentile(self.late, 50), report.percentile(self.late, 99)


@contextlib.asynccontextmanager
async def _audience(url: str, count: int, cookie: str = "") -> AsyncIterator[Audience]:
    audience = Audience()
    try:
        await audience.join(url, count, cookie)
        yield audience
    finally:
        for viewer in audience.viewers:
            viewer.transport.abort()


async def _measure(viewers: int, messages: int, rounds: int) -> dict[str, dict[str, Any]]:
    engines = ["hypercorn"] + (["uvicorn"] if importlib.util.find_spec("uvicorn") else [])
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        site = Path(folder, "site")
        site.mkdir()
        fakedist.install(site, "bench", PLUGIN, cls="Bench")
        runs: dict[str, tuple[str, int, str, str]] = {}
        for engine in engines:
            config = {
                "server": {"engine": engine},
                "plugins": {"bench": {"enabled": True}},
                "limits": {"enabled": False},
            }
            server = first_ready(Path(folder, engine), config, PYTHONPATH=str(site))
            server.start()
            stack.callback(server.stop)
            cookie = server.cookie("ann")
            for how, name in WAYS.items():
                runs[f"{name}, {engine}"] = (server.ws_url + "/bench/fan", server.pid, cookie, how)
        if importlib.util.find_spec("websockets"):
            peer = Plain([sys.executable, "-m", "bench.peers", "broadcast", "{port}"], "/ok")
            stack.enter_context(peer.running())
            runs["websockets.broadcast"] = (peer.url.replace("http", "ws") + "/fan", peer.pid, "", "post")
        found: dict[str, list[tuple[float, ...]]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, (url, pid, cookie, how) in runs.items():
                async with _audience(url, viewers, cookie) as audience:
                    found[name].append((*await audience.measure(pid, how, messages, 50), rss_mb(pid)))
    keys = ("cpu_us", "delivered", "p50_ms", "p99_ms", "rss_mb")
    return {
        name: {key: report.median([row[i] for row in rows]) for i, key in enumerate(keys)}
        for name, rows in found.items()
    }


def run(*, viewers: int = 200, seconds: float, rounds: int) -> None:
    """Measure and print."""
    found = asyncio.run(_measure(viewers, round(50 * seconds), rounds))
    heads = ("way", "CPU µs/message", "delivered", "p50 ms", "p99 ms", "RSS MB")
    report.table(
        f"fan-out: 1 KB × 50/s to {viewers} viewers", heads, [(name, *row.values()) for name, row in found.items()]
    )
    print(f"  kept in {report.save('fanout', {'viewers': viewers, 'ways': found})}")
