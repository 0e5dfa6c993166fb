"""How a request gets at its servers: which connection, and what becomes of one that cannot be had."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from moorage.api import MoorageError

from moorage_mcp.gateway import translate
from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.gateway.parts import Pool
from moorage_mcp.links.base import Asker, Link, LinkClosed, ServerInfo
from moorage_mcp.records import Kind, UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.methods import ASKED

_K = TypeVar("_K")
_V = TypeVar("_V")
MAX_ERAS = 10_000
MAX_PINNED = 1000
_ONE_STREAM = (Kind.PROVIDED, Kind.STDIO, Kind.SSE)
"""Servers that ask by the same stream whatever request they ask for."""

SeatKey = tuple[int, int, str, Era]


@dataclass(frozen=True, slots=True)
class Seat:
    """Whose connections a request uses: those of a user in a workspace, or ones that a client has alone.

    alone: "" for the shared ones. A client that can be asked something has its own, so that a server's question has one
    right addressee, and so that the server knows what this client can do. era: the client's, in which a server that
    speaks both is spoken to. passing: the client has no session; each of its requests is another's.
    """

    workspace: WorkspaceInfo
    user_id: int
    alone: str = ""
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    client_info: Mapping[str, Any] = field(default_factory=dict)
    era: Era = Era.MODERN
    passing: bool = False

    @property
    def key(self) -> SeatKey:
        """By it what is known of the servers is kept."""
        return self.workspace.id, self.user_id, self.alone, self.era

    @property
    def upstreams(self) -> tuple[UpstreamInfo, ...]:
        """Those that are in use, in their order."""
        return tuple(upstream for upstream in self.workspace.upstreams if upstream.enabled)


def seat(workspace: WorkspaceInfo, caller: Caller, asker: Asker, era: Era = Era.MODERN) -> Seat:
    """The seat of a request."""
    able = translate.client_capabilities(asker.capabilities)
    asked = {key: able[key] for key in ASKED if key in able}
    if not asked:
        return Seat(workspace, caller.user_id, era=era)
    if caller.session:
        alone = f"session:{caller.session}"
    else:  # What it can do and its credential stand for it.
        told = json.dumps([asked, caller.client], sort_keys=True, default=str)
        alone = f"{caller.credential}:{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    return Seat(workspace, caller.user_id, alone, able, dict(asker.client_info), era, not caller.session)


class Reach:
    """Leases connections, with the gateway's own errors for what goes wrong."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._eras: OrderedDict[tuple[str, int], Era] = OrderedDict()
        """By upstream and version, as they were found out."""
        self._speaks: OrderedDict[tuple[str, int, Era], bool] = OrderedDict()
        self._pinned: OrderedDict[tuple[SeatKey, str, int], None] = OrderedDict()
        self._busy: dict[tuple[str, str], set[int]] = {}

    def era(self, upstream: UpstreamInfo) -> Era | None:
        """The era of an upstream, as far as it is known without asking it."""
        if upstream.era is not None:
            return Era(upstream.era)
        return self._eras.get((upstream.pid, upstream.version))

    def speaks(self, upstream: UpstreamInfo, era: Era) -> bool:
        """Whether an upstream is known to speak that era, maybe beside the other."""
        return self.era(upstream) is era or self._speaks.get((upstream.pid, upstream.version, era), False)

    async def server(self, at: Seat, upstream: UpstreamInfo) -> ServerInfo:
        """What a server says of itself to this client. RpcError (gateway) when it cannot be reached."""
        if at.alone or (upstream.kind is Kind.HTTP and self.era(upstream) is not at.era):
            async with self.lease(at, upstream) as link:
                return link.server
        try:
            info = await self._pool.server(at.workspace, upstream, at.user_id)
        except (LinkClosed, TimeoutError, MoorageError) as error:
            raise gone(upstream, error, "unavailable") from error
        self._learn(upstream, info.era)
        return info

    @asynccontextmanager
    async def lease(self, at: Seat, upstream: UpstreamInfo, *, asking: bool = False) -> AsyncIterator[Link]:
        """A connection for a while. RpcError (gateway) when it cannot be had; what happens inside is not touched.

        asking: for a client's own request, on which the server may ask back.
        """
        async with AsyncExitStack() as stack:
            try:
                era, alone = await self._how(at, upstream)
                if asking and alone and at.passing and upstream.kind in _ONE_STREAM:
                    alone = stack.enter_context(self._place(alone, upstream))
                told: dict[str, Any] = {}
                if alone:
                    told = {"capabilities": at.capabilities, "client_info": at.client_info, "alone": alone}
                leased = self._pool.lease(at.workspace, upstream, at.user_id, era=era, **told)
                link = await stack.enter_async_context(leased)
            except (LinkClosed, TimeoutError, MoorageError) as error:
                raise gone(upstream, error, "unavailable") from error
            self._learn(upstream, link.server.era)
            if alone and link.server.era is Era.MODERN:
                _keep(self._pinned, (at.key, upstream.pid, upstream.version), None, MAX_PINNED)
            yield link

    async def _how(self, at: Seat, upstream: UpstreamInfo) -> tuple[Era | None, str]:
        """In which era a server is spoken to (None: whichever it speaks), and by whose connection.

        A modern server is told with each request what its client can do, and its questions come as its result, so the
        shared connection will do. But its state is with the connection that the first request went by.
        """
        era = None
        if upstream.kind is Kind.HTTP and self.era(upstream) is not at.era:
            key = (upstream.pid, upstream.version, at.era)
            if key not in self._speaks:
                both = await self._pool.speaks(at.workspace, upstream, at.user_id, at.era)
                _keep(self._speaks, key, both, MAX_ERAS)
            era = at.era if self._speaks[key] else None
        known = era or self.era(upstream)
        pinned = (at.key, upstream.pid, upstream.version) in self._pinned
        return era, "" if known is Era.MODERN and not pinned else at.alone

    @contextmanager
    def _place(self, alone: str, upstream: UpstreamInfo) -> Iterator[str]:
        """A connection for this request and no other that is under way.

        A server asks by its only stream, so that two requests at once could not be told apart. One after the other they
        use the same one.
        """
        taken = self._busy.setdefault((alone, upstream.pid), set())
        number = next(number for number in itertools.count() if number not in taken)
        taken.add(number)
        try:
            yield f"{alone}:{number}" if number else alone
        finally:
            taken.discard(number)
            if not taken:
                self._busy.pop((alone, upstream.pid), None)

    def _learn(self, upstream: UpstreamInfo, era: Era) -> None:
        key = (upstream.pid, upstream.version)
        if key not in self._eras:
            _keep(self._eras, key, era, MAX_ERAS)


def _keep(kept: OrderedDict[_K, _V], key: _K, value: _V, most: int) -> None:
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)


def gone(upstream: UpstreamInfo, error: BaseException, reason: str = "closed") -> jsonrpc.RpcError:
    """What a client is told of a server that went away under a request, or does not answer.

    reason: `unavailable` when it could not be reached, so that nothing of the request was carried out.
    """
    name = upstream.name
    if isinstance(error, TimeoutError):
        text = f"{name}: the server did not answer in time"
        return refused(jsonrpc.INTERNAL_ERROR, "timeout", text, upstream=name)
    if isinstance(error, MoorageError):  # The pool's own words name the server, and say when to try again.
        after = error.headers.get("Retry-After", "")
        more = {"retryAfter": int(after)} if after.isdigit() else {}
        return refused(jsonrpc.INTERNAL_ERROR, reason, error.message, upstream=name, **more)
    text = f"{name}: {error or 'the server cannot be reached'}"
    return refused(jsonrpc.INTERNAL_ERROR, reason, text, upstream=name)
