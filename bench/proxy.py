"""A way through the proxy and through its peers: small answers, 100 MB both ways, events, WebSocket messages."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bench import load, report
from bench.processes import cpu_seconds, rss_mb
from bench.proxies import Way, ways
from bench.upstream import LARGE_BYTES

Measured = dict[str, float]


def run(*, rounds: int, seconds: float) -> None:
    """Measure and print."""
    print(f"\nproxy: {rounds} rounds; small answers by {load.generator()}, {seconds:g} s each")
    data: dict[str, Any] = {"load": load.generator()}
    with tempfile.TemporaryDirectory() as folder, ways(Path(folder)) as found:
        parts: dict[str, Callable[[Way], Measured]] = {
            "small": lambda way: _small(way, seconds),
            "large": _large,
            "events": lambda way: asyncio.run(_events(way, seconds)),
            "sockets": lambda way: asyncio.run(_sockets(way, seconds)),
        }
        for part, measure in parts.items():
            rows: dict[str, list[Measured]] = {way.name: [] for way in found}
            for _ in range(rounds):
                for way in found:
                    rows[way.name].append(measure(way))
            data[part] = _tell(part, rows)
    print(f"  kept in {report.save('proxy', data)}")


def _tell(part: str, rows: dict[str, list[Measured]]) -> dict[str, Measured]:
    middle = {
        name: {key: statistics.median(row[key] for row in found) for key in found[0]} for name, found in rows.items()
    }
    heads = ("way", *next(iter(middle.values())))
    report.table(part, heads, [(name, *values.values()) for name, values in middle.items()])
    return middle


@contextlib.contextmanager
def _cpu(way: Way) -> Any:
    """A function that tells the CPU seconds of the proxy since the beginning."""
    before = cpu_seconds(way.pid) if way.pid is not None else 0.0
    yield lambda: (cpu_seconds(way.pid) - before) if way.pid is not None else 0.0


def _small(way: Way, seconds: float) -> Measured:
    """1 KB with 64 connections, and the wait of one client alone."""
    header = f"Cookie: {way.cookie}" if way.cookie else ""
    load.requests(way.url + "/small", seconds=1, header=header)
    with _cpu(way) as used:
        count = load.requests(way.url + "/small", seconds=seconds, header=header)
        cost = used() / count * 1e6
    waits = []
    with contextlib.closing(_connection(way)) as client:
        for _ in range(300):
            start = time.perf_counter()
            client.request("GET", _path(way, "/small"), headers=_headers(way))
            client.getresponse().read()
            waits.append((time.perf_counter() - start) * 1e6)
    return {"CPU µs/request": cost, "requests/s": count / seconds, "alone p50 µs": report.percentile(waits, 50)}


def _large(way: Way) -> Measured:
    """100 MB down and up: seconds, CPU seconds, and by how much memory grew."""
    before = rss_mb(way.pid) if way.pid is not None else 0.0
    highest = before
    piece = bytes(1 << 18)
    with _cpu(way) as used, contextlib.closing(_connection(way)) as client:
        start = time.perf_counter()
        client.request("GET", _path(way, "/large"), headers=_headers(way))
        answer, got = client.getresponse(), 0
        while data := answer.read(1 << 20):
            got += len(data)
        assert got == LARGE_BYTES
        down, down_cpu = time.perf_counter() - start, used()
        highest = max(highest, rss_mb(way.pid)) if way.pid is not None else 0.0
        start = time.perf_counter()
        body = (piece for _ in range(LARGE_BYTES // len(piece)))
        sized = {"Content-Length": str(LARGE_BYTES)}
        client.request("POST", _path(way, "/sink"), body=body, headers=_headers(way) | sized)
        assert int(client.getresponse().read()) == LARGE_BYTES
        up, up_cpu = time.perf_counter() - start, used() - down_cpu
        highest = max(highest, rss_mb(way.pid)) if way.pid is not None else 0.0
    return {"down s": down, "down CPU s": down_cpu, "up s": up, "up CPU s": up_cpu, "RSS + MB": highest - before}


async def _events(way: Way, seconds: float) -> Measured:
    """One stream of 1000 events a second, and 200 streams of five: how late, and at what CPU."""
    late, cost = await _streams(way, 1, 1000, seconds)
    late_many, cost_many = await _streams(way, 200, 5, seconds)
    return {
        "1 stream: CPU µs/event": cost,
        "late p50 µs": report.percentile(late, 50),
        "p99 µs": report.percentile(late, 99),
        "200: CPU µs/event": cost_many,
        "200: p99 ms": report.percentile(late_many, 99) / 1000,
    }


async def _streams(way: Way, count: int, rate: float, seconds: float) -> tuple[list[float], float]:
    late: list[float] = []
    url = f"{way.url}/events?count={round(rate * seconds)}&rate={rate:g}"

    async def follow(session: aiohttp.ClientSession) -> None:
        async with session.get(url, headers=_headers(way)) as answer:
            assert answer.status == 200, await answer.text()
            async for line in answer.content:
                if line.startswith(b"data: "):
                    late.append((time.monotonic_ns() - int(line[6:])) / 1000)  # noqa: PERF401

    with _cpu(way) as used:
        await _with_session(lambda session: asyncio.gather(*(follow(session) for _ in range(count))))
        assert len(late) == count * round(rate * seconds)
        return late, used() / len(late) * 1e6


async def _sockets(way: Way, seconds: float) -> Measured:
    """Ping-pong of 100 bytes on 50 connections, then 64 KB on four; the wait of one alone."""
    _, _, waits = await _pingpong(way, 1, 100, min(1, seconds))
    cost, rate, _ = await _pingpong(way, 50, 100, seconds)
    cost_64, rate_64, _ = await _pingpong(way, 4, 64 * 1024, seconds)
    return {
        "CPU µs/message": cost,
        "messages/s": rate,
        "alone p50 µs": report.percentile(waits, 50),
        "64 KB: CPU µs/message": cost_64,
        "64 KB/s": rate_64,
    }


async def _pingpong(way: Way, connections: int, size: int, seconds: float) -> tuple[float, float, list[float]]:
    waits: list[float] = []
    payload = b"p" * size
    until = time.perf_counter() + seconds

    async def one(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(
            way.url.replace("http", "ws", 1) + "/echo", headers=_headers(way), max_msg_size=1 << 24
        ) as socket:
            while (start := time.perf_counter()) < until:
                await socket.send_bytes(payload)
                answer = await socket.receive_bytes()
                assert len(answer) == size
                waits.append((time.perf_counter() - start) * 1e6)

    with _cpu(way) as used:
        await _with_session(lambda session: asyncio.gather(*(one(session) for _ in range(connections))))
        # A message there and one back.
        return used() / (2 * len(waits)) * 1e6, 2 * len(waits) / seconds, waits


async def _with_session(work: Callable[[aiohttp.ClientSession], Awaitable[Any]]) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await work(session)


def _headers(way: Way) -> dict[str, str]:
    return {"Cookie": way.cookie} if way.cookie else {}


def _connection(way: Way) -> http.client.HTTPConnection:
    parts = urlsplit(way.url)
    return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=120)


def _path(way: Way, path: str) -> str:
    return urlsplit(way.url).path + path
