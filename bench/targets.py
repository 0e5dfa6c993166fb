"""What HTTP load is made on: the plugin that answers, and one URL with what was measured of it."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import load
from bench.processes import cpu_seconds

import fakedist  # isort: skip  (found through bench.processes)

PLUGIN = """
from quart import Response
from moorage.api import *

class Bench(Plugin):
    manifest = Manifest(name="bench", version="1.0", summary="Hello", mounts=("/bench",),
                        permissions=(Permission("bench:thing:read", "Read", default="viewer"),))

    @hookimpl
    def moorage_routes(self, hub):
        routes = Routes()

        @routes.get("/hello", access="bench:thing:read")
        async def hello():
            return Response(b'{"hello":"world"}', content_type="application/json")

        @routes.get("/open", access=PUBLIC)
        async def everybody():
            return Response(b'{"hello":"world"}', content_type="application/json")

        return routes
"""


@dataclass
class Target:
    """A URL of a server, the credential to show as a header's line, and the rounds until now."""

    url: str
    pid: int
    header: str = ""
    connections: int = 64
    costs: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def warm(self) -> None:
        """A second of load that is not counted."""
        load.requests(self.url, seconds=1, connections=self.connections, header=self.header)

    def round(self, seconds: float) -> None:
        """Load for so long: CPU µs of the server per request, and requests per second."""
        before = cpu_seconds(self.pid)
        count = load.requests(self.url, seconds=seconds, connections=self.connections, header=self.header)
        self.costs.append((cpu_seconds(self.pid) - before) / count * 1e6)
        self.rates.append(count / seconds)


def engines() -> list[str]:
    """The engines that are installed."""
    return ["hypercorn"] + (["uvicorn"] if importlib.util.find_spec("uvicorn") else [])


def install_plugin(folder: Path) -> Path:
    """The plugin, in a folder for PYTHONPATH."""
    site = folder / "site"
    site.mkdir()
    fakedist.install(site, "bench", PLUGIN, cls="Bench")
    return site


def config(engine: str, *, limits: bool = False, log: bool = False, **accounts: Any) -> dict[str, Any]:
    """A server's configuration in which no limit is reached."""
    return {
        "server": {"engine": engine, "access_log": log},
        "limits": {"enabled": limits, "general": "1000000/second", "authentication": "100000000/minute"},
        "accounts": accounts,
        "plugins": {"bench": {"enabled": True}},
    }
