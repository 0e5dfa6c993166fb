"""The lane of raw exchanges: a handler reads the request's bytes and writes the answer's, with nothing in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import cached_property
from urllib.parse import parse_qsl

from moorage.access import Actor
from moorage.context import RequestInfo
from moorage.errors import MoorageError, PayloadTooLarge
from moorage.routes import ExchangeRoute
from moorage.server.body import Body
from moorage.server.running import Running
from moorage.server.socket import Message, Receive, Send

WATCH_AFTER = 0.02
"""Seconds after which a request is watched for its client's leaving; most are over before."""
_HIDDEN = (b"cookie", b"authorization")
Pairs = Iterable[tuple[bytes, bytes]]


class ClientLeft(Exception):
    """The client went away before its request was whole. Handlers let it out."""


class Exchange:
    """One request, and the answer that its handler gives: whole by `answer`, or `begin` and as many `write` as wanted.

    info: what the gate found out; params: of the path. left: the client has gone.
    outlives: what the handler does goes on when the client leaves, which else cancels it; `write` then does nothing.
    A right that ends, a deadline that passes and the server's end cancel the handler whatever this says.
    """

    def __init__(
        self,
        info: RequestInfo,
        params: dict[str, str],
        running: Running,
        hold: Callable[[], None],
        scope: Message,
        receive: Receive,
        send: Send,
    ) -> None:
        self.info, self.params = info, params
        self.left = self.outlives = False
        self._running, self._hold = running, hold
        self._scope, self._receive, self._send = scope, receive, send
        self._complete: bool = scope["moorage.bodyless"]
        self._begun = self._ended = False
        self._watching: asyncio.TimerHandle | asyncio.Task[None] | None = None
        self._handler = asyncio.current_task()
        self._before = self._handler.cancelling() if self._handler is not None else 0
        self._cancelled = False
        if self._complete:
            self._watch()

    # -- the request --------------------------------------------------------------------------------------------

    @property
    def actor(self) -> Actor:
        """Who is behind it now: of a stream, replaced when a role changes."""
        return self._running.actor

    @property
    def begun(self) -> bool:
        """Whether the answer has begun."""
        return self._begun

    @property
    def method(self) -> str:
        """GET, POST … A route for GET is asked for HEAD as well; of its answer the body is left out."""
        return self.info.method

    @cached_property
    def headers(self) -> dict[str, str]:
        """The request's headers, names in lower case; a repeated one's values are joined by ", ". No credentials."""
        found: dict[str, str] = {}
        for name, value in self._scope["headers"]:
            if name not in _HIDDEN:
                key, text = name.decode("latin-1"), value.decode("latin-1")
                found[key] = f"{found[key]}, {text}" if key in found else text
        return found

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's arguments; the last of a repeated one."""
        text = self._scope["query_string"].decode("latin-1")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=64)) if text else {}

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The request's headers as they came, credentials included, names in lower case."""
        return list(self._scope["headers"])

    async def body(self, limit: int | None = None) -> bytes:
        """All of the body. PayloadTooLarge beyond `limit` bytes or the route's; ClientLeft."""
        first = b""
        size = 0
        rest: list[bytes] = []
        async for chunk in self.chunks():
            size += len(chunk)
            if limit is not None and size > limit:
                raise PayloadTooLarge(f"The body may hold {limit} bytes")
            if first:
                rest.append(chunk)
            else:
                first = chunk
        return first if not rest else b"".join((first, *rest))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, no faster than it is taken. PayloadTooLarge, ClientLeft."""
        while not self._complete:
            message = await self._receive()
            if message["type"] != "http.request":
                self.left = self._complete = True
                raise ClientLeft
            self._complete = not message.get("more_body", False)
            if self._complete:
                self._watch()
            if chunk := message.get("body", b""):
                yield chunk

    # -- the answer ---------------------------------------------------------------------------------------------

    async def answer(self, status: int, headers: Pairs = (), body: bytes = b"") -> None:
        """The whole answer. headers: names in lower case; `content-length` is added where the status has a body."""
        head = list(headers)
        if status >= 200 and status not in (204, 304):
            head.append((b"content-length", b"%d" % len(body)))
        if not self._complete and isinstance(self._receive, Body):
            # Engines wait for somebody to take the body, before they can be told of the answer's end.
            self._complete = True
            await self._receive.discard()
        await self._start(status, head)
        await self._end(b"" if self.method == "HEAD" else body)

    async def begin(self, status: int, headers: Pairs = ()) -> None:
        """Begin an answer of many pieces. From here on it is a stream, which ends with its right; TooManyRequests when
        the user has too many open. What is left of the body is not for the handler any more.
        """
        self._hold()
        self._running.streaming()
        if not self._complete:
            self._complete = True
            self._watch()
        await self._start(status, list(headers))

    async def write(self, chunk: bytes) -> None:
        """The next piece; returns when more may be written. Nothing happens once the client has left."""
        if not self._begun:
            raise RuntimeError("an answer begins with `begin`")
        if chunk and not self.left and self.method != "HEAD":
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self._begun:
            raise RuntimeError("an exchange has one answer")
        self._begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _end(self, body: bytes = b"") -> None:
        self._ended = True
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    # -- the client's leaving -----------------------------------------------------------------------------------

    def _watch(self) -> None:
        self._watching = asyncio.get_running_loop().call_later(WATCH_AFTER, self._begin_watch)

    def _begin_watch(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        except MoorageError:
            return  # More of a body than may be, of a request that had said to be whole.
        self.left = True
        if not self.outlives and not self._ended and self._handler is not None:
            self._cancelled = True
            self._handler.cancel()

    async def run(self, route: ExchangeRoute) -> None:
        """Call the handler, and leave nothing behind. For the gate."""
        try:
            await route.handler(self)
            if not self._ended and not self.left:
                if not self._begun:
                    raise RuntimeError("the handler gave no answer")
                await self._end()
        except ClientLeft:
            pass
        except asyncio.CancelledError:
            # Ours alone: the client has left. A deadline or a lost right is the gate's to explain.
            if not (self._cancelled and self._handler is not None and self._handler.uncancel() <= self._before):
                raise
        finally:
            watching = self._watching
            if watching is not None:
                watching.cancel()
                if isinstance(watching, asyncio.Task) and not watching.done():
                    await asyncio.wait((watching,))
