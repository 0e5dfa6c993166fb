"""Requests of the server's own to addresses that others chose: pinned to addresses that were checked, and bounded."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx2

Allowed = Callable[[str, IPv4Address | IPv6Address], bool]
"""(host as the URL names it, one of its addresses) -> whether that may be connected to."""


class Guarded(httpx2.AsyncBaseTransport):
    """Resolves names itself, refuses what is not allowed, connects to what was checked, bounds answers.

    max_answer: bytes. Failures are httpx2's.
    """

    def __init__(self, allowed: Allowed, max_answer: int, inner: httpx2.AsyncBaseTransport | None = None) -> None:
        self._allowed, self._max = allowed, max_answer
        self._inner = inner or httpx2.AsyncHTTPTransport(retries=0)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        address = await self._address(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        # The name is still what Host and the certificate are about.
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        answer = await self._inner.handle_async_request(request)
        if answer.headers.get("content-encoding", "identity") != "identity":
            await answer.aclose()
            raise httpx2.DecodingError("compressed, though that was not asked for")
        stream = answer.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        bounded = _Bounded(stream, self._max)
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=bounded, extensions=answer.extensions)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _address(self, host: str, port: int) -> str:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or any(not self._allowed(host, _plain(address)) for address in addresses):
            raise httpx2.ConnectError("an address that is not allowed")
        return addresses[0]


class _Bounded(httpx2.AsyncByteStream):
    """At most so many bytes."""

    def __init__(self, inner: httpx2.AsyncByteStream, most: int) -> None:
        self._inner, self._most = inner, most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > self._most:
                raise httpx2.ReadError("the answer is too long")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def _plain(text: str) -> IPv4Address | IPv6Address:
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
