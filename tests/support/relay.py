"""A plugin with a proxied place, and an upstream behind it that is scripted byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from moorage.api import (
    Forbidden,
    Hub,
    LimitClass,
    Manifest,
    NotFound,
    Permission,
    Plugin,
    ProxyRequest,
    Routes,
    Target,
    hookimpl,
)
from moorage.testing.server import Server

USE = Permission("relay:box:use", "Reach what is behind", default="operator")
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Relay(Plugin):
    """A plugin with one proxied place; a test sets where it leads."""

    manifest = Manifest(name="relay", version="1", summary="Relays", permissions=(USE,))
    asked: list[ProxyRequest]
    options: dict[str, object]

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Routes:
        self.hub, self.asked, self.options = hub, [], {}
        routes = Routes()

        @routes.proxy("/box/{name}/{rest:path}", access=USE.name, sockets=True, max_body=200_000)
        async def box(request: ProxyRequest) -> Target:
            self.asked.append(request)
            upstream = hub.upstreams.get(request.params["name"])
            if request.params["name"] == "secret":
                raise Forbidden("Not yours")
            if upstream is None:
                raise NotFound("No such box")
            return Target(upstream, f"/{request.rest}", prefix=f"/box/{upstream.name}", **self.options)  # type: ignore[arg-type]

        # A place of its own for what is about the limit: a busy machine must not pass it elsewhere.
        @routes.proxy("/hasty/{rest:path}", access=USE.name, timeout=1.0)
        async def hasty(request: ProxyRequest) -> Target:
            upstream = hub.upstreams.get("it")
            assert upstream is not None
            return Target(upstream, f"/{request.rest}")

        @routes.proxy("/slow/{rest:path}", access=USE.name, limit=LimitClass.EXEMPT)
        async def slow(request: ProxyRequest) -> Target:
            upstream = hub.upstreams.get("it")
            assert upstream is not None
            return Target(upstream, f"/{request.rest}", wait=5)

        return routes


class Upstream:
    """A scripted server: what it was sent, and what it says."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.closed = asyncio.Event()
        self.said = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.talk: Talk = self.answer
        self.connections = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed.set()
        finally:
            writer.close()

    async def head(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        return head

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say `said` to each request of a connection."""
        while True:
            head = await self.head(reader)
            if b"content-length: " in head.lower():
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(size))
            elif b"transfer-encoding: chunked" in head.lower():
                body = b""
                while size := int((await reader.readline()).strip(), 16):
                    body += await reader.readexactly(size)
                    await reader.readline()
                await reader.readline()
                self.bodies.append(body)
            writer.write(self.said)
            await writer.drain()

    def sent(self) -> dict[str, str]:
        """The headers of the last request, names in lower case."""
        lines = self.heads[-1].decode("latin-1").split("\r\n")[1:-2]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


class Place:
    """A server with the plugin, and an upstream behind it."""

    def __init__(self, server: Server, plugin: Relay, upstream: Upstream, port: int) -> None:
        self.server, self.plugin, self.upstream, self.port = server, plugin, upstream, port
