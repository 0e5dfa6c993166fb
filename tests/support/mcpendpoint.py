"""The MCP endpoint of a server of the test kit: workspaces with real servers behind them, and raw requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from moorage.testing.client import Client
from moorage.testing.server import Server

ACCEPT = "application/json, text/event-stream"
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
PREFIX = "io.modelcontextprotocol/"
META = {PREFIX + "protocolVersion": "2026-07-28", PREFIX + "clientCapabilities": {}}
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


async def workspace(client: Client, name: str, *urls: str) -> int:
    """Make one with these servers; its number."""
    made = await client.post("/api/v1/workspaces", json={"name": name})
    assert made.status_code == 201, made.text
    number: int = made.json()["data"]["id"]
    for n, url in enumerate(urls):
        body = {"name": f"up{n}", "kind": "http", "url": url}
        added = await client.post(f"/api/v1/workspaces/{number}/upstreams", json=body)
        assert added.status_code == 201, added.text
    return number


def modern_params(params: dict[str, Any] | None = None, capabilities: Any = None, **meta: Any) -> dict[str, Any]:
    """With what every modern request has."""
    known = {PREFIX + "clientCapabilities": capabilities or {}}
    return {**(params or {}), "_meta": {**META, **known, **meta}}


class Raw:
    """Sends messages to one endpoint as they are, in the words of either era."""

    def __init__(self, server: Server, client: Client, name: str) -> None:
        self.server, self.client, self.path = server, client, f"/ws/{name}/mcp"
        self.session: dict[str, str] = {}
        self._id = 0

    def next(self) -> int:
        self._id += 1
        return self._id

    async def post(self, message: Any, **headers: str | None) -> httpx.Response:
        """Any body. headers: with `_` for `-`; None leaves one out."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self.client.post(self.path, content=body, headers=self.headers(headers))

    def headers(self, more: dict[str, Any]) -> dict[str, str]:
        wanted = {"Content-Type": "application/json", "Accept": ACCEPT, **self.session}
        wanted |= {name.replace("_", "-"): value for name, value in more.items()}
        return {name: value for name, value in wanted.items() if value is not None}

    def message(self, method: str, params: Any = None) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": self.next(), "method": method, "params": params or {}}

    # -- the older era -------------------------------------------------------------------------------------------

    async def hello(self, **params: Any) -> httpx.Response:
        """Begin a session."""
        answer = await self.post(self.message("initialize", HELLO | params))
        if "mcp-session-id" in answer.headers:
            version = said(answer)["result"]["protocolVersion"]
            self.session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": version}
            await self.tell("notifications/initialized")
        return answer

    async def ask(self, method: str, params: Any = None) -> dict[str, Any]:
        """The answer's message."""
        return said(await self.post(self.message(method, params)))

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The result of a tool."""
        return (await self.ask("tools/call", {"name": tool, "arguments": arguments}))["result"]

    async def tell(self, method: str, params: Any = None) -> httpx.Response:
        return await self.post({"jsonrpc": "2.0", "method": method, "params": params or {}})

    def stream(self, message: Any = None, **headers: str | None) -> Any:
        """A POST, or without a message a GET, whose answer is read as it comes."""
        if message is None:
            return self.client.stream(
                "GET", self.path, headers=self.headers({"Accept": "text/event-stream", **headers})
            )
        body = json.dumps(message).encode()
        return self.client.stream("POST", self.path, content=body, headers=self.headers(headers))

    # -- the newer era -------------------------------------------------------------------------------------------

    def modern(self, method: str, params: Any) -> dict[str, str | None]:
        """The headers of a request."""
        shown: dict[str, str | None] = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        if (key := NAMED.get(method)) is not None:
            shown["Mcp-Name"] = params[key]
        return shown

    async def request(self, method: str, params: Any = None, **headers: str | None) -> httpx.Response:
        """A modern request. params: with their `_meta`, else it is put in."""
        params = params if params is not None and "_meta" in params else modern_params(params)
        return await self.post(self.message(method, params), **(self.modern(method, params) | headers))


def said(answer: httpx.Response) -> dict[str, Any]:
    """The last message of an answer of either kind."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        return [event for _, event in events(answer.text) if event is not None][-1]
    found: dict[str, Any] = answer.json()
    return found


def events(text: str) -> list[tuple[str | None, Any]]:
    """(id, message) of each event."""
    found = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.split("\n") if line and not line.startswith(":"))
        if "data" in fields or "data:" in fields or "id" in fields:
            data = fields.get("data") or ""
            found.append((fields.get("id"), json.loads(data) if data else None))
    return found


async def following(answer: httpx.Response) -> AsyncIterator[tuple[str | None, Any]]:
    """(id, message) of each event, as it comes."""
    text = ""
    async for chunk in answer.aiter_text():
        text = (text + chunk).replace("\r\n", "\n")
        while "\n\n" in text:
            block, _, text = text.partition("\n\n")
            for event in events(block + "\n\n"):
                yield event
