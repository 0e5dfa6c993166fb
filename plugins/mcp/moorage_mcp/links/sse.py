"""HTTP with SSE, the transport of 2024-11-05: one stream from the server, POSTs to it. Source: that revision.

The server says by its first event where to post. That address must be of the same origin: else whoever answers here
could have the gateway send what it likes, with the workspace's credentials, to somebody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urljoin

from moorage_mcp.links.base import LinkClosed
from moorage_mcp.links.duplex import Duplex
from moorage_mcp.links.exchange import Spawn
from moorage_mcp.links.http import Breakable, HttpAnswer, HttpRefused, HttpServer
from moorage_mcp.links.targets import place
from moorage_mcp.links.tasks import Tasks
from moorage_mcp.wire import headers, sse

MAX_JUNK = 200
_JSON = {"accept": headers.ACCEPT, "content-type": headers.JSON_TYPE}


class Sse(Duplex):
    """As `LegacyTransport`. Begin with `open`."""

    def __init__(self, server: HttpServer, spawn: Spawn, dropped: Callable[[], None] = lambda: None) -> None:
        super().__init__(dropped)
        self._server = server
        self._tasks = Tasks(spawn)
        self._running = Breakable()
        self._version: str | None = None
        self._endpoint = ""
        self._found: asyncio.Future[None] | None = None
        self._junk = 0

    async def open(self) -> None:
        """Open the stream, and wait until the server has said where to post. LinkClosed."""
        with self._running.use():
            answer = await self._server.send("GET", {"accept": headers.STREAM_TYPE}, b"")
            if answer.status != 200 or not answer.streamed:
                answer.close()
                if answer.status != 200:
                    raise HttpRefused(answer.status)
                raise LinkClosed("the server opens no event stream")
            self._found = asyncio.get_running_loop().create_future()
            self._tasks(self._read(answer), "read a server's events")
            await self._found

    def begun(self, version: str) -> None:
        """As `LegacyTransport`."""
        self._version = version if version >= "2025-06-18" else None

    async def send(self, data: bytes) -> None:
        """As `Duplex`."""
        shown = dict(_JSON) if self._version is None else {**_JSON, headers.VERSION: self._version}
        with self._running.use():
            answer = await self._server.send("POST", shown, data, target=self._endpoint)
            answer.close()
        if answer.status >= 300:
            raise HttpRefused(answer.status)

    async def close(self) -> None:
        """As `Transport`."""
        self.broke("the connection was closed")
        self._tasks.cancel()
        self._running.close()

    def broke(self, why: str) -> None:
        """As `Duplex`."""
        super().broke(why)
        if self._found is not None and not self._found.done():
            self._found.set_exception(LinkClosed(why))

    async def _read(self, answer: HttpAnswer) -> None:
        decoder = sse.Decoder(self._server.limit)
        try:
            async for chunk in answer.chunks():
                for event in decoder.feed(chunk):
                    self._event(event)
                await self.breathe()
        except sse.EventTooLarge:
            self.broke(f"the server sent a message larger than {self._server.limit} bytes")
        except LinkClosed as error:
            self.broke(str(error))
        else:
            self.broke("the server has ended the connection")
        finally:
            answer.close()

    def _event(self, event: sse.Event) -> None:
        if event.kind == "endpoint":
            if not self._endpoint:
                self._endpoint = self._checked(event.data)
                if self._found is not None and not self._found.done():
                    self._found.set_result(None)
        elif event.kind == "message" and event.data and not self.took(event.data):
            self._junk += 1
            if self._junk > MAX_JUNK:
                raise LinkClosed("what the server sends is no MCP")

    def _checked(self, said: bytes) -> str:
        """The path and query to post to."""
        where = self._server.where
        host = f"[{where.host}]" if ":" in where.host else where.host
        try:
            found = place(urljoin(f"{where.scheme}://{host}:{where.port}{where.path}", said.decode("ascii").strip()))
        except ValueError:
            raise LinkClosed("the server does not say where to post") from None
        if (found.scheme, found.host, found.port) != (where.scheme, where.host, where.port):
            raise LinkClosed("the server wants to be posted to at another address, which is not done")
        return found.path + (f"?{found.query}" if found.query else "")
