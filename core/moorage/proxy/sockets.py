"""WebSockets handed through: messages in both directions, subprotocols, close codes, back-pressure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from moorage.context import RequestInfo
from moorage.errors import MoorageError, NotFound, Unavailable, UpstreamError
from moorage.proxy.forward import Proxy
from moorage.proxy.headers import towards
from moorage.proxy.pool import CONNECT_TIMEOUT
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


class Deaf(Exception):
    """The client does not read what it is sent."""


@dataclass(frozen=True, slots=True)
class SocketEnd:
    """How an upstream ended. code, reason: as a client can be told. lost: it broke off and said no code."""

    code: int
    reason: str
    lost: bool


async def bridge(proxy: Proxy, socket: ClientSocket, target: Target, *, query: str, max_frame: int) -> None:
    """Connect to the upstream, accept with the subprotocol that it chose, hand on until either side closes.

    NotFound, Unavailable or UpstreamError before the handshake when there is nothing to connect to.
    """
    with target.upstream.use():
        upstream = await _open(proxy, socket, target, query, max_frame)
        try:
            await socket.accept(upstream.protocol)
            if (end := await pump(socket, upstream)) is not None:
                await socket.close(end.code, end.reason)
        finally:
            await upstream.close(code=sendable(socket.close_code))


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


async def pump(
    socket: ClientSocket, upstream: aiohttp.ClientWebSocketResponse, patience: float | None = None
) -> SocketEnd | None:
    """Both directions at once, each waiting for who reads it, until one side ends. None: the client did.

    patience: seconds in which the client must take a message; Deaf when it does not.
    """
    up = asyncio.ensure_future(_up(socket, upstream))
    down = asyncio.ensure_future(_down(socket, upstream, patience))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        if up.done() and up.result():
            return None
        # What the upstream has said last, its close code included, may still be on its way to the client.
        if not down.done():
            await asyncio.wait((down,), timeout=CONNECT_TIMEOUT)
        return down.result() if down.done() else SocketEnd(1011, "", lost=True)
    finally:
        for direction in (up, down):
            direction.cancel()
        await asyncio.gather(up, down, return_exceptions=True)


async def _up(socket: ClientSocket, upstream: aiohttp.ClientWebSocketResponse) -> bool:
    """Whether it was the client that ended."""
    async for data in socket:
        try:
            if isinstance(data, str):
                await upstream.send_str(data)
            else:
                await upstream.send_bytes(data)
        except (ConnectionError, RuntimeError):
            return False
    return True


async def _down(socket: ClientSocket, upstream: aiohttp.ClientWebSocketResponse, patience: float | None) -> SocketEnd:
    import aiohttp

    while True:
        message = await upstream.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            try:
                async with asyncio.timeout(patience):
                    await socket.send(message.data)
            except TimeoutError:
                raise Deaf from None
            continue
        if message.type is aiohttp.WSMsgType.CLOSE:
            code, reason = int(message.data or 1005), str(message.extra or "")
        else:
            code, reason = upstream.close_code or 1006, ""
        if code == 1005:
            code = 1000
        sendable = code not in _NOT_SENDABLE
        return SocketEnd(code if sendable else 1011, reason, lost=not sendable)


def sendable(code: int | None) -> int:
    """The close code that an upstream is told of a client that closed with that one."""
    return 1001 if code is None or code in _NOT_SENDABLE else code


__all__ = ["ClientSocket", "Deaf", "SocketEnd", "bridge", "pump", "sendable"]
