"""Makes a link to an upstream, by whatever transport, in whatever era the server speaks.

The newer era is tried first: `server/discover`. Only an answer of that era makes a server modern; whatever else it
answers, or nothing, `initialize` follows. Source: MCP 2026-07-28, Versioning, Backward Compatibility.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from moorage.api import Exec

from moorage_mcp.links.base import Link, LinkClosed, ServerInfo
from moorage_mcp.links.exchange import Call, Nobody, SessionLost, Spawn, Transport
from moorage_mcp.links.http import Http, HttpRefused, HttpServer, Unreachable
from moorage_mcp.links.legacy import LegacyLink, LegacyTransport
from moorage_mcp.links.modern import ModernLink, discovered
from moorage_mcp.links.sse import Sse
from moorage_mcp.links.stdio import Stdio
from moorage_mcp.links.streamable import LegacyHttp, ModernHttp
from moorage_mcp.records import Kind, UpstreamInfo
from moorage_mcp.wire import eras, headers, jsonrpc
from moorage_mcp.wire.eras import LATEST_MODERN, LEGACY_VERSIONS, MODERN_VERSIONS, Era
from moorage_mcp.wire.jsonrpc import (
    HEADER_MISMATCH,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
    Message,
    RpcError,
)

PROBE_SECONDS = 10.0
"""A server that has not answered `server/discover` by then is taken to be of the older era."""
_MODERN_ERRORS = (HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a link is for. era: None finds it out. alone, capabilities, client_info: as `Pool.lease` says."""

    era: Era | None = None
    alone: bool = False
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    client_info: Mapping[str, Any] = field(default_factory=dict)


class Connector:
    """Makes links. start: starts the program of a stdio upstream. limit: bytes of a server's message.

    dropped: told of each notification that is dropped.
    """

    def __init__(self, http: Http, spawn: Spawn, *, limit: int, dropped: Callable[[], None] = lambda: None) -> None:
        self._http, self._spawn, self._limit, self._dropped = http, spawn, limit, dropped

    async def connect(
        self, upstream: UpstreamInfo, start: Callable[[], Awaitable[Exec]], wish: Wish, timeout: float
    ) -> Link:
        """A link that is up. LinkClosed when that cannot be, with the reason; TimeoutError when it takes too long."""
        try:
            if upstream.kind in (Kind.PROVIDED, Kind.STDIO):
                return await self._stdio(await start(), wish, timeout)
            server = self._http.server(upstream.url, upstream.headers, self._limit, None)
            if upstream.kind is Kind.SSE:
                return await self._sse(server, wish, timeout)
            return await self._streamable(server, wish, timeout)
        except RpcError as error:
            raise LinkClosed(f"the server refuses: {error.message[:256]} ({error.code})") from None
        except SessionLost:
            raise LinkClosed("the server forgets its sessions at once") from None

    async def _stdio(self, program: Exec, wish: Wish, timeout: float) -> Link:
        transport = Stdio(program, self._limit, self._spawn, self._dropped)
        probing = min(PROBE_SECONDS, timeout / 2)
        try:
            if wish.era is not Era.LEGACY and (found := await self._probe(transport, wish, probing)) is not None:
                return ModernLink(transport, found, wish.client_info, self._spawn)
            try:
                return await self._legacy(transport, wish, timeout)
            except RpcError as error:
                # One of both eras, that began too slowly: the question came too late for us, but it was the first.
                if error.code != UNSUPPORTED_VERSION or wish.era is Era.LEGACY:
                    raise
            found = await self._probe(transport, wish, probing)
            if found is None:
                raise LinkClosed("the server speaks no version of MCP that we know")
            return ModernLink(transport, found, wish.client_info, self._spawn)
        except BaseException:
            await transport.close()
            raise

    async def _sse(self, server: HttpServer, wish: Wish, timeout: float) -> Link:
        transport = Sse(server, self._spawn, self._dropped)
        try:
            async with asyncio.timeout(timeout):
                await transport.open()
            return await self._legacy(transport, wish, timeout)
        except BaseException:
            await transport.close()
            raise

    async def _streamable(self, server: HttpServer, wish: Wish, timeout: float) -> Link:
        if wish.era is not Era.LEGACY:
            marks: dict[str, headers.Marks] = {}
            modern = ModernHttp(server, marks)
            found = await self._probe(modern, wish, min(PROBE_SECONDS, timeout / 2))
            if found is not None:
                return ModernLink(modern, found, wish.client_info, self._spawn, marks)
        legacy = LegacyHttp(server, self._spawn)
        try:
            return await self._legacy(legacy, wish, timeout)
        except BaseException:
            await legacy.close()
            raise

    async def _legacy(self, transport: LegacyTransport, wish: Wish, timeout: float) -> Link:
        if wish.era is Era.MODERN:
            raise LinkClosed("the server does not speak the newer era of MCP")
        identity = {"capabilities": dict(wish.capabilities), "clientInfo": wish.client_info}
        link = LegacyLink(transport, identity, self._spawn, alone=wish.alone)
        await link.open(timeout)
        return link

    async def _probe(self, transport: Transport, wish: Wish, timeout: float) -> ServerInfo | None:
        """What a modern server says of itself; None for one of the older era. LinkClosed when it is neither."""
        version = LATEST_MODERN
        for id in (999_998, 999_999):  # A late answer must not be taken for another's.
            try:
                found = await _discover(transport, id, version, wish, timeout)
            except TimeoutError:
                return None
            except LinkClosed as error:
                if wish.era is Era.MODERN or not _answered(error):
                    raise
                return None
            if found.error is None:
                return _modern(found.result or {}, version)
            if found.error.code not in _MODERN_ERRORS:
                return None
            following = _supported(found.error)
            if following is None:
                return None
            if following == version:
                break
            version = following
        raise LinkClosed("the server refuses what its own era of MCP prescribes")


async def _discover(transport: Transport, id: int, version: str, wish: Wish, timeout: float) -> jsonrpc.Response:
    meta = {eras.PROTOCOL_VERSION: version, eras.CLIENT_CAPABILITIES: {}, eras.CLIENT_INFO: wish.client_info}
    call = Call(id, Nobody(), None, timeout)

    async def ignore(message: Message) -> None:
        """Nothing belongs to it."""

    async with call.begin():
        try:
            return await transport.exchange(call, jsonrpc.request(id, "server/discover", {"_meta": meta}), ignore)
        except RpcError as error:
            return jsonrpc.Response(id, error=error)


def _modern(found: Mapping[str, Any], version: str) -> ServerInfo | None:
    versions = found.get("supportedVersions")
    if not isinstance(versions, list) or not isinstance(found.get("capabilities"), dict):
        return None
    if version in versions:
        return discovered(found, version)
    common = next((one for one in MODERN_VERSIONS if one in versions), None)
    return None if common is None else discovered(found, common)


def _supported(error: RpcError) -> str | None:
    """Which version to go on with; None: the older era. LinkClosed when there is none in common."""
    versions = error.data.get("supported") if isinstance(error.data, dict) else None
    if error.code != UNSUPPORTED_VERSION or not isinstance(versions, list):
        return LATEST_MODERN
    if (common := next((one for one in MODERN_VERSIONS if one in versions), None)) is not None:
        return common
    if any(one in LEGACY_VERSIONS for one in versions):
        return None
    raise LinkClosed("the server speaks no version of MCP that we know")


def _answered(error: LinkClosed) -> bool:
    """Whether a server of the older era may have meant that."""
    if isinstance(error, HttpRefused):
        return error.status not in (401, 403, 407, 429, 502, 503, 504)
    return not isinstance(error, Unreachable)
