"""HTTP to upstreams: one client for all of them, held to the policy of targets; requests pass as they are.

No redirects, no cookies, nothing compressed (so no bombs), TLS verified. Names of headers are in lower case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, nullcontext

from moorage.api import HttpAnswer as Answer
from moorage.api import HttpClient, Unavailable, UpstreamError

from moorage_mcp.links.base import LinkClosed, refusal
from moorage_mcp.links.targets import NotPublic, Place, Targets, place, public_socket
from moorage_mcp.wire.headers import STREAM_TYPE

_HOP = frozenset(
    ("host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect")
)
_NOT_THERE = _HOP | {"proxy-authorization", "proxy-connection", "cookie", "accept-encoding"}
"""What is sent to no upstream, whoever says so."""
_NOT_CLIENTS = _NOT_THERE | {"authorization"}
_NOT_BACK = _HOP | {"set-cookie", "alt-svc", "strict-transport-security"}

_EMPTY_LINES = (b"\n\n", b"\n\r\n", b"\r\r")
_no_clock = nullcontext()


class Unreachable(LinkClosed):
    """Nothing answers there, or nothing may be asked there."""


class HttpRefused(LinkClosed):
    """An answer without a message of the protocol. status: of HTTP."""

    def __init__(self, status: int) -> None:
        self.status = status
        if status in (401, 403):
            super().__init__(f"the server does not accept the workspace's credentials for it (HTTP {status})")
        elif status == 202:
            super().__init__("the server took the request and does not answer it")
        else:
            super().__init__(f"the server answered with HTTP {status}")


class Http:
    """The clients for all upstreams: one for those that the config names, one for public addresses only."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._named, self._public = HttpClient(), HttpClient(public_socket)

    def server(self, url: str, headers: Mapping[str, str], limit: int, idle: float | None) -> HttpServer:
        """An upstream, as `HttpServer`. headers: the workspace's credentials for it. LinkClosed for a bad address."""
        try:
            where = place(url)
        except ValueError as error:
            raise Unreachable(f"its address cannot be used: {error}") from None
        client = self._named if self._targets.named(url) else self._public
        return HttpServer(client, where, headers, limit, idle)

    async def close(self) -> None:
        """Close all connections."""
        await self._named.close()
        await self._public.close()


class HttpAnswer:
    """An answer whose head has come. Read `chunks` to the end, or `close` it.

    headers: without those of the connection and cookies; of a repeated one the first. length: of the body, if it is
    said.
    """

    __slots__ = ("_answer", "_limit", "headers", "idle", "length", "status")

    def __init__(self, answer: Answer, limit: int, idle: float | None) -> None:
        self._answer, self._limit, self.idle = answer, limit, idle
        self.status = answer.status
        length = answer.header("content-length") or ""
        self.length = int(length) if length.isdigit() and len(length) < 16 else None
        self.headers: dict[str, str] = {}
        for name, value in answer.headers:
            if name not in _NOT_BACK:
                self.headers.setdefault(name, value)

    @property
    def streamed(self) -> bool:
        """Whether it is an event stream."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == STREAM_TYPE

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. LinkClosed when it is cut or falls silent, RpcError when it is too large.

        An event stream has no bound in all: each of its events has.
        """
        size, edge = 0, b""
        try:
            while True:
                try:
                    # A clock costs more than all else here, and most answers have come whole.
                    async with asyncio.timeout(self.idle) if not self._answer.ready else _no_clock:
                        chunk = await self._answer.read()
                except TimeoutError:
                    raise LinkClosed("the server has fallen silent") from None
                except UpstreamError:
                    raise LinkClosed("the server broke off its answer") from None
                if not chunk:
                    return
                size += len(chunk)
                if self.streamed:
                    size, edge = _of_event(size, edge, chunk), chunk[-2:]
                if size > self._limit:
                    raise refusal("too_large", f"The server's answer is larger than {self._limit} bytes")
                yield chunk
        finally:
            self._answer.close()

    async def whole(self) -> bytes:
        """The body. As `chunks`; RpcError when it is too large."""
        return b"".join([chunk async for chunk in self.chunks()])

    def close(self) -> None:
        """Nothing more of it is wanted. Safe to repeat."""
        self._answer.close()


def _of_event(size: int, edge: bytes, chunk: bytes) -> int:
    """Bytes of a stream's last event so far. An event ends with an empty line, which may be cut in two."""
    ends = max(map(chunk.rfind, _EMPTY_LINES))
    if ends < 0 and any(line in edge + chunk[:2] for line in _EMPTY_LINES):
        ends = 0
    return size if ends < 0 else len(chunk) - ends


class HttpServer:
    """An upstream that is reached by HTTP.

    limit: bytes of an answer. idle: seconds in which something must come; None: whoever asks has a clock. patience: the
    same for event streams of POSTs, which are silent while a server waits for what it asked the client.
    """

    def __init__(
        self, client: HttpClient, where: Place, headers: Mapping[str, str], limit: int, idle: float | None
    ) -> None:
        self._client, self.where = client, where
        self._own = {name.lower(): value for name, value in headers.items() if name.lower() not in _NOT_THERE}
        self._own["accept-encoding"] = "identity"
        self._target = where.path + (f"?{where.query}" if where.query else "")
        self.limit, self.idle, self.patience = limit, idle, idle

    async def send(self, method: str, headers: Mapping[str, str], body: bytes, *, target: str = "") -> HttpAnswer:
        """Send a request and wait for the head of its answer. A GET's stream may be silent as long as it likes.

        headers: names in lower case; those of the workspace go before them, and a client's own credentials are never
        sent. target: another path and query. LinkClosed when there is no answer that can be used.
        """
        sent = [(name, value) for name, value in headers.items() if name not in _NOT_CLIENTS and name not in self._own]
        sent += self._own.items()
        try:
            async with asyncio.timeout(self.idle):
                found = await self._client.send(
                    method,
                    self.where.host,
                    self.where.port,
                    target or self._target,
                    sent,
                    body,
                    tls=self.where.scheme == "https",
                )
        except TimeoutError:
            raise LinkClosed("the server does not answer") from None
        except Unavailable as error:
            raise Unreachable(_unreachable(error)) from error
        except UpstreamError:
            raise LinkClosed("the server broke off, or answered what is no HTTP") from None
        except (ValueError, UnicodeEncodeError):
            raise LinkClosed("a header for the server cannot be sent") from None
        answer = HttpAnswer(found, self.limit, self.idle)
        if answer.streamed:
            answer.idle = None if method == "GET" else self.patience
        if (why := _unusable(answer)) is not None:
            answer.close()
            raise LinkClosed(why)
        return answer


def _unreachable(error: Unavailable) -> str:
    if isinstance(error.__cause__, NotPublic):
        return "its address is not public, and the operator does not name it"
    return "the server cannot be reached" if error.__cause__ is not None else error.message


def _unusable(answer: HttpAnswer) -> str | None:
    if 300 <= answer.status < 400:
        return "the server sends elsewhere, which is not followed"
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        return "the server compresses its answer, which it was asked not to"
    return None


class Breakable:
    """What runs through a link and breaks off when that is closed."""

    def __init__(self) -> None:
        self.closed = False
        self._running: set[asyncio.Task[object]] = set()

    @contextmanager
    def use(self) -> Iterator[None]:
        """Around what waits for the server. LinkClosed when the link has been closed."""
        if self.closed:
            raise LinkClosed("the connection was closed")
        task = asyncio.current_task()
        assert task is not None
        before, within = task.cancelling(), task in self._running
        self._running.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self.closed and task.cancelling() > before and task.uncancel() <= before:
                raise LinkClosed("the connection was closed") from None
            raise
        finally:
            if not within:
                self._running.discard(task)

    def close(self) -> None:
        """Break off."""
        self.closed = True
        current = asyncio.current_task()
        for task in self._running:
            if task is not current:
                task.cancel()
