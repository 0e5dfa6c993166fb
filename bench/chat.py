"""Streamed answers: what a way to a model adds to the first token and to each one, alone and with 200 at once."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from bench import report
from bench.chat_client import Stream
from bench.chat_ways import Way, started

SHAPES = {"first": (1, 0.0), "paced": (100, 1000.0), "at once": (500, 0.0)}
"""(tokens, a second); rate 0: as fast as they can be sent."""
CROWD = 200
CROWD_TOKENS, CROWD_RATE = 25, 5.0
SETTLE = 0.02
Measured = dict[str, float]


def run(*, rounds: int, answers: int) -> None:
    """Measure and print. answers: of each way and shape in a round, one after the other."""
    print(f"\nchat: {rounds} rounds of {answers} answers")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        ways = started(Path(folder), stack)
        for way in ways:
            asyncio.run(_one(way, 20, 0.0))
        alone = asyncio.run(_alone(ways, rounds * answers))
        crowd = asyncio.run(_crowds(ways, rounds))
    _tell(alone, crowd)
    print(f"  kept in {report.save('chat', {'alone': alone, 'crowd': crowd})}")


async def _one(way: Way, tokens: int, rate: float) -> tuple[Stream, float]:
    """An answer on a connection of its own, and the CPU seconds that it took."""
    (request,) = await asyncio.to_thread(way.requests, 1, tokens, rate)
    stream = await Stream.open(way.url)
    await asyncio.sleep(SETTLE)  # The server has taken the connection, and nothing else is to do.
    before = way.cpu()
    await stream.ask(request, tokens)
    used = way.cpu() - before
    stream.close()
    return stream, used


async def _alone(ways: list[Way], answers: int) -> dict[str, Measured]:
    """One client; the ways take turns answer by answer, so that all meet the same machine."""
    firsts: dict[str, list[float]] = {way.name: [] for way in ways}
    late: dict[str, list[float]] = {way.name: [] for way in ways}
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    costs: dict[str, dict[str, list[float]]] = {way.name: {shape: [] for shape in SHAPES} for way in ways}
    for _ in range(answers):
        for shape, (tokens, rate) in SHAPES.items():
            for way in ways:
                stream, used = await _one(way, tokens, rate)
                costs[way.name][shape].append(used)
                firsts[way.name].append(stream.first * 1000)
                if shape == "paced":
                    late[way.name] += stream.late
                elif shape == "at once":
                    seconds[way.name].append(stream.took - stream.first)
    found = {}
    for way in ways:
        base, cost = costs[way.name]["first"], costs[way.name]
        asked = report.median(base)
        found[way.name] = {
            "first token p50 ms": report.median(firsts[way.name]),
            "p99 ms": report.percentile(firsts[way.name], 99),
            "CPU ms/answer": asked * 1000,
            "late p50 µs": report.median(late[way.name]),
            "late p99 µs": report.percentile(late[way.name], 99),
            "CPU µs/token": (report.median(cost["paced"]) - asked) / SHAPES["paced"][0] * 1e6,
            "at once: tokens/s": SHAPES["at once"][0] / report.median(seconds[way.name]),
            "at once: CPU µs/token": (report.median(cost["at once"]) - asked) / SHAPES["at once"][0] * 1e6,
        }
    return found


async def _crowds(ways: list[Way], rounds: int) -> dict[str, Measured]:
    rows: dict[str, list[Measured]] = {way.name: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            rows[way.name].append(await _crowd(way))
    return {name: {key: report.median([one[key] for one in some]) for key in some[0]} for name, some in rows.items()}


async def _crowd(way: Way) -> Measured:
    """Many answers at once, each as slow as people read; then as fast as they come."""
    before = way.memory()
    late, firsts, _, used, highest = await _together(way, CROWD_TOKENS, CROWD_RATE)
    tokens = CROWD * CROWD_TOKENS
    _, _, took, used_at_once, _ = await _together(way, CROWD_TOKENS, 0.0)
    return {
        "first token p50 ms": report.median(firsts),
        "late p50 ms": report.median(late) / 1000,
        "late p99 ms": report.percentile(late, 99) / 1000,
        "CPU µs/token": used / tokens * 1e6,
        "RSS MB": before,
        "RSS + MB": highest - before,
        "at once: tokens/s": tokens / took,
        "at once: CPU µs/token": used_at_once / tokens * 1e6,
    }


async def _together(way: Way, tokens: int, rate: float) -> tuple[list[float], list[float], float, float, float]:
    requests = await asyncio.to_thread(way.requests, CROWD, tokens, rate)
    streams = [await Stream.open(way.url) for _ in requests]
    await asyncio.sleep(0.5)
    loop = asyncio.get_running_loop()
    before, start, highest = way.cpu(), loop.time(), 0.0
    answers = asyncio.gather(*(one.ask(request, tokens) for one, request in zip(streams, requests, strict=True)))
    while not answers.done():
        highest = max(highest, way.memory())
        await asyncio.wait({answers}, timeout=0.2)
    await answers
    took, used = loop.time() - start, way.cpu() - before
    for stream in streams:
        stream.close()
    late = [value for stream in streams for value in stream.late]
    return late, [stream.first * 1000 for stream in streams], took, used, highest


def _tell(alone: dict[str, Measured], crowd: dict[str, Measured]) -> None:
    for title, found in (("one client", alone), (f"{CROWD} at once", crowd)):
        heads = ("way", *next(iter(found.values())))
        report.table(title, heads, [(name, *one.values()) for name, one in found.items()])
    base, peer = alone["direct"], alone["LiteLLM proxy"]
    rows = []
    for name, one in alone.items():
        if one not in (base, peer):
            added = [(one[key] - base[key]) / (peer[key] - base[key]) for key in ("first token p50 ms", "late p50 µs")]
            cpu = [one[key] / peer[key] for key in ("CPU ms/answer", "CPU µs/token", "at once: CPU µs/token")]
            rows.append((name, *added, *cpu))
    report.table(
        "one client, of LiteLLM's",
        ("way", "first token: added", "each token: added", "CPU/answer", "CPU/token", "at once: CPU/token"),
        rows,
    )
