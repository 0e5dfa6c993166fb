"""HTTP handed through: both bodies streamed, nothing buffered, nothing kept after either side has gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from moorage.errors import MoorageError, UpstreamError
from moorage.proxy.connection import Broken, Connection
from moorage.proxy.dial import Dialer
from moorage.proxy.headers import Pairs, back, towards
from moorage.proxy.pool import Pool
from moorage.proxy.request import head
from moorage.proxy.targets import ProxyRequest, Target

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]
Resolve = Callable[[ProxyRequest], Awaitable[Target]]

WATCH_AFTER = 0.02
"""Seconds after which a request without a body is watched for its client's leaving; most are over before."""
DRAIN_SECONDS = 2.0
_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
_TRAILERS = "http.response.trailers"


class Proxy:
    """Hands requests to upstreams. One for the server; its connections are opened when first needed."""

    def __init__(self) -> None:
        self._pool = Pool()
        self.dialer = Dialer()

    async def close(self) -> None:
        """Close all idle connections, and all WebSockets."""
        self._pool.close()
        await self.dialer.close()

    async def http(
        self, scope: Message, receive: Receive, send: Send, *, request: ProxyRequest, target: Target
    ) -> None:
        """One exchange. Unavailable when the upstream cannot be reached, UpstreamError when it answers wrongly."""
        client = _Client(receive, scope["moorage.bodyless"], _content_length(scope["headers"]))
        trailers = _TRAILERS in (scope.get("extensions") or ())
        with target.upstream.use():
            try:
                client.watch()
                asked = _head(scope, request, target, client, trailers)
                await self._exchange(client, send, request, target, asked, trailers)
            except Broken as error:
                if client.left:
                    return
                if client.failure is not None:
                    raise client.failure from error
                raise UpstreamError("The service behind this address broke off or answered what is no HTTP") from error
            except ValueError as error:
                raise UpstreamError("The service behind this address answered what is no HTTP") from error
            except asyncio.CancelledError:
                if client.has_cancelled():
                    return
                raise
            finally:
                await client.end()

    async def _exchange(
        self, client: _Client, send: Send, request: ProxyRequest, target: Target, asked: bytes, trailers: bool
    ) -> None:
        repeatable = client.bodyless and request.method in _REPEATABLE
        fresh = False
        while True:
            connection, served = await self._pool.take(target, fresh=fresh)
            client.connection = connection
            done = False
            try:
                connection.begin(asked, head_only=request.method == "HEAD")
                client.upload(connection)
                await connection.head()
                await _answer(connection, client, send, target, trailers)
                done = True
                return
            except Broken as error:
                # It was closed while idle, as we wrote: nothing of the request was answered.
                if not (repeatable and served and error.unused) or client.left:
                    raise
                fresh = True
            finally:
                client.connection = None
                self._pool.give(target.upstream, connection, reuse=done and client.complete)


async def _answer(connection: Connection, client: _Client, send: Send, target: Target, trailers: bool) -> None:
    if not 200 <= connection.status < 600:
        raise UpstreamError(f"The service behind this address answered with status {connection.status}")
    given = connection.headers
    headers = back(
        given,
        authority=target.upstream.authority,
        prefix=target.prefix,
        answer=target.answer,
        contained=target.contained,
    )
    start: Message = {"type": "http.response.start", "status": connection.status, "headers": headers}
    trailers = trailers and any(name == b"trailer" for name, _ in given)
    if trailers:
        start["trailers"] = True
    await send(start)
    more = True
    while more:
        chunk = await connection.body()
        more = not connection.whole
        if not more and not client.complete:
            connection.abort()
            await client.drain()
        if chunk or not more:
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
    if trailers:
        said = back(connection.trailers, authority="", prefix="", answer={})
        await send({"type": _TRAILERS, "headers": said, "more_trailers": False})


class _Client:
    """The client's side of one exchange: its body, and whether it is still there.

    left: it has gone. failure: what was wrong with its body. complete: its body was sent on whole.
    """

    def __init__(self, receive: Receive, bodyless: bool, length: int | None) -> None:
        self._receive, self.bodyless, self.length = receive, bodyless, length
        self.connection: Connection | None = None
        self.failure: MoorageError | None = None
        self.left = False
        self.complete = bodyless
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._main = asyncio.current_task()
        self._before = self._main.cancelling() if self._main is not None else 0
        self._cancelled = False
        self._drained = asyncio.Event()

    def watch(self) -> None:
        """Begin to notice that the client leaves; with a body, `upload` does."""
        if self.bodyless:
            self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, lambda: self._start(self._wait()))

    def upload(self, connection: Connection) -> None:
        """Begin to send the body, if there is one."""
        if not self.bodyless:
            self._start(self._send(connection))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = asyncio.get_running_loop().create_task(work)

    async def end(self) -> None:
        """Nothing of it goes on."""
        if self._timer is not None:
            self._timer.cancel()
        task = self._task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait((task,))

    def has_cancelled(self) -> bool:
        """Whether a cancellation of the exchange was ours alone: the client had left before there was a connection."""
        return self._cancelled and self._main is not None and self._main.uncancel() <= self._before

    async def drain(self) -> None:
        """The answer came before the body was whole: read on for a while, or the client sees a reset connection."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._drained.wait()
        except TimeoutError:
            pass

    async def _send(self, connection: Connection) -> None:
        sent, more = 0, True
        try:
            while more:
                message = await self._receive()
                if message["type"] != "http.request":
                    self._gone()
                    return
                more = message.get("more_body", False)
                data = message.get("body", b"")
                sent += len(data)
                if self.length is not None:
                    if sent > self.length or (not more and sent < self.length):
                        raise UpstreamError("The body is not as long as it was said to be")
                    if data:
                        await connection.write(data)
                elif data:
                    await connection.write(b"%x\r\n%b\r\n" % (len(data), data))
            if self.length is None:
                await connection.write(b"0\r\n\r\n")
            self.complete = True
        except MoorageError as error:
            self.failure = error
            connection.abort()
            return
        except Broken:
            pass  # Whoever reads the answer is told the same; there may be one that came early.
        await self._wait()

    async def _wait(self) -> None:
        try:
            while (message := await self._receive())["type"] != "http.disconnect":
                if not message.get("more_body", False):
                    self._drained.set()
        except MoorageError:
            pass  # More of a body than may be, after the upstream had enough of it.
        self._drained.set()
        self._gone()

    def _gone(self) -> None:
        self.left = True
        if self.connection is not None:
            self.connection.abort()
        elif self._main is not None:
            self._cancelled = True
            self._main.cancel()


def _head(scope: Message, request: ProxyRequest, target: Target, client: _Client, trailers: bool) -> bytes:
    headers = towards(scope["headers"], scope["moorage.info"], target.prefix, target.headers)
    if trailers and _wants_trailers(scope["headers"]):
        headers += [("te", "trailers"), ("connection", "te")]
    if not client.bodyless:
        sized = client.length is not None
        headers.append(("content-length", str(client.length)) if sized else ("transfer-encoding", "chunked"))
    return head(request.method, target, request.query, headers)


def _wants_trailers(headers: Pairs) -> bool:
    return any(name == b"te" and b"trailers" in value for name, value in headers)


def _content_length(headers: Pairs) -> int | None:
    return next((int(value) for name, value in headers if name == b"content-length"), None)
