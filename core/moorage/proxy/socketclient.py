"""A WebSocket client for plugins that hand clients on to servers by URL."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from moorage.errors import DeadlineExceeded, Unavailable, UpstreamError
from moorage.proxy.dial import client_session
from moorage.proxy.pool import CONNECT_TIMEOUT
from moorage.proxy.sockets import ClientSocket, Deaf, SocketEnd, pump, sendable

if TYPE_CHECKING:
    import aiohttp

_KEEPALIVE = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class SocketClient:
    """Connects to WebSocket servers. No redirects, no cookies, no proxies from the environment. Close it at the end.

    .. versionadded:: 0.1
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    @asynccontextmanager
    async def connect(
        self,
        url: str,
        *,
        headers: Iterable[tuple[str, str]] = (),
        max_frame: int = 16 * 1024 * 1024,
        timeout: float = CONNECT_TIMEOUT * 2,
    ) -> AsyncIterator[SocketLink]:
        """A connection for as long as it lasts. url: `ws://` or `wss://`. max_frame: bytes of one of its messages.

        Unavailable when nothing answers within `timeout` seconds, UpstreamError when it speaks no WebSocket.
        """
        upstream = await self._open(url, headers, max_frame, timeout)
        link = SocketLink(upstream)
        try:
            yield link
        finally:
            await upstream.close(code=link.code)

    async def _open(
        self, url: str, headers: Iterable[tuple[str, str]], max_frame: int, timeout: float
    ) -> aiohttp.ClientWebSocketResponse:
        import aiohttp

        if self._closed:
            raise Unavailable("The server is stopping")
        if self._session is None:
            self._session = client_session(None)
        try:
            async with asyncio.timeout(timeout):
                upstream = await self._session.ws_connect(
                    url,
                    headers=list(headers),
                    autoclose=False,
                    compress=0,
                    max_msg_size=max_frame,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CONNECT_TIMEOUT),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise UpstreamError(f"The server refused the WebSocket with status {error.status}") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, TimeoutError) as error:
            raise Unavailable("The server cannot be reached") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamError("The server does not speak WebSocket") from error
        _keep_alive(upstream)
        return upstream

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class SocketLink:
    """A connection to a server. code: what it is closed with."""

    def __init__(self, upstream: aiohttp.ClientWebSocketResponse) -> None:
        self._upstream = upstream
        self.code = 1000

    async def relay(self, client: ClientSocket, *, patience: float | None = None) -> SocketEnd | None:
        """Hand messages on in both directions, at the pace of who reads them, until either side ends.

        client: accepted. It is not closed here. None: it was the client that ended; the server is closed with its code.
        patience: seconds in which the client must take a message; None: as long as it likes. DeadlineExceeded.
        """
        try:
            end = await pump(client, self._upstream, patience)
        except Deaf:
            self.code = 1001
            raise DeadlineExceeded("The client does not read what it is sent") from None
        except BaseException:
            self.code = sendable(client.close_code)
            raise
        self.code = sendable(client.close_code) if end is None or end.lost else end.code
        return end


def _keep_alive(upstream: aiohttp.ClientWebSocketResponse) -> None:
    """Have the system notice that the other machine is gone. Pings would be of no use with servers that compute."""
    sock = upstream.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
