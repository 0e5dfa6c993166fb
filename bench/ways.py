"""Terminals to measure, each with its viewers: ours over tmux, tmux alone, and servers that share a bare pty."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import httpx

from bench import wsclient
from bench.processes import Moorage, Plain, cpu_seconds, first_ready

SETTLE = 0.5
"""Seconds for a shell or a snapshot to arrive, before anything is timed."""
ECHO = "stty raw -echo; exec cat"
SHELL = "PS1='$ ' exec bash --norc --noprofile"
USERS = 5
"""Who the viewers of one terminal are, in turn."""


class Seat:
    """One viewer, who waits for a piece of text."""

    def __init__(self) -> None:
        self.size = 0
        self.snapshots = 0
        self._wanted = b""
        self._tail = b""
        self._seen: asyncio.Future[float] | None = None

    def expect(self, text: bytes) -> asyncio.Future[float]:
        """When `text` comes next (`perf_counter`)."""
        self._wanted, self._tail, self.size, self.snapshots = text, b"", 0, 0
        self._seen = asyncio.get_running_loop().create_future()
        return self._seen

    def take(self, payload: bytes) -> None:
        """What came, in whatever envelope."""
        self.size += len(payload)
        self.snapshots += b'"snapshot":true' in payload[:400] or b'"snapshot": true' in payload[:400]
        if self._seen is not None and not self._seen.done():
            if self._wanted in self._tail + payload:
                self._seen.set_result(time.perf_counter())
            self._tail = payload[-40:]


class Terminal:
    """One terminal with its viewers. cpu: seconds that the server process has used so far."""

    def __init__(self, seats: list[Seat], type_in: Callable[[str], None], pid: int) -> None:
        self.seats, self.type, self._pid = seats, type_in, pid

    def cpu(self) -> float:
        """Of the server."""
        return cpu_seconds(self._pid)


Open = Callable[[int, str], contextlib.AbstractAsyncContextManager[Terminal]]


class Tmux:
    """A tmux server of our own."""

    def __init__(self, folder: Path) -> None:
        self.name = f"bench{os.getpid()}"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMUX_TMPDIR": str(folder), "LANG": "C.UTF-8"}
        self._count = 0
        self.command = ["tmux", "-u", "-L", self.name, "-f", "/dev/null"]

    def run(self, *arguments: str) -> None:
        """One command."""
        subprocess.run([*self.command, *arguments], env=self.env, check=True, timeout=20, capture_output=True)

    async def session(self, program: str) -> str:
        """A fresh session with a program in it; returns its name.

        It stays until the end, and time passes before anybody attaches: the server of tmux 3.3a crashes when a
        control client attaches at the moment at which a session comes or goes.
        """
        self._count += 1
        name = f"bench{self._count}"
        self.run("new-session", "-d", "-s", name, "-x", "80", "-y", "24", program)
        await asyncio.sleep(SETTLE)
        return name


def control_mode(tmux: Tmux) -> Open:
    """`tmux -C` read raw by one reader: what any server over it can at best be."""

    @contextlib.asynccontextmanager
    async def open_(viewers: int, program: str) -> AsyncIterator[Terminal]:
        session = await tmux.session(program)
        process = await asyncio.create_subprocess_exec(
            *tmux.command, "-C", "attach", "-t", session, env=tmux.env,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout, seat = process.stdin, process.stdout, Seat()

        async def read() -> None:
            while data := await stdout.read(65536):
                seat.take(data)

        def type_in(text: str) -> None:
            stdin.write(f"send-keys -t {session} -H {text.encode().hex(' ')}\n".encode())

        reader = asyncio.create_task(read())
        try:
            await asyncio.sleep(SETTLE)
            yield Terminal([seat], type_in, process.pid)
        finally:
            stdin.close()
            await process.wait()
            await reader

    return open_


def engines() -> list[str]:
    """Those that are installed."""
    return ["hypercorn"] + (["uvicorn"] if importlib.util.find_spec("uvicorn") else [])


def server_over(tmux: Tmux, folder: Path, engine: str, **settings: object) -> Moorage:
    """A started Moorage whose plugin uses that tmux, without limits. settings: more of `[server]`."""
    config = {
        "server": {"engine": engine, "access_log": False, "max_sockets_per_user": 1000, **settings},
        "limits": {"enabled": False},
        "plugins": {
            "tmux": {
                "enabled": True,
                "mount": ["/tmux"],
                "socket_name": tmux.name,
                "messages_per_second": 100_000,
            }
        },
    }
    place = Path(tempfile.mkdtemp(dir=folder), engine)
    server = first_ready(place, config, TMUX_TMPDIR=str(folder))
    for number in range(1, USERS):
        server.add_user(f"ann{number}", "operator")
    server.start()
    return server


def cookies(server: Moorage) -> list[str]:
    """Of each user; the first is the one who may type."""
    return [server.cookie("ann"), *(server.cookie(f"ann{number}") for number in range(1, USERS))]


def moorage(tmux: Tmux, server: Moorage) -> Open:
    """Our plugin, by its contract: a claim, then `/ws/terminal/{name}`."""
    who = cookies(server)

    @contextlib.asynccontextmanager
    async def open_(viewers: int, program: str) -> AsyncIterator[Terminal]:
        session = await tmux.session(program)
        async with httpx.AsyncClient(base_url=server.url, headers={"Cookie": who[0]}) as client:
            (await client.post(f"/tmux/api/sessions/{session}/claim")).raise_for_status()
        async with watching(f"{server.ws_url}/tmux/ws/terminal/{session}", viewers, who) as (seats, clients):

            def type_in(text: str) -> None:
                clients[0].send(json.dumps({"type": "sendKeys", "keys": text}))

            yield Terminal(seats, type_in, server.pid)

    return open_


def terminado() -> Open:
    """terminado, all viewers on one terminal."""

    @contextlib.asynccontextmanager
    async def open_(viewers: int, program: str) -> AsyncIterator[Terminal]:
        server = Plain([sys.executable, "-m", "bench.peers", "terminado", "{port}", program], "/ok")
        with server.running():
            async with watching(server.url.replace("http", "ws") + "/ws", viewers) as (seats, clients):
                yield Terminal(seats, lambda text: clients[0].send(json.dumps(["stdin", text])), server.pid)

    return open_


def single(engine: str) -> Open:
    """A pty of one's own behind a WebSocket, raw ASGI: what ttyd does, on our engine. For one viewer."""

    @contextlib.asynccontextmanager
    async def open_(viewers: int, program: str) -> AsyncIterator[Terminal]:
        server = Plain([sys.executable, "-m", "bench.peers", engine, "{port}", program], "/ok")
        with server.running():
            async with watching(server.url.replace("http", "ws") + "/ws", viewers) as (seats, clients):
                yield Terminal(seats, clients[0].send, server.pid)

    return open_


@contextlib.asynccontextmanager
async def watching(
    url: str, count: int, who: Sequence[str] = ("",)
) -> AsyncIterator[tuple[list[Seat], list[wsclient.Viewer]]]:
    """So many clients at one address, signed in by these cookies in turn."""
    seats = [Seat() for _ in range(count)]
    clients: list[wsclient.Viewer] = []
    try:
        for number, seat in enumerate(seats):
            clients.append(await wsclient.connect(url, seat.take, cookie=who[number % len(who)]))
        await asyncio.sleep(SETTLE + count / 500)
        yield seats, clients
    finally:
        for client in clients:
            client.transport.abort()
