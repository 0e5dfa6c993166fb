"""WebSockets handed through: messages in both directions, subprotocols, close codes, back-pressure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from moorage.context import RequestInfo
from moorage.errors import MoorageError, NotFound, Unavailable, UpstreamError
from moorage.proxy.forward import Proxy
from moorage.proxy.headers import towards
from moorage.proxy.targets import Target

if TYPE_CHECKING:
    import aiohttp

_NOT_SENDABLE = frozenset((1004, 1005, 1006, 1015))
"""Close codes that stand for what happened and may not be in a frame (RFC 6455 section 7.4.1)."""


class ClientSocket(Protocol):
    """What is needed of the core's `Socket`."""

    info: RequestInfo
    close_code: int | None

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]: ...
    @property
    def subprotocols(self) -> list[str]: ...
    async def accept(self, subprotocol: str | None = None) -> None: ...
    def __aiter__(self) -> AsyncIterator[str | bytes]: ...
    async def send(self, data: str | bytes) -> None: ...
    async def close(self, code: int = 1000, reason: str = "") -> None: ...


async def bridge(proxy: Proxy, socket: ClientSocket, target: Target, *, query: str, max_frame: int) -> None:
    """Connect to the upstream, accept with the subprotocol that it chose, hand on until either side closes.

    NotFound, Unavailable or UpstreamError before the handshake when there is nothing to connect to.
    """
    with target.upstream.use():
        upstream = await _open(proxy, socket, target, query, max_frame)
        try:
            await socket.accept(upstream.protocol)
            await _pump(socket, upstream)
        finally:
            await upstream.close(code=_sendable(socket.close_code))


async def _open(
    proxy: Proxy, socket: ClientSocket, target: Target, query: str, max_frame: int
) -> aiohttp.ClientWebSocketResponse:
    import aiohttp

    headers = towards(socket.raw_headers, socket.info, target.prefix, target.headers)
    try:
        return await proxy.dialer.open(target, query, headers, socket.subprotocols, max_frame)
    except aiohttp.WSServerHandshakeError as error:
        raise _refusal(error.status) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise UpstreamError("The service behind this address does not speak WebSocket") from error


def _refusal(status: int) -> MoorageError:
    if status == 404:
        return NotFound()
    if status == 503:
        return Unavailable("The service behind this address is not available")
    return UpstreamError(f"The service behind this address refused the WebSocket with status {status}")


async def _pump(socket: ClientSocket, upstream: aiohttp.ClientWebSocketResponse) -> None:
    """Both directions at once, each waiting for who reads it; the first that ends ends the other."""
    directions = [asyncio.ensure_future(_up(socket, upstream)), asyncio.ensure_future(_down(socket, upstream))]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for direction in directions:
            if direction.done():
                direction.result()
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)


async def _up(socket: ClientSocket, upstream: aiohttp.ClientWebSocketResponse) -> None:
    async for data in socket:
        try:
            if isinstance(data, str):
                await upstream.send_str(data)
            else:
                await upstream.send_bytes(data)
        except (ConnectionError, RuntimeError):
            return  # Closed by the other side: `_down` has its code, or is about to.


async def _down(socket: ClientSocket, upstream: aiohttp.ClientWebSocketResponse) -> None:
    import aiohttp

    while True:
        message = await upstream.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            await socket.send(message.data)
            continue
        if message.type is aiohttp.WSMsgType.CLOSE:
            code, reason = int(message.data or 1005), str(message.extra or "")
        else:
            code, reason = upstream.close_code or 1006, ""
        if code == 1005:
            code = 1000
        await socket.close(code if code not in _NOT_SENDABLE else 1011, reason)
        return


def _sendable(code: int | None) -> int:
    return 1001 if code is None or code in _NOT_SENDABLE else code


__all__ = ["ClientSocket", "bridge"]
