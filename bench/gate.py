"""What the gate adds to a request, on both engines: CPU of the server process per request, interleaved, medians."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench import load, report
from bench.parts import PATH, TOKEN
from bench.processes import PASSWORD, Moorage, Plain, first_ready
from bench.targets import Target, config, engines, install_plugin

RAW, SAME, GATE, QUART, MOORAGE = (
    "raw ASGI",
    "raw ASGI, same headers",
    "raw ASGI behind the gate",
    "bare Quart",
    "Quart view behind the gate",
)
PLAIN = {"limits": False, "log": False}
VARIANTS: dict[str, dict[str, bool]] = {
    GATE: PLAIN,
    MOORAGE: PLAIN,
    MOORAGE + ", limits": {"limits": True, "log": False},
    MOORAGE + ", access log": {"limits": False, "log": True},
    MOORAGE + ", both (default)": {"limits": True, "log": True},
}


@contextlib.contextmanager
def _targets(folder: Path, engine: str) -> Iterator[dict[str, Target]]:
    site = install_plugin(folder)
    with contextlib.ExitStack() as stack:
        found: dict[str, Target] = {}
        for name, kind in ((RAW, "raw"), (SAME, "headers"), (QUART, "quart")):
            server = Plain([sys.executable, "-m", "bench.hello", kind, engine, "{port}"], PATH)
            stack.enter_context(server.running())
            found[name] = Target(server.url + PATH, server.pid, "Cookie: moorage_session=" + TOKEN)
        for name, options in VARIANTS.items():
            moorage = first_ready(folder / str(len(found)), config(engine, **options), PYTHONPATH=str(site))
            moorage.start()
            stack.callback(moorage.stop)
            cookie = moorage.cookie("ann")
            if name == GATE:
                moorage.stop()
                moorage.command = (sys.executable, "-m", "bench.hello", "gate")
                moorage.env["PYTHONPATH"] += ":" + str(Path(__file__).parent.parent)
                moorage.start()
            found[name] = Target(moorage.url + PATH, moorage.pid, "Cookie: " + cookie)
            if name.endswith("(default)"):
                _revocation(moorage)
        yield found


def _revocation(server: Moorage, rounds: int = 20) -> None:
    """A session that was just used, so is cached, must be refused by the very next request after the logout."""
    for _ in range(rounds):
        with httpx.Client(base_url=server.url) as client:
            login = client.post("/api/auth/login", json={"username": "ann", "password": PASSWORD})
            login.raise_for_status()
            cookies = dict(client.cookies)
            for _ in range(5):
                client.get(PATH).raise_for_status()
            client.post("/api/auth/logout").raise_for_status()
            after = client.get(PATH, cookies=cookies).status_code
        if after != 401:
            raise AssertionError(f"a revoked session was answered {after}")
    print(f"  revocation bites at once: {rounds} of {rounds} cached sessions were refused right after their logout")


def run(*, rounds: int, seconds: float) -> None:
    """Measure both engines and print."""
    data: dict[str, Any] = {"load": load.generator()}
    for engine in engines():
        print(f"\ngate on {engine}: {rounds} rounds of {seconds:g} s, 64 connections by {load.generator()}")
        with tempfile.TemporaryDirectory() as folder, _targets(Path(folder), engine) as targets:
            for target in targets.values():
                target.warm()
            for _ in range(rounds):
                for target in targets.values():
                    target.round(seconds)
            data[engine] = _tell(engine, targets)
    print(f"  kept in {report.save('gate', data)}")


def _tell(engine: str, targets: dict[str, Target]) -> dict[str, Any]:
    base = {RAW: RAW, SAME: RAW, GATE: SAME}
    rows = []
    for name, target in targets.items():
        under = targets[base.get(name, QUART)]
        ratio = report.median([cost / other for cost, other in zip(target.costs, under.costs, strict=True)])
        over = report.median([cost - other for cost, other in zip(target.costs, under.costs, strict=True)])
        rows.append((name, report.median(target.costs), over, ratio, report.median(target.rates)))
    heads = ("server", "CPU µs/request", "µs over base", "× base", "requests/s")
    report.table(
        f"{engine}: the base is raw ASGI, with the same headers for the gate; bare Quart for views", heads, rows
    )
    return {name: {"cpu_us": cost, "over_us": over, "ratio": ratio} for name, cost, over, ratio, _ in rows}
