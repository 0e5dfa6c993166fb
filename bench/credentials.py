"""What it costs to know who asks: by cookie, API key and JWT, remembered and looked up, and what peers take for it."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench import load, report
from bench.parts import OPEN, PATH
from bench.peer_accounts import KEY, LOGIN, NAME
from bench.processes import PASSWORD, Plain, first_ready
from bench.targets import Target, config, engines, install_plugin

NOBODY = "nobody"
MOORAGE, UNCACHED = "Moorage", "Moorage, read each time"
PEERS = {"quart-auth": "quart-auth", "starlette": "Starlette sessions"}
Targets = dict[tuple[str, str], Target]
"""By server and credential."""


def _moorage(folder: Path, engine: str, site: Path, stack: contextlib.ExitStack, **accounts: Any) -> dict[str, Target]:
    server = first_ready(folder, config(engine, **accounts), PYTHONPATH=str(site))
    key = server.key(NAME)
    server.start()
    stack.callback(server.stop)
    with server.client(NAME) as client:
        cookies = dict(client.cookies)
    session, jwt = cookies["moorage_session"], cookies["auth_token"]
    shown = {
        "session cookie": f"Cookie: moorage_session={session}",
        "session cookie, JWT beside it": f"Cookie: auth_token={jwt}; moorage_session={session}",
        "API key": f"Authorization: Bearer {key}",
        "JWT cookie": f"Cookie: auth_token={jwt}",
        "JWT as Bearer": f"Authorization: Bearer {jwt}",
    }
    assert httpx.get(server.url + PATH).status_code == 401
    found = {NOBODY: Target(server.url + OPEN, server.pid)}
    return found | {name: Target(server.url + PATH, server.pid, header) for name, header in shown.items()}


def _peer(kind: str, engine: str, stack: contextlib.ExitStack) -> dict[str, Target]:
    server = stack.enter_context(Plain([sys.executable, "-m", "bench.hello", kind, engine, "{port}"], OPEN).running())
    with httpx.Client(base_url=server.url) as client:
        assert client.get(PATH).status_code == 401
        client.post(LOGIN, json={"username": NAME, "password": PASSWORD}).raise_for_status()
        cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    found = {
        NOBODY: Target(server.url + OPEN, server.pid),
        "signed cookie": Target(server.url + PATH, server.pid, "Cookie: " + cookie),
    }
    if kind == "quart-auth":
        # Few connections: an answer takes so long that wrk would give up on the last of many.
        header = f"Authorization: Bearer {KEY}"
        found["API key, argon2 each time"] = Target(server.url + "/bench/key", server.pid, header, connections=4)
    return found


@contextlib.contextmanager
def _targets(folder: Path, engine: str) -> Iterator[Targets]:
    site = install_plugin(folder)
    with contextlib.ExitStack() as stack:
        servers = {
            MOORAGE: _moorage(folder / "cached", engine, site, stack),
            UNCACHED: _moorage(folder / "uncached", engine, site, stack, session_cache_seconds=0),
            **{name: _peer(kind, engine, stack) for kind, name in PEERS.items()},
        }
        yield {(server, shown): target for server, found in servers.items() for shown, target in found.items()}


def run(*, rounds: int, seconds: float) -> None:
    """Measure both engines and print."""
    data: dict[str, Any] = {"load": load.generator()}
    for engine in engines():
        print(f"\ncredentials on {engine}: {rounds} rounds of {seconds:g} s, 64 connections by {load.generator()}")
        with tempfile.TemporaryDirectory() as folder, _targets(Path(folder), engine) as targets:
            for target in targets.values():
                target.warm()
            for _ in range(rounds):
                for target in targets.values():
                    target.round(seconds)
            data[engine] = _tell(engine, targets)
    print(f"  kept in {report.save('credentials', data)}")


def _tell(engine: str, targets: Targets) -> dict[str, Any]:
    rows = []
    for (server, shown), target in targets.items():
        base = targets[server, NOBODY]
        pairs = list(zip(target.costs, base.costs, strict=True))
        rows.append(
            (
                f"{server}: {shown}",
                report.median(target.costs),
                report.median([cost - other for cost, other in pairs]),
                report.median([cost / other for cost, other in pairs]),
                report.median(target.rates),
                report.median([rate / other for rate, other in zip(target.rates, base.rates, strict=True)]),
            )
        )
    heads = ("server: credential", "CPU µs/request", "µs over nobody", "× nobody", "requests/s", "of nobody's")
    report.table(f"{engine}: each server over its own answer to nobody", heads, rows)
    return {name: {"cpu_us": cpu, "over_us": over, "ratio": ratio} for name, cpu, over, ratio, _, _ in rows}
