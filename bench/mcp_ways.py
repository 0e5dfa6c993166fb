"""The ways to an MCP server that are compared: direct, through Moorage, and through other gateways.

Peers live in environments of their own below `bench/.peers/`, made at the first run.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.environments import installed
from bench.processes import Moorage, Plain, children, cpu_seconds, first_ready, listening
from bench.targets import engines

import harness  # isort: skip  (found through bench.processes)
from realparts.mcpservers.parts import EVERYTHING  # isort: skip


@dataclass(frozen=True)
class Way:
    """One way to the tool. era: that the client speaks. beside: the way with which it is compared.

    pids: processes whose CPU counts, without the server's own.
    """

    name: str
    url: str
    era: str
    pids: tuple[int, ...]
    beside: str
    headers: dict[str, str] = field(default_factory=dict)
    tool: str = "echo"
    slow: bool = False

    def cpu(self) -> float:
        """Seconds that it has used."""
        return sum(cpu_seconds(pid) for pid in self.pids)


class Ways:
    """All ways, started one after the other; ended with `stack`."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.found: list[Way] = []
        self.servers: dict[str, Moorage] = {}
        self.upstreams = {era: self._upstream(era) for era in ("legacy", "modern")}
        for era, server in self.upstreams.items():
            self._add(f"direct, {era}", server.url + "/mcp", era, (server.pid,))

    def _add(self, name: str, url: str, era: str, pids: tuple[int, ...], **more: Any) -> None:
        self.found.append(Way(name, url, era, pids, f"direct, {era}", **more))

    def _upstream(self, era: str) -> Plain:
        server = Plain([sys.executable, EVERYTHING, "{port}", "--era", era, "--plain"], "/mcp")
        self.stack.enter_context(listening(server))
        return server

    def moorage(self) -> None:
        """The four cells on each engine, and a server over stdio."""
        for engine in engines():
            config = {
                "server": {"engine": engine, "access_log": True},
                "limits": {"enabled": True, "general": "1000000/second", "proxied": "1000000/second"},
                "plugins": {
                    "mcp": {
                        "enabled": True,
                        "targets": [server.url + "/" for server in self.upstreams.values()],
                        "calls_per_minute": 0,
                        "max_workspaces_per_user": 1000,
                        "provided": False,
                        "programs": [str(Path(EVERYTHING).parent)],
                    }
                },
            }
            server = first_ready(self.folder / f"moorage-{engine}", config)
            server.start()
            self.stack.callback(server.stop)
            self.servers[engine] = server
            headers = {"Authorization": f"Bearer {server.key('ann')}"}
            with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
                for upstream, one in self.upstreams.items():
                    made_workspace(client, upstream, kind="http", url=one.url + "/mcp")
                made_workspace(client, "piped", kind="stdio", command=[sys.executable, EVERYTHING, "stdio"])
            url = f"{server.url}/ws/{{}}/mcp"
            for upstream in self.upstreams:
                for era in self.upstreams:
                    over = "" if era == upstream else f", {upstream} server"
                    name = f"Moorage {engine}, {era}{over}"
                    self._add(name, url.format(upstream), era, (server.pid,), headers=headers)
            for era in self.upstreams:
                name = f"Moorage {engine}, {era}, stdio"
                self._add(name, url.format("piped"), era, (server.pid,), headers=headers)

    def fastmcp(self) -> None:
        """FastMCP's proxy of a server by URL. It asks nobody who they are."""
        program = installed("fastmcp") / "fastmcp"
        for era, upstream in self.upstreams.items():
            command = [str(program), "run", upstream.url + "/mcp", "--transport", "http", "--port", "{port}"]
            peer = Plain([*command, "--no-banner", "--log-level", "ERROR"], "/mcp")
            self.stack.enter_context(listening(peer))
            self._add(f"FastMCP proxy, {era}", peer.url + "/mcp", era, (peer.pid,), slow=True)

    def mcp_proxy(self) -> None:
        """mcp-proxy (PyPI) of a server over stdio: it speaks the older era alone, and asks nobody who they are."""
        program = installed("mcp-proxy") / "mcp-proxy"
        command = [str(program), "--port", "{port}", "--log-level", "ERROR", "--pass-environment", "--"]
        peer = Plain([*command, sys.executable, EVERYTHING, "stdio"], "/mcp")
        self.stack.enter_context(listening(peer))
        self._add("mcp-proxy (PyPI), legacy, stdio", peer.url + "/mcp", "legacy", (peer.pid,))

    def contextforge(self) -> None:
        """ContextForge with a server by URL, with its tokens. It has tools under other names."""
        folder = self.folder / "contextforge"
        folder.mkdir()
        env = {
            "JWT_SECRET_KEY": secrets.token_urlsafe(48),
            "AUTH_ENCRYPTION_SECRET": secrets.token_urlsafe(48),
            "DATABASE_URL": f"sqlite:///{folder / 'mcp.db'}",
            "PLATFORM_ADMIN_EMAIL": "admin@example.com",
            "PLATFORM_ADMIN_PASSWORD": secrets.token_urlsafe(24) + "!1aA",
            "BASIC_AUTH_PASSWORD": secrets.token_urlsafe(24) + "!1aA",
            "MCPGATEWAY_UI_ENABLED": "false",
            "LOG_LEVEL": "ERROR",
            "RATE_LIMITING_ENABLED": "false",
            "TOOL_RATE_LIMIT": "100000000",
            "SSRF_ALLOW_LOCALHOST": "true",
            "SSRF_ALLOW_PRIVATE_NETWORKS": "true",
        }
        bin_ = installed("contextforge")
        peer = Plain([str(bin_ / "mcpgateway"), "--host", "127.0.0.1", "--port", "{port}"], "/health", env)
        self.stack.enter_context(listening(peer, seconds=120))
        options = ["--username", "admin@example.com", "--admin", "--exp", "600", "--secret", env["JWT_SECRET_KEY"]]
        minted = subprocess.run(
            [bin_ / "python", "-m", "mcpgateway.utils.create_jwt_token", *options],
            env=harness.environment(**env),
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        headers = {"Authorization": f"Bearer {minted.stdout.split()[0]}"}
        wanted = {"name": "it", "url": self.upstreams["legacy"].url + "/mcp", "transport": "STREAMABLEHTTP"}
        httpx.post(peer.url + "/gateways", json=wanted, headers=headers, timeout=60).raise_for_status()
        pids = (peer.pid, *children(peer.pid))
        self._add(
            "ContextForge, legacy", peer.url + "/mcp/", "legacy", pids, headers=headers, tool="it-echo", slow=True
        )


def made_workspace(client: httpx.Client, name: str, **upstream: Any) -> int:
    """A workspace with one server; its number."""
    made = client.post("/api/v1/workspaces", json={"name": name})
    assert made.status_code == 201, made.text
    number: int = made.json()["data"]["id"]
    put = client.post(f"/api/v1/workspaces/{number}/upstreams", json={"name": "it", **upstream})
    assert put.status_code == 201, put.text
    return number
