"""What the gate itself costs: called in a loop without a server, so that the numbers hold on a busy machine."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any

from bench import report
from bench.parts import ASGI, JWT, KEY, OPEN, PATH, RAW, TOKEN, gate, lane_hello, quart_hello, raw_hello

SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"spec_version": "2.3", "version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": PATH,
    "raw_path": PATH.encode(),
    "query_string": b"",
    "root_path": "",
    "client": ("127.0.0.1", 40000),
    "server": ("127.0.0.1", 8000),
    "extensions": {},
}
HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"),
    (b"accept", b"*/*"),
    (b"accept-language", b"en-GB,en;q=0.9"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
]
SESSION = (b"cookie", f"theme=dark; moorage_session={TOKEN}".encode())
SHOWN = {
    "API key": (b"authorization", b"Bearer " + KEY.encode()),
    "JWT as Bearer": (b"authorization", b"Bearer " + JWT.encode()),
    "JWT cookie": (b"cookie", f"theme=dark; auth_token={JWT}".encode()),
    "session cookie, JWT beside it": (b"cookie", f"auth_token={JWT}; moorage_session={TOKEN}".encode()),
}


class _Request:
    """One request without a body; after it, the client stays connected and silent."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        self.told = False

    async def receive(self) -> Any:
        if self.told:
            await asyncio.Event().wait()
        self.told = True
        return {"type": "http.request", "body": b"", "more_body": False}


class _Sink:
    """Takes answers, and remembers the last status so that a broken set-up is noticed."""

    status = 0

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]


@dataclass(frozen=True)
class _Variant:
    """An application, who asks it for what, and what is to be done (and counted) after each batch."""

    app: ASGI
    shown: tuple[bytes, bytes] = SESSION
    path: str = PATH
    after: Callable[[], None] = lambda: None

    def scope(self) -> dict[str, Any]:
        """The request."""
        return {**SCOPE, "path": self.path, "raw_path": self.path.encode(), "headers": [*HEADERS, self.shown]}


async def _batch(variant: _Variant, sink: _Sink, requests: int) -> float:
    send, app, scope = sink.send, variant.app, variant.scope()
    started = process_time()
    for turn in range(requests):
        if turn % 8 == 0:
            await asyncio.sleep(0)  # The loop's own work (cancelled timers) belongs to what a request costs.
        await app(scope.copy(), _Request().receive, send)
    spent = process_time() - started
    if sink.status != 200:
        raise AssertionError(f"the answer was {sink.status}")
    return spent / requests * 1e6


def variants() -> dict[str, _Variant]:
    """By name."""
    plain = gate(raw_hello)[0]
    logged, log = gate(raw_hello, log=True)
    everything, full_log = gate(raw_hello, limits=True, log=True)
    return {
        "raw ASGI": _Variant(raw_hello),
        "raw ASGI behind the gate": _Variant(plain),
        "  nobody, a public route": _Variant(plain, (b"cookie", b"theme=dark"), OPEN),
        **{f"  {name}": _Variant(plain, shown) for name, shown in SHOWN.items()},
        "  with limits": _Variant(gate(raw_hello, limits=True)[0]),
        "  with access log": _Variant(logged, after=log.flush),
        "  with both": _Variant(everything, after=full_log.flush),
        "raw exchange behind the gate": _Variant(plain, SHOWN["API key"], RAW),
        "bare Quart": _Variant(quart_hello()),
        "lane of views": _Variant(lane_hello()),
        "lane of views behind the gate": _Variant(gate()[0]),
    }


async def measure(rounds: int, requests: int) -> dict[str, list[float]]:
    """CPU µs per request, one number a round, all variants in each round."""
    apps = variants()
    sinks = {name: _Sink() for name in apps}
    found: dict[str, list[float]] = {name: [] for name in apps}
    gc.collect()
    gc.freeze()
    for turn in range(rounds + 1):
        for name, variant in apps.items():
            cost = await _batch(variant, sinks[name], requests)
            started = process_time()
            variant.after()
            cost += (process_time() - started) / requests * 1e6
            if turn:
                found[name].append(cost)
    return found


def show(rounds: int = 30, requests: int = 1000) -> None:
    """Measure on the loop that `moorage serve` takes, and print."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        found = runner.run(measure(rounds, requests))
    raw = found["raw ASGI"]
    rows = [
        (name, report.median(costs), min(costs), report.median(costs) - report.median(raw), min(costs) - min(raw))
        for name, costs in found.items()
    ]
    heads = ("called in a loop", "CPU µs", "least", "over raw", "least")
    report.table("the gate alone, no server around it", heads, rows)
    kept = {name: {"cpu_us": cost, "least_us": least} for name, cost, least, _, _ in rows}
    print(f"  kept in {report.save('alone', kept)}")
