"""Streamable HTTP as a transport, of both eras. Source: MCP 2025-11-25 and 2026-07-28, Transports."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from moorage_mcp.links.base import LinkClosed, refusal
from moorage_mcp.links.duplex import BURST, PAUSE
from moorage_mcp.links.exchange import Call, Handle, SessionLost, Spawn, Strays
from moorage_mcp.links.http import Breakable, HttpAnswer, HttpRefused, HttpServer
from moorage_mcp.links.tasks import Tasks
from moorage_mcp.wire import headers, jsonrpc, sse
from moorage_mcp.wire.eras import PROTOCOL_VERSION
from moorage_mcp.wire.jsonrpc import Message, Response, RpcError

MAX_RESUMED = 100
"""How often the stream of one request may break, or be closed to be fetched again, before it is given up."""
RETRY_SECONDS = (0.25, 30.0)
"""Between a broken stream and its resumption: if the server does not say, and at most."""
LEAVE_SECONDS = 5.0
GET_PAUSES = (1.0, 60.0)
_JSON = {"accept": headers.ACCEPT, "content-type": headers.JSON_TYPE}
_STREAM = {"accept": headers.STREAM_TYPE}
_log = structlog.get_logger("moorage.mcp.links")


class _Stream:
    """What is left of an event stream when it breaks: where it was, and when to come again."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.retry = RETRY_SECONDS[0]
        self.junk = self._stretch = 0

    async def read(self, answer: HttpAnswer, limit: int, handle: Handle, call: Call | None) -> Response | None:
        """Hand on its messages until the call's answer comes; None when it ends before. LinkClosed."""
        decoder = sse.Decoder(limit)
        try:
            async for chunk in answer.chunks():
                for event in decoder.feed(chunk):
                    self._stretch += 1
                    if (found := self._message(event)) is None:
                        continue
                    if call is not None and isinstance(found, Response):
                        if _answers(found, call.id):
                            return found
                        continue
                    await handle(found)
                if self._stretch > BURST:  # A flood takes no more than a part of a core.
                    self._stretch = BURST // 2
                    await asyncio.sleep(PAUSE)
        except sse.EventTooLarge:
            raise refusal("too_large", f"The server's answer is larger than {limit} bytes") from None
        finally:
            answer.close()
        return None

    def _message(self, event: sse.Event) -> Message | None:
        if event.id is not None:
            self.last_id = event.id or None
        if event.retry is not None:
            self.retry = min(event.retry / 1000, RETRY_SECONDS[1])
        if not event.data or event.kind != "message":
            return None
        try:
            return jsonrpc.read(event.data)
        except RpcError:
            self.junk += 1
            if self.junk > 100:
                raise LinkClosed("what the server sends is no MCP") from None
            return None


class ModernHttp:
    """As `Transport`: each request is a POST, and closing its stream cancels it.

    marks: by tool, the arguments that stand in headers too.
    """

    cancels = True

    def __init__(self, server: HttpServer, marks: Mapping[str, headers.Marks]) -> None:
        self._server, self._marks = server, marks
        self._running = Breakable()
        self.strays: Strays = lambda message: None
        self.closed, self.why = asyncio.Event(), ""

    async def exchange(self, call: Call, message: Mapping[str, Any], handle: Handle) -> Response:
        """As `Transport`."""
        method, params = message["method"], message["params"]
        version = params["_meta"][PROTOCOL_VERSION]
        marks = self._marks.get(params.get("name", "")) if method == "tools/call" else None
        shown = {**_JSON, **headers.modern(method, params, version, marks)}
        with self._running.use():
            answer = await self._server.send("POST", shown, jsonrpc.encode(message))
            if not answer.streamed:
                return await _single(answer, call.id)
            found = await _Stream().read(answer, self._server.limit, handle, call)
        if found is None:
            raise LinkClosed("the server broke off its answer")
        return found

    async def tell(self, message: Mapping[str, Any]) -> None:
        """As `Transport`: there is nothing to tell in this era."""

    async def close(self) -> None:
        """As `Transport`."""
        self.closed.set()
        self._running.close()


class LegacyHttp:
    """As `LegacyTransport`: a session over POSTs, with streams that can be taken up again, and one GET."""

    cancels = False

    def __init__(self, server: HttpServer, spawn: Spawn) -> None:
        self._server = server
        self._tasks = Tasks(spawn)
        self.strays: Strays = lambda message: None
        self.closed, self.why = asyncio.Event(), ""
        self.lost: Callable[[], None] = lambda: None
        self._running = Breakable()
        self._session: str | None = None
        self._version: str | None = None
        self._hearing: asyncio.Task[None] | None = None

    def _headers(self, base: Mapping[str, str]) -> dict[str, str]:
        shown = dict(base)
        if self._session is not None:
            shown[headers.SESSION_ID] = self._session
        if self._version is not None:
            shown[headers.VERSION] = self._version
        return shown

    def begun(self, version: str) -> None:
        """As `LegacyTransport`."""
        self._version = version if version >= "2025-03-26" else None

    def renew(self) -> None:
        """As `LegacyTransport`."""
        self._session = self._version = None
        if self._hearing is not None:
            self._hearing.cancel()
            self._hearing = None

    async def exchange(self, call: Call, message: Mapping[str, Any], handle: Handle) -> Response:
        """As `Transport`. SessionLost when the server does not know the session, and did nothing."""
        in_session = self._session is not None
        with self._running.use():
            answer = await self._server.send("POST", self._headers(_JSON), jsonrpc.encode(message))
            if message["method"] == "initialize" and answer.status < 300:
                self._session = answer.headers.get(headers.SESSION_ID)
            if not answer.streamed:
                return await _single(answer, call.id, in_session=in_session)
            stream = _Stream()
            for _ in range(MAX_RESUMED):
                try:
                    found = await stream.read(answer, self._server.limit, handle, call)
                except LinkClosed:
                    if stream.last_id is None:
                        raise
                    found = None
                if found is not None:
                    return found
                if stream.last_id is None:
                    break
                answer = await self._resume(stream)
        raise LinkClosed("the server broke off its answer")

    async def _resume(self, stream: _Stream) -> HttpAnswer:
        """Take up a stream where it broke."""
        await asyncio.sleep(stream.retry)
        shown = {**self._headers(_STREAM), headers.LAST_EVENT_ID: stream.last_id or ""}
        answer = await self._server.send("GET", shown, b"")
        if answer.status != 200 or not answer.streamed:
            answer.close()
            raise LinkClosed("the server broke off its answer, and has forgotten it")
        return answer

    async def tell(self, message: Mapping[str, Any]) -> None:
        """As `Transport`."""
        with self._running.use():
            answer = await self._server.send("POST", self._headers(_JSON), jsonrpc.encode(message))
            answer.close()
        if answer.status == 404 and self._session is not None:
            raise SessionLost
        if answer.status >= 400:
            raise HttpRefused(answer.status)

    # -- the stream for what belongs to no request -------------------------------------------------------------------

    def hear(self) -> None:
        """As `LegacyTransport`: open the stream, and again when it breaks, until the server says that it has none."""
        if self._hearing is None and not self._running.closed:
            self._hearing = self._tasks(self._hear(), "hear a server")

    async def _hear(self) -> None:
        stream, (pause, longest), began = _Stream(), GET_PAUSES, False
        while True:
            shown = self._headers(_STREAM)
            if stream.last_id is not None:
                shown[headers.LAST_EVENT_ID] = stream.last_id
            try:
                answer = await self._server.send("GET", shown, b"")
                if answer.status in (400, 404, 405, 501) or (answer.status == 200 and not answer.streamed):
                    answer.close()  # It has none.
                    if answer.status == 404 and self._session is not None and began:
                        self.lost()
                    return
                began = True
                if answer.status == 200:
                    pause = GET_PAUSES[0]
                    await stream.read(answer, self._server.limit, self._heard, None)
                answer.close()
            except (LinkClosed, RpcError) as error:
                _log.debug("a server's stream broke", reason=str(error))
            await asyncio.sleep(max(stream.retry, pause * random.uniform(0.5, 1.0)))  # noqa: S311 only a jitter
            pause = min(pause * 2, longest)

    async def _heard(self, message: Message) -> None:
        self.strays(message)

    async def close(self) -> None:
        """As `Transport`, with the session."""
        if self._running.closed:
            return
        self.closed.set()
        self._tasks.cancel()
        self._running.close()
        if self._session is not None:
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    (await self._server.send("DELETE", self._headers({}), b"")).close()
            except (TimeoutError, LinkClosed):
                pass  # It will find out.


async def _single(answer: HttpAnswer, id: int, *, in_session: bool = False) -> Response:
    """An answer that is one JSON message, or an HTTP error. LinkClosed, RpcError, SessionLost."""
    if answer.status in (401, 403):
        answer.close()
        raise HttpRefused(answer.status)
    body = await answer.whole()
    try:
        found = jsonrpc.read(body) if body.strip() else None
    except RpcError:
        found = None
    if in_session and _session_lost(answer.status, found):
        raise SessionLost
    if isinstance(found, Response) and _answers(found, id):
        return found
    if answer.status >= 400 or answer.status == 202:
        raise HttpRefused(answer.status)
    raise refusal("bad_answer", "The server answered what is no JSON-RPC")


def _answers(found: Response, id: int) -> bool:
    """An error may be without an id: of a request that the server could not read."""
    return found.id == id or (found.id is None and found.error is not None)


def _session_lost(status: int, found: Message | None) -> bool:
    """404 by the specification; some servers say 400 and that the session is not valid."""
    if status == 404:
        return not (isinstance(found, Response) and found.error is not None and found.error.code == -32601)
    if status != 400 or not isinstance(found, Response) or found.error is None:
        return False
    return found.id is None and "session" in json.dumps(found.error.message).lower()
