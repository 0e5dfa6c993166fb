"""An HTTP/1.1 client for plugins that ask servers by URL: cheap, streamed, and it does only what it is told.

No redirects, no cookies, no decompression, no proxies from the environment, nothing asked twice.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from moorage.errors import Unavailable, UpstreamError
from moorage.proxy.connection import Broken, Connection
from moorage.proxy.pool import CONNECT_TIMEOUT, KEEP_SECONDS

MAX_BUSY = 2048
MAX_KEPT = 32
"""Idle connections that are kept with one server."""
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r"/[\x21-\x7e]*")
_Key = tuple[str, int, bool]
AddressInfo = tuple[Any, Any, int, str, Any]
"""As `socket.getaddrinfo` gives it."""


def any_socket(info: AddressInfo) -> socket.socket:
    """A socket for whatever address."""
    return socket.socket(info[0], info[1], info[2])


class HttpAnswer:
    """An answer whose head has come. Read it to its end, or `close` it; as an async iterator: the chunks of its body.

    headers: names in lower case, in the order in which they came.
    """

    __slots__ = ("_client", "_connection", "_done", "_key", "headers", "status")

    def __init__(self, client: HttpClient, key: _Key, connection: Connection) -> None:
        self._client, self._key, self._connection = client, key, connection
        self._done = False
        self.status = connection.status
        self.headers = [(name.decode("latin-1"), value.decode("latin-1").strip()) for name, value in connection.headers]

    def header(self, name: str) -> str | None:
        """A header's first value, by its name in lower case."""
        return next((value for known, value in self.headers if known == name), None)

    @property
    def ready(self) -> bool:
        """Whether `read` answers at once."""
        return self._done or self._connection.ready

    async def read(self) -> bytes:
        """The next bytes of the body, b"" at its end. UpstreamError when it is cut."""
        if self._done:
            return b""
        try:
            data = await self._connection.body()
        except Broken as error:
            self.close()
            raise UpstreamError("The server broke off its answer") from error
        except BaseException:
            self.close()
            raise
        if self._connection.whole:
            self.close()
        return data

    def close(self) -> None:
        """Nothing more of it is wanted; the connection is closed unless the answer was read whole. Safe to repeat."""
        if not self._done:
            self._done = True
            self._client._give(self._key, self._connection)

    def __aiter__(self) -> HttpAnswer:
        return self

    async def __anext__(self) -> bytes:
        if data := await self.read():
            return data
        raise StopAsyncIteration


class HttpClient:
    """Sends requests, over connections that are kept for a few seconds. Close it at the end.

    make_socket: the socket for an address that is about to be connected to; it refuses the address by an OSError.
    That is after the name was resolved, so what it allows is what is reached.
    """

    def __init__(self, make_socket: Callable[[AddressInfo], socket.socket] = any_socket) -> None:
        self._make_socket = make_socket
        self._tls: ssl.SSLContext | None = None
        self._busy: set[Connection] = set()
        self._opening = 0
        self._idle: dict[_Key, deque[Connection]] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(
        self,
        method: str,
        host: str,
        port: int,
        target: str,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        tls: bool = False,
    ) -> HttpAnswer:
        """Send a request and wait for the head of its answer, for as long as it takes.

        host: a name or an address without brackets. target: path and query, percent-encoded. headers: without `Host`
        and `Content-Length`. Unavailable when it cannot be reached, or too much is under way; UpstreamError when it
        breaks off or answers what is no HTTP; ValueError when a header could be read as something else.
        """
        key = (host, port, tls)
        asked = _head(method, key, target, headers, body)
        connection = await self._take(key)
        try:
            if len(body) <= 16 * 1024:
                connection.begin(asked + body, head_only=method == "HEAD")
            else:
                connection.begin(asked, head_only=method == "HEAD")
                await connection.write(body)
            await connection.head()
            if not 200 <= connection.status < 600:
                raise UpstreamError(f"The server answered with status {connection.status}")
            answer = HttpAnswer(self, key, connection)
            if connection.reusable:
                answer.close()
            return answer
        except Broken as error:
            self._give(key, connection)
            raise UpstreamError("The server broke off, or answered what is no HTTP") from error
        except BaseException:
            self._give(key, connection)
            raise

    async def close(self) -> None:
        """Close all connections; what is under way breaks off."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in list(self._busy):
            connection.abort()
        for kept in self._idle.values():
            for connection in kept:
                connection.abort()
        self._idle.clear()

    # -- connections ---------------------------------------------------------------------------------------------

    async def _take(self, key: _Key) -> Connection:
        if self._closed or len(self._busy) + self._opening >= MAX_BUSY:
            raise Unavailable("Too many requests to other servers at once", headers={"Retry-After": "1"})
        if kept := self._idle.get(key):
            oldest = asyncio.get_running_loop().time() - KEEP_SECONDS
            while kept:
                connection = kept.pop()
                if connection.open and connection.idle_since > oldest:
                    self._busy.add(connection)
                    return connection
                connection.abort()
        self._opening += 1
        try:
            connection = await self._connect(key)
        except (OSError, ssl.CertificateError) as error:
            raise Unavailable("The server cannot be reached") from error
        finally:
            self._opening -= 1
        self._busy.add(connection)
        return connection

    def _give(self, key: _Key, connection: Connection) -> None:
        self._busy.discard(connection)
        if self._closed or not connection.reusable or len(self._idle.get(key, ())) >= MAX_KEPT:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(key, deque()).append(connection)
        if self._sweep is None:
            self._sweep = loop.call_later(KEEP_SECONDS, self._close_old)

    def _close_old(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEEP_SECONDS
        for key, kept in list(self._idle.items()):
            while kept and kept[0].idle_since <= oldest:
                kept.popleft().abort()
            if not kept:
                del self._idle[key]
        self._sweep = loop.call_later(KEEP_SECONDS, self._close_old) if self._idle else None

    async def _connect(self, key: _Key) -> Connection:
        """The first of the name's addresses that answers. OSError of the last one that did not."""
        host, port, tls = key
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        failure: OSError = OSError("the name has no address")
        for info in found[:8]:
            try:
                sock = self._make_socket(info)
                try:
                    sock.setblocking(False)
                    async with asyncio.timeout(CONNECT_TIMEOUT):
                        await loop.sock_connect(sock, info[4])
                        return await self._wrap(sock, host if tls else None)
                except BaseException:
                    sock.close()
                    raise
            except OSError as error:  # TimeoutError and TLS's errors are such too.
                failure = error
        raise failure

    async def _wrap(self, sock: socket.socket, server_name: str | None) -> Connection:
        if server_name is not None and self._tls is None:
            self._tls = ssl.create_default_context()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            Connection,
            sock=sock,
            ssl=self._tls if server_name is not None else None,
            server_hostname=server_name,
        )
        return connection


def _head(method: str, key: _Key, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> bytes:
    host, port, tls = key
    shown = f"[{host}]" if ":" in host else host
    if port != (443 if tls else 80):
        shown = f"{shown}:{port}"
    if not _TARGET.fullmatch(target):
        raise ValueError("a target begins with a slash and is percent-encoded")
    lines = [f"{method} {target} HTTP/1.1", f"host: {shown}"]
    for name, value in headers:
        if not _NAME.fullmatch(name):
            raise ValueError("a header's name has characters that no name has")
        lines.append(f"{name}: {value}")
    if body or method not in ("GET", "HEAD", "DELETE"):
        lines.append(f"content-length: {len(body)}")
    made = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    ends = len(lines) + 1
    if made.count(b"\n") != ends or made.count(b"\r") != ends or b"\0" in made:
        raise ValueError("a header holds a line break")
    return made
