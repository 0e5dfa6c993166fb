"""`tools/call` through the MCP endpoint, in both eras and across them, versus the server itself and other gateways."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from bench import report
from bench.mcp_client import McpClient
from bench.mcp_ways import Way, Ways, made_workspace
from bench.processes import rss_mb

CONNECTIONS = (8, 64)
IDLE = 100
SETTLES = 100
SLOW_EVERY = 5
SLOW_SECONDS = 4
"""Load on what takes a tenth of a second for a call has to last."""
_REQUESTS = re.compile(r"(\d+) requests in ([\d.]+)s")
_BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)")


def run(*, rounds: int, calls: int, seconds: float) -> None:
    """Measure and print. calls: of each way in a round, one after the other; seconds: of load in a round."""
    print(f"\nmcp: {rounds} rounds of {calls} calls and {seconds:g} s of load")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.ExitStack() as stack:
        ways = Ways(Path(folder), stack)
        for start in (ways.moorage, ways.fastmcp, ways.mcp_proxy, ways.contextforge):
            start()
        alone = _alone(ways.found, rounds, calls)
        loaded = _loaded(ways.found, rounds, seconds, Path(folder))
        _tell(ways.found, alone, loaded)
        idle = _idle(ways)
    report.table("idle workspaces", ("server", *next(iter(idle.values()))), [(k, *v.values()) for k, v in idle.items()])
    print(f"  kept in {report.save('mcp', {'alone': alone, 'loaded': loaded, 'idle': idle})}")


def _alone(found: list[Way], rounds: int, calls: int) -> dict[str, dict[str, float]]:
    """One client, one call after the other; the ways take turns call by call, so that all meet the same machine."""
    clients = {way.name: McpClient(way.url, way.era, way.headers, way.tool) for way in found}
    waits: dict[str, list[float]] = {way.name: [] for way in found}
    costs = dict.fromkeys(waits, 0.0)
    for way in found:
        for _ in range(10):
            clients[way.name].call()
    for _ in range(rounds):
        for number in range(calls):
            for way in found:
                if way.slow and number % SLOW_EVERY:
                    continue
                before, start = way.cpu(), time.perf_counter()
                clients[way.name].call()
                waits[way.name].append((time.perf_counter() - start) * 1000)
                costs[way.name] += way.cpu() - before
    for client in clients.values():
        client.close()
    return {
        name: {
            "p50 ms": report.percentile(values, 50),
            "p99 ms": report.percentile(values, 99),
            "cpu ms": costs[name] / len(values) * 1000,
        }
        for name, values in waits.items()
    }


def _settle(found: list[Way]) -> None:
    """Wait until nobody works any more on what the load left behind: slow ways have queues."""
    for _ in range(SETTLES):
        before = sum(way.cpu() for way in found)
        time.sleep(0.1)
        if sum(way.cpu() for way in found) - before < 0.02:
            return


def _loaded(found: list[Way], rounds: int, seconds: float, folder: Path) -> dict[str, dict[str, float]]:
    rates: dict[str, dict[str, list[float]]] = {way.name: {} for way in found}
    for _ in range(rounds):
        for connections in CONNECTIONS:
            for way in found:
                _settle(found)
                before = way.cpu()
                count, took = load(way, connections, max(seconds, SLOW_SECONDS) if way.slow else seconds, folder)
                one = rates[way.name]
                one.setdefault(f"{connections}: calls/s", []).append(count / took)
                one.setdefault(f"{connections}: cpu ms", []).append((way.cpu() - before) / max(1, count) * 1000)
    return {name: {key: report.median(values) for key, values in one.items()} for name, one in rates.items()}


def load(way: Way, connections: int, seconds: float, folder: Path) -> tuple[int, float]:
    """Calls as fast as they are answered: how many, and the seconds that it took."""
    client = McpClient(way.url, way.era, way.headers, way.tool)
    client.call()
    if shutil.which("wrk"):
        options = client.script(folder / "call.lua")
        client.close()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", *options]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        match = _REQUESTS.search(said)
        assert match is not None, f"{way.name}: wrk says\n{said}"
        assert not _BAD.search(said), f"{way.name}: wrk says\n{said}"
        return int(match[1]), float(match[2])
    client.close()
    return _threads(way, connections, seconds)


def _threads(way: Way, connections: int, seconds: float) -> tuple[int, float]:
    """Without wrk: threads of our own, which load the machine more."""
    counts: list[int] = []
    start = time.perf_counter()

    def loop() -> None:
        client, count = McpClient(way.url, way.era, way.headers, way.tool), 0
        while time.perf_counter() - start < seconds:
            client.call()
            count += 1
        client.close()
        counts.append(count)

    threads = [threading.Thread(target=loop) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == connections, f"{way.name}: a client failed"
    return sum(counts), time.perf_counter() - start


def _idle(ways: Ways) -> dict[str, dict[str, float]]:
    """What workspaces take of the server's memory: made, and each used once."""
    rows = {}
    for engine, server in ways.servers.items():
        headers = next(way.headers for way in ways.found if way.name.startswith(f"Moorage {engine}"))
        start = rss_mb(server.pid)
        with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
            for number in range(IDLE):
                made_workspace(client, f"idle-{number}", kind="http", url=ways.upstreams["legacy"].url + "/mcp")
        made = rss_mb(server.pid)
        for number in range(IDLE):
            one = McpClient(f"{server.url}/ws/idle-{number}/mcp", "legacy", headers)
            one.call()
            one.close()
        used = rss_mb(server.pid)
        rows[f"Moorage {engine}"] = {"RSS MB": start, f"with {IDLE} more": made, "each used once": used}
    return rows


def _tell(found: list[Way], alone: dict[str, Any], loaded: dict[str, Any]) -> None:
    rows = []
    for way in found:
        one, base = alone[way.name], alone[way.beside]
        rows.append((way.name, one["p50 ms"], one["p50 ms"] / base["p50 ms"], one["p99 ms"], one["cpu ms"]))
    report.table("one client", ("way", "p50 ms", "× direct", "p99 ms", "CPU ms/call"), rows)
    heads = ("way", *next(iter(loaded.values())))
    report.table("load", heads, [(way.name, *loaded[way.name].values()) for way in found])
