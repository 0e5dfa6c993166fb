"""One HTTP/1.1 connection to an upstream: a request out, its answer in, each with back-pressure. Source: RFC 9112."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import httptools

MAX_HEAD = 64 * 1024
MAX_WAITING = 256 * 1024
"""Bytes of an answer that wait for a client; beyond it the upstream is not read."""
_NO_BODY = (204, 304)


class Broken(Exception):
    """The upstream broke off, or what it says is no HTTP. unused: nothing of an answer had come."""

    def __init__(self, what: str, *, unused: bool = False) -> None:
        self.unused = unused
        super().__init__(what)


class Connection(asyncio.Protocol):
    """One connection; `status`, `headers` and `trailers` are those of the answer that is being read.

    sized: the answer says where it ends, so that the connection can serve again.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused_writing = False
        self._lost: Exception | None = None
        self.served = 0
        self.idle_since = 0.0
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.trailers: list[tuple[bytes, bytes]] = []
        self._reset(head_only=True)

    def _reset(self, *, head_only: bool) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._head_only = head_only
        self.headers, self.trailers = [], []
        self._head_bytes = 0
        self._headed = self._complete = self._sized = self._closing = False
        self._chunks: deque[bytes] = deque()
        self._waiting = 0
        self._paused_reading = False
        self._failure: Broken | None = None
        self._arrived: asyncio.Future[None] | None = None

    # -- what the proxy does with it ----------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether a request can still be sent."""
        return self._lost is None and self._transport is not None and not self._transport.is_closing()

    @property
    def reusable(self) -> bool:
        """Whether the answer was read to its end, and another may follow."""
        return self.open and self._complete and not self._closing and not self._chunks

    def begin(self, head: bytes, *, head_only: bool) -> None:
        """Send a request's head. head_only: the answer has no body whatever it says (HEAD)."""
        self._reset(head_only=head_only)
        if self._transport is None or self._lost is not None:
            raise Broken("the upstream has closed the connection", unused=True)
        self._transport.write(head)

    async def write(self, data: bytes) -> None:
        """Send a piece of the body; returns when more may be sent."""
        if self._transport is None or self._lost is not None:
            raise self._broken()
        self._transport.write(data)
        if self._paused_writing:
            self._writable = self._loop.create_future()
            await self._writable

    async def head(self) -> None:
        """Wait for the head of the answer. Broken when there will be none."""
        while not self._headed:
            await self._more()

    @property
    def whole(self) -> bool:
        """Whether the last of the body has arrived."""
        return self._complete

    @property
    def ready(self) -> bool:
        """Whether `body` has something to say at once."""
        return self._complete or bool(self._chunks)

    async def body(self) -> bytes:
        """The next bytes of the body, all that there are; b"" at its end. Broken when it is cut."""
        while not self._chunks:
            if self._complete:
                return b""
            await self._more()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._waiting = 0
        if self._paused_reading and self._transport is not None:
            self._paused_reading = False
            self._transport.resume_reading()
        return data

    def abort(self) -> None:
        """Close at once; who waits is told."""
        self._fail("the connection was given up")
        if self._transport is not None:
            self._transport.abort()

    async def _more(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._lost is not None:
            raise self._broken()
        self._arrived = self._loop.create_future()
        await self._arrived

    def _broken(self) -> Broken:
        return self._failure or Broken("the upstream closed the connection", unused=not self._head_bytes)

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: it is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no instances of asyncio's.

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: it is closed. The end of an answer without a length."""
        self._lost = exc or ConnectionResetError("closed")
        if self._headed and not self._complete and not self._sized and exc is None:
            self._complete = True
        self._wake()
        if self._writable is not None and not self._writable.done():
            self._writable.set_exception(self._broken())

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have come."""
        if self._complete or self._failure is not None:
            # Bytes that nobody asked for: whatever they are, no later answer may be made of them.
            self._closing = True
            if self._transport is not None:
                self._transport.abort()
            return
        if not self._headed:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the upstream changed the protocol")
        except httptools.HttpParserError as error:
            cause = error.__context__ if isinstance(error.__context__, Broken) else error
            self._fail(f"what the upstream says is no HTTP: {cause}")
        if not self._headed and self._head_bytes > MAX_HEAD:
            self._fail("the head of the upstream's answer is too large")
        if self._waiting > MAX_WAITING and not self._paused_reading and self._transport is not None:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake()

    def pause_writing(self) -> None:
        """asyncio: the upstream does not read."""
        self._paused_writing = True

    def resume_writing(self) -> None:
        """asyncio: it reads again."""
        self._paused_writing = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    def _wake(self) -> None:
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _fail(self, what: str) -> None:
        if self._failure is None and not self._complete:
            self._failure = Broken(what)
            self._wake()
        self._closing = True

    # -- httptools ----------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: a header, or a trailer."""
        if not self._complete:
            (self.trailers if self._headed else self.headers).append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """httptools: the head is whole."""
        if self._complete:
            raise Broken("there is more after the answer's end")
        self.status = self._parser.get_status_code()
        if self.status >= 200 or self.status == 101:
            self._frame()
            self._headed = True

    def on_body(self, data: bytes) -> None:
        """httptools: bytes of the body."""
        if self._complete or not self._headed:
            self._closing = True
            return
        self._chunks.append(data)
        self._waiting += len(data)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole; an informational one only leads to the next."""
        if self._headed:
            self._complete = True
        else:
            self.headers = []

    def _frame(self) -> None:
        """Where the answer ends, and whether the connection may go on after it."""
        length, encoding = b"", b""
        version = self._parser.get_http_version()
        if version not in ("1.0", "1.1"):
            raise Broken(f"the upstream speaks HTTP/{version}")
        closing = version != "1.1"
        for name, value in self.headers:
            if name == b"content-length":
                length = value.strip()
            elif name == b"transfer-encoding":
                encoding += value.strip().lower()
            elif name == b"connection" and b"close" in value.lower():
                closing = True
        if self.status == 101:
            raise Broken("the upstream changed the protocol")
        if encoding not in (b"", b"chunked"):
            raise Broken("the upstream encoded its answer in a way that was not asked for")
        self._sized = bool(length or encoding)
        if self._head_only or self.status in _NO_BODY:
            # llhttp cannot be told of HEAD, and an upstream that sends the body all the same would be heard as the
            # next answer: another person's.
            self._complete = True
            closing = closing or bool(encoding) or length not in (b"", b"0")
        elif not self._sized:
            closing = True
        self._closing = self._closing or closing
