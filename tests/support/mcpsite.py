"""A Moorage whose workspaces have MCP servers, and MCP's own client for it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
from harness import Server, merged
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from realparts.mcpservers.parts import HERE
from realparts.ports import free_port
from waits import WAIT

PORTS = 30


@dataclass(frozen=True)
class Workspace:
    """A workspace: its number, its servers' numbers, and its endpoint."""

    id: int
    upstreams: tuple[int, ...]
    url: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @asynccontextmanager
    async def client(self, mode: str = "auto", *, key: str | None = None, **options: Any) -> AsyncIterator[Client]:
        """The SDK's client, connected. mode: "legacy", "auto", or a version of the modern era."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(WAIT, read=4 * WAIT)) as web,
            Client(streamable_http_client(self.url, http_client=web), mode=mode, **options) as client,
        ):
            yield client


class Site:
    """A server with users `ann` and `ben` (operators) and `vic` (a viewer), who make workspaces.

    Servers by address may be on the ports that `port` gives; programs are shown `files`, which they cannot write to.
    """

    def __init__(self, folder: Path, **plugin: Any) -> None:
        self._ports = [free_port() for _ in range(PORTS)]
        targets = [f"http://127.0.0.1:{port}/" for port in self._ports]
        self.files = folder / "files"
        self.files.mkdir()
        seen = {"targets": targets, "programs": [str(HERE), str(self.files)]}
        settings = {"enabled": True, "provided": False, **seen, **plugin}
        config = {"plugins": {"mcp": settings}, "limits": {"enabled": False}}
        self.server = Server(folder, merged({}, config))
        self.server.add_users({"ann": "operator", "ben": "operator", "vic": "viewer"})
        self._keys: dict[str, str] = {}

    def port(self) -> int:
        """A port of loopback on which a workspace may have a server."""
        return self._ports.pop()

    def key(self, user: str = "ann") -> str:
        if user not in self._keys:
            self._keys[user] = self.server.key(user)
        return self._keys[user]

    def api(self, user: str = "ann") -> httpx.Client:
        """The REST API with the user's key."""
        headers = {"Authorization": f"Bearer {self.key(user)}"}
        return httpx.Client(base_url=self.server.url, headers=headers, timeout=4 * WAIT)

    def workspace(self, name: str, *upstreams: str | list[str] | dict[str, Any], user: str = "ann") -> Workspace:
        """A new workspace. An upstream is an address, a command, or all that the API takes."""
        with self.api(user) as api:
            made = api.post("/api/v1/workspaces", json={"name": name})
            assert made.status_code == 201, made.text
            number = made.json()["data"]["id"]
            numbers = [self.add(api, number, upstream, place) for place, upstream in enumerate(upstreams)]
        return Workspace(number, tuple(numbers), f"{self.server.url}/ws/{name}/mcp", self.key(user))

    def add(self, api: httpx.Client, workspace: int, upstream: str | list[str] | dict[str, Any], place: int = 0) -> int:
        """One more server for a workspace; its number."""
        wanted: dict[str, Any] = {"name": f"server{place}"}
        if isinstance(upstream, dict):
            wanted |= upstream
        elif isinstance(upstream, str):
            wanted |= {"kind": "http", "url": upstream}
        else:
            wanted |= {"kind": "stdio", "command": upstream}
        answer = api.post(f"/api/v1/workspaces/{workspace}/upstreams", json=wanted)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["data"]["id"])

    def calls(self, workspace: Workspace, user: str = "ann") -> list[dict[str, Any]]:
        """What is written down of calls, newest first."""
        with self.api(user) as api:
            answer = api.get(f"/api/v1/workspaces/{workspace.id}/calls")
            assert answer.status_code == 200, answer.text
            return list(answer.json()["data"]["calls"])


@contextmanager
def site(folder: Path, **plugin: Any) -> Iterator[Site]:
    """A started site, stopped at the end."""
    made = Site(folder, **plugin)
    try:
        made.server.start()
        yield made
    finally:
        made.server.stop()


class Rpc:
    """A client of the older era that shows what really comes back: one session, JSON-RPC over HTTP by hand."""

    def __init__(self, workspace: Workspace, timeout: float = WAIT) -> None:
        self.workspace = workspace
        self.web = httpx.Client(
            headers={"Accept": "application/json, text/event-stream", **workspace.headers}, timeout=timeout
        )
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "rpc", "version": "1"}}
        self.hello = self.post("initialize", hello)
        self.welcome = answer_of(self.hello, 1)
        if "mcp-session-id" in self.hello.headers:
            self.web.headers["Mcp-Session-Id"] = self.hello.headers["mcp-session-id"]
            self.web.headers["MCP-Protocol-Version"] = "2025-11-25"
            self.web.post(workspace.url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})

    def post(self, method: str, params: Any = None, id: int = 1) -> httpx.Response:
        body = {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})}
        return self.web.post(self.workspace.url, json=body)

    def ask(self, method: str, params: Any = None) -> dict[str, Any]:
        """The whole answer: with `result`, or with `error`."""
        return answer_of(self.post(method, params, 7), 7)

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """`tools/call`, the whole answer."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def __enter__(self) -> Rpc:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(httpx.TransportError):
            self.web.delete(self.workspace.url)
        self.web.close()


def answer_of(answer: httpx.Response, id: int) -> dict[str, Any]:
    """The JSON-RPC answer in an HTTP one, of JSON or of events."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        for line in answer.text.splitlines():
            if line.startswith("data:") and line[5:].strip():
                found: dict[str, Any] = json.loads(line[5:])
                if found.get("id") == id and "method" not in found:
                    return found
        raise AssertionError(f"no answer among the events: {answer.text[:2000]}")
    found = answer.json()
    assert found.get("id") in (id, None), found
    return found
