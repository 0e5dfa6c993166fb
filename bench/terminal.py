"""Shared terminals: a key's way to its output, and `seq 1 1000000` to many, versus terminado and tmux itself."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from bench import report, wsclient
from bench.processes import Moorage, Plain, cpu_seconds, first_ready

KEY = b"~"
"""Nothing in the protocols' envelopes looks like it."""
BETWEEN_KEYS = 0.02
"""Seconds: faster than a key that is held down repeats."""
END = b"flood-over-2"
SETTLE = 0.5
"""Seconds for a shell or a snapshot to arrive, before anything is timed."""
FLOOD = "seq 1 1000000; printf 'flood-over-%d\\n' 2 2 2 2 2 2 2 2"
"""Its end comes several times: one of them may be cut in two by a message's end."""


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


ECHO = "stty raw -echo; exec cat"
SHELL = "PS1='$ ' exec bash --norc --noprofile"


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


def moorage(tmux: Tmux, server: Moorage) -> Open:
    """Our plugin, by its contract: a claim, then `/ws/terminal/{name}`."""
    cookie = server.cookie("ann")

    @contextlib.asynccontextmanager
    async def open_(viewers: int, program: str) -> AsyncIterator[Terminal]:
        session = await tmux.session(program)
        async with httpx.AsyncClient(base_url=server.url, headers={"Cookie": cookie}) as client:
            (await client.post(f"/tmux/api/sessions/{session}/claim")).raise_for_status()
        async with _viewers(f"{server.ws_url}/tmux/ws/terminal/{session}", viewers, cookie) as (seats, clients):

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
            async with _viewers(server.url.replace("http", "ws") + "/ws", viewers, "") as (seats, clients):
                yield Terminal(seats, lambda text: clients[0].send(json.dumps(["stdin", text])), server.pid)

    return open_


@contextlib.asynccontextmanager
async def _viewers(url: str, count: int, cookie: str) -> AsyncIterator[tuple[list[Seat], list[wsclient.Viewer]]]:
    seats = [Seat() for _ in range(count)]
    clients: list[wsclient.Viewer] = []
    try:
        clients += [await wsclient.connect(url, seat.take, cookie=cookie) for seat in seats]
        await asyncio.sleep(SETTLE)
        yield seats, clients
    finally:
        for client in clients:
            client.transport.abort()


async def echo(open_: Open, viewers: int, keys: int) -> dict[str, float]:
    """One key at a time: ms until the one who typed sees it, and until the last viewer does."""
    own, last = [], []
    async with open_(viewers, ECHO) as terminal:
        before = terminal.cpu()
        for _ in range(keys):
            waiting = [seat.expect(KEY) for seat in terminal.seats]
            pressed = time.perf_counter()
            terminal.type(KEY.decode())
            async with asyncio.timeout(10):
                seen = await asyncio.gather(*waiting)
            own.append((seen[0] - pressed) * 1000)
            last.append((max(seen) - pressed) * 1000)
            await asyncio.sleep(BETWEEN_KEYS)
        cpu = (terminal.cpu() - before) / keys * 1e6
    return {
        "p50": report.percentile(own, 50),
        "p95": report.percentile(own, 95),
        "last_p50": report.percentile(last, 50),
        "last_p95": report.percentile(last, 95),
        "cpu_us": cpu,
    }


async def flood(open_: Open, viewers: int) -> dict[str, float]:
    """Seconds until every viewer saw the end, the server's CPU, and how much of the flood each was sent."""
    async with open_(viewers, SHELL) as terminal:
        waiting = [seat.expect(END) for seat in terminal.seats]
        before, started = terminal.cpu(), time.perf_counter()
        terminal.type(FLOOD + "\r")
        async with asyncio.timeout(120):
            seen = await asyncio.gather(*waiting)
        return {
            "seconds": max(seen) - started,
            "cpu_s": terminal.cpu() - before,
            "mb_each": report.median([seat.size for seat in terminal.seats]) / 1e6,
            "snapshots": report.median([seat.snapshots for seat in terminal.seats]),
        }


async def _measure(keys: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        tmux = Tmux(Path(folder))
        tmux.run("new-session", "-d", "-s", "keeper", "exec sleep 1000000")
        stack.callback(tmux.run, "kill-server")
        ways: dict[str, tuple[Open, bool]] = {"tmux -C, raw read": (control_mode(tmux), False)}
        for engine in ["hypercorn"] + (["uvicorn"] if importlib.util.find_spec("uvicorn") else []):
            config = {
                "server": {"engine": engine, "access_log": False},
                "limits": {"enabled": False},
                "plugins": {"tmux": {"enabled": True, "mount": ["/tmux"], "socket_name": tmux.name}},
            }
            server = first_ready(Path(folder, engine), config, TMUX_TMPDIR=folder)
            server.start()
            stack.callback(server.stop)
            ways[f"Moorage, {engine}"] = (moorage(tmux, server), True)
        if importlib.util.find_spec("terminado"):
            ways["terminado"] = (terminado(), True)
        echoes: dict[str, list[dict[str, float]]] = {}
        floods: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            for name, (open_, many) in ways.items():
                for viewers in (1, 20, 100) if many else (1,):
                    echoes.setdefault(f"{name}, {viewers}", []).append(await echo(open_, viewers, keys))
                for viewers in (1, 20) if many else (1,):
                    floods.setdefault(f"{name}, {viewers}", []).append(await flood(open_, viewers))
    return {"echo": _medians(echoes), "flood": _medians(floods)}


def _medians(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {name: {key: report.median([row[key] for row in rows]) for key in rows[0]} for name, rows in found.items()}


def run(*, keys: int, rounds: int) -> None:
    """Measure and print."""
    if shutil.which("tmux") is None:
        print("terminal: needs tmux (Debian: apt install tmux); left out")
        return
    found = asyncio.run(_measure(keys, rounds))
    heads = ("way, viewers", "p50 ms", "p95 ms", "last viewer p50", "p95", "CPU µs/key")
    report.table("a key until its output", heads, [(name, *row.values()) for name, row in found["echo"].items()])
    limit = found["flood"]["tmux -C, raw read, 1"]["seconds"]
    heads = ("way, viewers", "seconds", "× tmux -C", "CPU s", "MB each", "snapshots each")
    rows = [
        (name, row["seconds"], row["seconds"] / limit, row["cpu_s"], row["mb_each"], row["snapshots"])
        for name, row in found["flood"].items()
    ]
    report.table("seq 1 1000000 until every viewer saw its end", heads, rows)
    print(f"  kept in {report.save('terminal', found)}")
