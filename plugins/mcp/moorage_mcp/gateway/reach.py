"""How a request gets at its servers: which connection, and what becomes of one that cannot be had."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from moorage_mcp.gateway import translate
from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.gateway.parts import Pool
from moorage_mcp.links.base import Asker, Link, LinkClosed, ServerInfo
from moorage_mcp.records import UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era

MAX_ERAS = 10_000
_ASKED = ("sampling", "elicitation", "roots")
"""Capabilities of a client that can be asked something."""

SeatKey = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Seat:
    """Whose connections a request uses: those of a user in a workspace, or ones that a client has alone.

    alone: "" for the shared ones. A client that can be asked something has its own, so that a server's question has one
    right addressee, and so that the server knows what this client can do.
    """

    workspace: WorkspaceInfo
    user_id: int
    alone: str = ""
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    client_info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> SeatKey:
        """By it what is known of the servers is kept."""
        return self.workspace.id, self.user_id, self.alone

    @property
    def upstreams(self) -> tuple[UpstreamInfo, ...]:
        """Those that are in use, in their order."""
        return tuple(upstream for upstream in self.workspace.upstreams if upstream.enabled)


def seat(workspace: WorkspaceInfo, caller: Caller, asker: Asker) -> Seat:
    """The seat of a request."""
    able = translate.client_capabilities(asker.capabilities)
    asked = {key: able[key] for key in _ASKED if key in able}
    if not asked:
        return Seat(workspace, caller.user_id)
    if caller.session:
        alone = f"session:{caller.session}"
    else:  # A modern client has no session: what it can do and its credential stand for it.
        told = json.dumps([asked, caller.client], sort_keys=True, default=str)
        alone = f"{caller.credential}:{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    return Seat(workspace, caller.user_id, alone, able, dict(asker.client_info))


class Reach:
    """Leases connections, with the gateway's own errors for what goes wrong."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._eras: OrderedDict[tuple[str, int], Era] = OrderedDict()
        """By upstream and version, as they were found out."""

    def era(self, upstream: UpstreamInfo) -> Era | None:
        """The era of an upstream, as far as it is known without asking it."""
        if upstream.era is not None:
            return Era(upstream.era)
        return self._eras.get((upstream.pid, upstream.version))

    async def server(self, at: Seat, upstream: UpstreamInfo) -> ServerInfo:
        """What a server says of itself to this client. RpcError (gateway) when it cannot be reached."""
        if at.alone and self.era(upstream) is Era.LEGACY:
            async with self.lease(at, upstream) as link:
                return link.server
        try:
            info = await self._pool.server(at.workspace, upstream, at.user_id)
        except (LinkClosed, TimeoutError) as error:
            raise gone(upstream, error, "unavailable") from error
        self._learn(upstream, info.era)
        return info

    @asynccontextmanager
    async def lease(self, at: Seat, upstream: UpstreamInfo) -> AsyncIterator[Link]:
        """A connection for a while. RpcError (gateway) when it cannot be had; what happens inside is not touched."""
        alone = at.alone
        if alone:
            # A modern server is told with each request what its client can do, and its questions come as its result.
            # So one connection is enough, and it must be the same from the first request on: its state is there.
            era = self.era(upstream) or (await self.server(at, upstream)).era
            alone = alone if era is Era.LEGACY else ""
        if alone:
            leased = self._pool.lease(
                at.workspace,
                upstream,
                at.user_id,
                capabilities=at.capabilities,
                client_info=at.client_info,
                alone=alone,
            )
        else:
            leased = self._pool.lease(at.workspace, upstream, at.user_id)
        try:
            link = await leased.__aenter__()
        except (LinkClosed, TimeoutError) as error:
            raise gone(upstream, error, "unavailable") from error
        self._learn(upstream, link.server.era)
        try:
            yield link
        except BaseException as error:
            if not await leased.__aexit__(type(error), error, error.__traceback__):
                raise
        else:
            await leased.__aexit__(None, None, None)

    def _learn(self, upstream: UpstreamInfo, era: Era) -> None:
        self._eras[upstream.pid, upstream.version] = era
        if len(self._eras) > MAX_ERAS:
            self._eras.popitem(last=False)


def gone(upstream: UpstreamInfo, error: BaseException, reason: str = "closed") -> jsonrpc.RpcError:
    """What a client is told of a server that went away under a request, or does not answer.

    reason: `unavailable` when it could not be reached, so that nothing of the request was carried out.
    """
    name = upstream.name
    if isinstance(error, TimeoutError):
        text = f"{name}: the server did not answer in time"
        return refused(jsonrpc.INTERNAL_ERROR, "timeout", text, upstream=name)
    text = f"{name}: {error or 'the server cannot be reached'}"
    return refused(jsonrpc.INTERNAL_ERROR, reason, text, upstream=name)
