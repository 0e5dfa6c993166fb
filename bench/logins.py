"""Fifty people log in at once: how many get in, and what somebody notices who is logged in already."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench import peer_accounts, report
from bench.parts import OPEN, PATH
from bench.processes import PASSWORD, Plain, first_ready
from bench.targets import config, install_plugin

PEOPLE = 50
PACE = 0.01
"""Seconds between two cheap requests."""
IDLE, HASHES = "Moorage, idle", "Moorage, idle, hashes elsewhere"
LAG = re.compile(r"^moorage_event_loop_lag_seconds_(sum|count)(?:\{\})? (\S+)$", re.MULTILINE)


@dataclass
class _Server:
    """Where to ask, and the rounds until now. path: where 50 log in, or nobody does; elsewhere: hashes beside it."""

    port: int
    cookie: str
    path: str | None = None
    elsewhere: bool = False
    middle: list[float] = field(default_factory=list)
    slow: list[float] = field(default_factory=list)
    worst: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


@contextlib.asynccontextmanager
async def _connected(port: int) -> AsyncIterator[Callable[[bytes], Any]]:
    """One connection; what it gives sends a request and reads the answer, and returns the body of a 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(request: bytes) -> bytes:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise AssertionError(head.decode("latin-1"))
        return await reader.readexactly(int(length[1]))

    try:
        yield ask
    finally:
        writer.close()


def _request(port: int, first: str, *more: str, body: bytes = b"") -> bytes:
    lines = [f"{first} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Accept: */*", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def _logins(server: _Server, number: int, until: float) -> int:
    body = json.dumps({"username": f"ann{number}", "password": PASSWORD}).encode()
    heads = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    request = _request(server.port, f"POST {server.path}", *heads, body=body)
    count = 0
    async with _connected(server.port) as ask:
        while time.monotonic() < until:
            await ask(request)
            count += 1
    return count


async def _cheap(server: _Server, until: float) -> list[float]:
    """Milliseconds of each request with a session, counted from when it was due."""
    request, waits = _request(server.port, f"GET {PATH}", f"Cookie: {server.cookie}"), []
    async with _connected(server.port) as ask:
        due = time.monotonic()
        while due < until:
            await asyncio.sleep(due - time.monotonic())
            await ask(request)
            waits.append((time.monotonic() - due) * 1e3)
            due += PACE
    return waits


async def _storm(server: _Server, seconds: float) -> tuple[list[float], float]:
    """(milliseconds of the cheap requests, logins per second) of so many seconds."""
    started = time.monotonic()
    until = started + seconds
    people = [_logins(server, number, until) for number in range(PEOPLE)] if server.path else []
    # The cheap requests go on until the last login is answered.
    waits, *counts = await asyncio.gather(_cheap(server, until), *people)
    return waits, sum(counts) / (time.monotonic() - started)


def _bare(seconds: float) -> float:
    """Argon2 hashes a second that this machine makes in as many threads as the server has, and nothing else."""
    from moorage.config import Settings
    from pwdlib.hashers.argon2 import Argon2Hasher

    numbers = Settings().accounts
    hasher = Argon2Hasher(
        time_cost=numbers.argon2_time, memory_cost=numbers.argon2_memory_kib, parallelism=numbers.argon2_parallelism
    )
    stored, started = hasher.hash(PASSWORD), time.monotonic()

    def work() -> int:
        count = 0
        while time.monotonic() < started + seconds:
            hasher.verify(PASSWORD, stored)
            count += 1
        return count

    with ThreadPoolExecutor(numbers.argon2_threads) as threads:
        counts = [threads.submit(work) for _ in range(numbers.argon2_threads)]
        return sum(count.result() for count in counts) / (time.monotonic() - started)


def _lag(server: _Server) -> tuple[float, float]:
    """(sum of the event loop's lags in seconds, how many were measured)."""
    found = dict(LAG.findall(httpx.get(f"http://127.0.0.1:{server.port}/metrics").text))
    return (float(found["sum"]), float(found["count"])) if found else (0.0, 0.0)


def _round(server: _Server, seconds: float, rates: list[float]) -> None:
    before = _lag(server)
    hashes = subprocess.Popen([sys.executable, "-m", "bench.logins", str(seconds + 1)]) if server.elsewhere else None
    if hashes is not None:
        time.sleep(0.5)
    waits, rate = asyncio.run(_storm(server, seconds))
    if hashes is not None:
        hashes.wait()
    after = _lag(server)
    server.middle.append(report.median(waits))
    server.slow.append(report.percentile(waits, 99))
    server.worst.append(max(waits))
    if server.path:
        # Measured close by, so that what else the machine does hits both.
        rates.append(_bare(seconds / 2))
        server.rates.append(rate)
        server.shares.append(rate / rates[-1])
    if after[1] > before[1]:
        server.lags.append((after[0] - before[0]) / (after[1] - before[1]) * 1e3)


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[dict[str, _Server]]:
    with contextlib.ExitStack() as stack:
        moorage = first_ready(folder / "moorage", config("uvicorn"), PYTHONPATH=str(install_plugin(folder)))
        invite = moorage.cli("invites", "create", "--uses", str(PEOPLE)).stdout.strip()
        moorage.start()
        stack.callback(moorage.stop)
        here = (moorage.port, moorage.cookie(peer_accounts.NAME))
        for number in range(PEOPLE):
            account = {"invite_code": invite, "username": f"ann{number}", "password": PASSWORD}
            httpx.post(moorage.url + "/auth/register", json=account).raise_for_status()
        command = [sys.executable, "-m", "bench.hello", "quart-auth", "uvicorn", "{port}"]
        peer = stack.enter_context(Plain(command, OPEN).running())
        first = {"username": peer_accounts.NAME, "password": PASSWORD}
        jar = httpx.post(peer.url + peer_accounts.LOGIN, json=first).raise_for_status().cookies
        there = (peer.port, "; ".join(f"{name}={value}" for name, value in jar.items()))
        yield {
            IDLE: _Server(*here),
            HASHES: _Server(*here, elsewhere=True),
            "Moorage, 50 log in": _Server(*here, "/api/auth/login"),
            "quart-auth, idle": _Server(*there),
            "quart-auth, 50 log in, to_thread": _Server(*there, peer_accounts.LOGIN),
            "quart-auth, 50 log in, in the view": _Server(*there, peer_accounts.ON_LOOP),
        }


def run(*, rounds: int, seconds: float) -> None:
    """Measure and print."""
    print(f"\nlogins: {rounds} rounds of {seconds:g} s, argon2 as it is configured by default")
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)) as servers:
        for _ in range(rounds):
            for server in servers.values():
                _round(server, seconds, rates)
    idle = report.median(servers[IDLE].middle)
    rows = [
        (
            name,
            report.median(server.middle),
            report.median(server.middle) / idle,
            report.median(server.slow),
            report.median(server.worst),
            report.median(server.lags) if server.lags else "",
            report.median(server.rates) if server.path else "",
            report.median(server.shares) if server.path else "",
        )
        for name, server in servers.items()
    ]
    heads = ("server", "ms, middle", "× idle", "99 %", "worst", "lag ms", "logins/s", "of bare argon2")
    report.table(f"a cheap request every {PACE * 1e3:g} ms; bare argon2: {report.median(rates):.1f}/s", heads, rows)
    names = ("middle_ms", "over_idle", "p99_ms", "worst_ms", "lag_ms", "logins_per_s", "of_bare")
    print(f"  kept in {report.save('logins', {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows})}")


if __name__ == "__main__":
    _bare(float(sys.argv[1]))
