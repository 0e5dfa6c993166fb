"""Shared terminals: a key's way to its output, and `seq 1 1000000` to many, versus terminado, a bare pty and tmux."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import report, ways
from bench.processes import cpu_seconds
from bench.ways import Open

KEY = b"~"
"""Nothing in the protocols' envelopes looks like it."""
BETWEEN_KEYS = 0.02
"""Seconds: faster than a key that is held down repeats."""
END = b"flood-over-2"
FLOOD = "seq 1 1000000; printf 'flood-over-%d\\n' 2 2 2 2 2 2 2 2"
"""Its end comes several times: one of them may be cut in two by a message's end."""
CROWDS = (1, 20, 100, 500)
FLOODED = (1, 20, 100)


async def echo(open_: Open, viewers: int, keys: int) -> dict[str, float]:
    """One key at a time: ms until the one who typed sees it, and until the last viewer does.

    load: the share of a core that the viewers took.
    """
    own, last = [], []
    async with open_(viewers, ways.ECHO) as terminal:
        before, mine, started = terminal.cpu(), cpu_seconds(os.getpid()), time.perf_counter()
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
        load = (cpu_seconds(os.getpid()) - mine) / (time.perf_counter() - started)
    percents = {
        f"{name}p{percent}": report.percentile(times, percent)
        for name, times in (("", own), ("last_", last))
        for percent in (50, 95, 99)
    }
    return {**percents, "cpu_us": cpu, "load": load}


async def flood(open_: Open, viewers: int) -> dict[str, float]:
    """Seconds until every viewer saw the end, the server's CPU, and how much of the flood each was sent."""
    async with open_(viewers, ways.SHELL) as terminal:
        waiting = [seat.expect(END) for seat in terminal.seats]
        before, mine, started = terminal.cpu(), cpu_seconds(os.getpid()), time.perf_counter()
        terminal.type(FLOOD + "\r")
        async with asyncio.timeout(120):
            seen = await asyncio.gather(*waiting)
        return {
            "seconds": max(seen) - started,
            "cpu_s": terminal.cpu() - before,
            "mb_each": report.median([seat.size for seat in terminal.seats]) / 1e6,
            "snapshots": report.median([seat.snapshots for seat in terminal.seats]),
            "load_s": cpu_seconds(os.getpid()) - mine,
        }


async def _measure(keys: int, rounds: int, crowds: tuple[int, ...]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        tmux = ways.Tmux(Path(folder))
        tmux.run("new-session", "-d", "-s", "keeper", "exec sleep 1000000")
        stack.callback(tmux.run, "kill-server")
        terminals: dict[str, tuple[Open, bool]] = {"tmux -C, raw read": (ways.control_mode(tmux), False)}
        for engine in ways.engines():
            server = ways.server_over(tmux, Path(folder), engine)
            stack.callback(server.stop)
            terminals[f"Moorage, {engine}"] = (ways.moorage(tmux, server), True)
            terminals[f"bare pty, {engine}"] = (ways.single(engine), False)
        if importlib.util.find_spec("terminado"):
            terminals["terminado"] = (ways.terminado(), True)
        echoes: dict[str, list[dict[str, float]]] = {}
        floods: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            for viewers in crowds:
                for name, (open_, many) in terminals.items():
                    if many or viewers == 1:
                        echoes.setdefault(f"{name}, {viewers}", []).append(await echo(open_, viewers, keys))
            for viewers in FLOODED:
                for name, (open_, many) in terminals.items():
                    if many or viewers == 1:
                        floods.setdefault(f"{name}, {viewers}", []).append(await flood(open_, viewers))
    return {"echo": _medians(echoes), "flood": _medians(floods)}


def _medians(found: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {name: {key: report.median([row[key] for row in rows]) for key in rows[0]} for name, rows in found.items()}


def run(*, keys: int, rounds: int, crowds: tuple[int, ...] = CROWDS) -> None:
    """Measure and print."""
    if shutil.which("tmux") is None:
        print("terminal: needs tmux (Debian: apt install tmux); left out")
        return
    found = asyncio.run(_measure(keys, rounds, crowds))
    heads = ("way, viewers", "p50 ms", "p95", "p99", "last viewer p50", "p95", "p99", "CPU µs/key", "load")
    report.table("a key until its output", heads, [(name, *row.values()) for name, row in found["echo"].items()])
    limit = found["flood"]["tmux -C, raw read, 1"]["seconds"]
    heads = ("way, viewers", "seconds", "× tmux -C", "CPU s", "MB each", "snapshots each", "load s")
    rows = [
        (name, row["seconds"], row["seconds"] / limit, *list(row.values())[1:]) for name, row in found["flood"].items()
    ]
    report.table("seq 1 1000000 until every viewer saw its end", heads, rows)
    print(f"  kept in {report.save('terminal', found)}")
