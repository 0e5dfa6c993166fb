"""Starts the servers of this folder, npm's and PyPI's, and the conformance suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from realparts import npm
from realparts.child import Child
from realparts.ports import free_port

HERE = Path(__file__).parent
EVERYTHING, FAULTY, PROXY = (str(HERE / f"{name}.py") for name in ("everything", "faulty", "proxy"))
LEGACY, MODERN = "2025-11-25", "2026-07-28"


def everything(*options: str) -> list[str]:
    """The command of our server with something of everything, on stdio. options: as the program takes them."""
    return [sys.executable, EVERYTHING, "stdio", *options]


def faulty(*options: str) -> list[str]:
    """The command of the server that does wrong, on stdio."""
    return [sys.executable, FAULTY, "stdio", *options]


def npm_server(name: str, *arguments: str) -> list[str]:
    """The command of a server of npm's `@modelcontextprotocol`: server-everything, -filesystem, -memory."""
    package = npm.node_modules(npm.MCP) / "@modelcontextprotocol" / name
    (script,) = json.loads((package / "package.json").read_text())["bin"].values()
    return [str(npm.node()), str(package / script), *arguments]


def pypi_server(name: str, *arguments: str) -> list[str]:
    """The command of a server of PyPI, as `mcp_server_time`."""
    return [sys.executable, "-m", name, *arguments]


class Served:
    """A server that listens on a port of loopback: `url` is where its MCP is."""

    def __init__(self, program: str, folder: Path, *options: str, port: int | None = None, **env: str) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.child = Child(
            [sys.executable, program, str(self.port), *options],
            folder / f"{Path(program).stem}-{self.port}.log",
            env={**os.environ, **env},
        )
        self.child.wait_until(self._listens, f"{Path(program).name} on {self.port}")

    def _listens(self) -> bool:
        # Asked of the kernel: a connection made to find out would be one that the server has to deal with.
        wanted = f"0100007F:{self.port:04X}"
        return any(
            line.split()[1] == wanted and line.split()[3] == "0A"
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        )

    def stop(self) -> None:
        self.child.stop()


def serve_everything(folder: Path, *options: str, port: int | None = None) -> Served:
    """Our server with something of everything, over Streamable HTTP."""
    return Served(EVERYTHING, folder, *options, port=port)


def serve_faulty(folder: Path, *options: str, port: int | None = None) -> Served:
    """The server that does wrong, over Streamable HTTP."""
    return Served(FAULTY, folder, *options, port=port)


def serve_proxy(folder: Path, target: str, header: str) -> Served:
    """The proxy that puts a header into every request to `target`."""
    return Served(PROXY, folder, target, PROXY_HEADER=header)


@dataclass(frozen=True)
class Scenario:
    """What the suite found in one scenario: its checks by how they ended, and what failed."""

    name: str
    passed: int
    failed: tuple[str, ...]


class Conformance:
    """The official suite for servers, running: begin several, then ask for the results."""

    def __init__(self, url: str, revision: str, folder: Path) -> None:
        self._folder = folder
        script = npm.node_modules(npm.MCP) / "@modelcontextprotocol/conformance/dist/index.js"
        command: Sequence[str] = [str(npm.node()), str(script), "server", "--url", url]
        self.child = Child(
            [*command, "--requirements", revision, "-o", str(folder / "results")], folder / f"suite-{revision}.log"
        )

    def results(self, seconds: float = 120) -> dict[str, Scenario]:
        """By scenario, required or not, when the suite has ended."""
        try:
            self.child.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.stop()
            raise AssertionError(f"the suite took more than {seconds:g} s\n{self.child.text()[-4000:]}") from None
        found: dict[str, Scenario] = {}
        for line in self.child.text().partition("=== SUMMARY ===")[2].splitlines():
            mark, _, rest = line.partition(" ")
            name, _, counts = rest.partition(": ")
            if mark in ("✓", "✗") and " passed, " in counts:
                found[name] = Scenario(name, int(counts.split()[0]), self._failed(name))
        assert found, f"the suite says nothing:\n{self.child.text()[-4000:]}"
        return found

    def _failed(self, name: str) -> tuple[str, ...]:
        """What it says of checks that failed."""
        checks: list[dict[str, Any]] = []
        for file in self._folder.glob(f"results/server-{name}-20*/checks.json"):
            checks += json.loads(file.read_text())
        return tuple(f"{check['id']}: {check.get('errorMessage')}" for check in checks if check["status"] == "FAILURE")


def required(revision: str) -> frozenset[str]:
    """The scenarios that a revision asks of servers."""
    file = npm.node_modules(npm.MCP) / f"@modelcontextprotocol/conformance/requirements/{revision}.yaml"
    section = file.read_text().partition("\nserver:\n")[2].partition("\n\n")[0]
    return frozenset(line.strip().removeprefix("- ") for line in section.splitlines() if "- " in line)
