"""The gateway: what a client asks of a workspace, answered by the workspace's servers, in the client's era."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from moorage.api import Hub

from moorage_mcp.calls import Calls, Outcome
from moorage_mcp.config import McpConfig
from moorage_mcp.gateway import rules, translate
from moorage_mcp.gateway.admission import Admission, Admitted, check_tool
from moorage_mcp.gateway.asking import Bridged
from moorage_mcp.gateway.caller import Caller, refused, unavailable
from moorage_mcp.gateway.catalog import Catalog
from moorage_mcp.gateway.describing import Describing
from moorage_mcp.gateway.lists import Lists
from moorage_mcp.gateway.parts import Pool
from moorage_mcp.gateway.reach import Reach, Seat, seat
from moorage_mcp.gateway.requests import Asked, Asking
from moorage_mcp.gateway.retries import Retries
from moorage_mcp.gateway.routing import Routing
from moorage_mcp.links.base import Asker, LinkClosed, Listener, ServerInfo
from moorage_mcp.links.exchange import LEVELS
from moorage_mcp.records import Kind, UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import Params, RpcError

_LISTENED = frozenset({"resources/subscribe", "resources/unsubscribe", "subscriptions/listen"})
"""The front has these: they outlive the request. See `listen`."""
_OF_FRONTS = frozenset({"initialize", "server/discover"})
_NOT_THERE = frozenset({jsonrpc.RESOURCE_NOT_FOUND, jsonrpc.INVALID_PARAMS, jsonrpc.METHOD_NOT_FOUND})


class Changes(Protocol):
    """Who tells of changed workspaces: `workspaces.Workspaces`."""

    def on_change(self, callback: Callable[[WorkspaceInfo], None]) -> None:
        """Call it with each workspace that changed."""
        ...


class Gateway:
    """All of it; one object. The endpoint's fronts and the REST service ask it, links answer.

    Errors of every call: RpcError, with `gateway` set when the gateway itself says so (see `caller.refused`).
    """

    def __init__(self, hub: Hub, config: McpConfig, pool: Pool, calls: Calls, changes: Changes) -> None:
        self._config = config
        self.reach = Reach(pool)
        self.catalog = Catalog(self.reach, hub.tasks, config)
        self.admission = Admission(hub, config, calls)
        self._asking = Asking(self.reach, Retries(hub.sealing), config)
        self.lists = Lists(self.catalog)
        self._routing = Routing(self.catalog)
        self._describing = Describing(self.reach)
        changes.on_change(self._changed)

    # -- what fronts ask ------------------------------------------------------------------------------------------

    async def describe(self, workspace: WorkspaceInfo, caller: Caller, era: Era, asker: Asker) -> ServerInfo:
        """What the workspace says of itself: for `initialize` and `server/discover`."""
        self.admission.check_right(workspace, caller)
        return await self._describing.of(seat(workspace, caller, asker, era), era)

    async def request(
        self,
        workspace: WorkspaceInfo,
        caller: Caller,
        era: Era,
        method: str,
        params: Params,
        asker: Asker,
        *,
        admitted: Admitted | None = None,
    ) -> dict[str, Any]:
        """Answer a request. The result is in the words of the client's era.

        A client that leaves cancels the task; the server is told so. admitted: by `admit`, if it was already.
        """
        if admitted is None:
            admitted = self.admission.admit(workspace, caller, method, params)
        try:
            at = seat(workspace, caller, asker, era)
            found = await self._answer(Asked(at, caller, era, method, params, asker), admitted)
        except RpcError as error:
            admitted.failed(error)
            raise
        except asyncio.CancelledError:
            admitted.finish(Outcome.CANCELLED)
            raise
        except BaseException:
            admitted.finish(Outcome.ERROR, "The gateway failed")
            raise
        admitted.answered(found)
        return found

    async def listen(
        self,
        workspace: WorkspaceInfo,
        caller: Caller,
        era: Era,
        wanted: Mapping[str, Any],
        listener: Listener,
        asker: Asker,
    ) -> Callable[[], None]:
        """Tell the listener what the servers tell without being asked, until the answer is called.

        wanted: as the params of `subscriptions/listen`; for a legacy client's GET stream all three lists, and for its
        `resources/subscribe` the URI alone. Also told: changes of the workspace itself, since its lists change then.
        RpcError when a resource cannot be subscribed to.
        """
        self.admission.check_right(workspace, caller)
        at = seat(workspace, caller, asker, era)
        uris: dict[str, list[str]] = {}
        for uri in wanted.get("resourceSubscriptions") or ():
            routed = await self._routing.resource(at, {"uri": uri})
            uris.setdefault(routed[0].upstream.pid, []).append(uri)
        return await self.catalog.watches.listen(at, era, wanted, uris, listener)

    async def tell(
        self, workspace: WorkspaceInfo, caller: Caller, era: Era, method: str, params: Params, asker: Asker
    ) -> None:
        """Hand on a client's notification that belongs to no request: `notifications/roots/list_changed`.

        Only to servers that know this client from others: those that it has connections of its own with.
        """
        self.admission.check_right(workspace, caller)
        at = seat(workspace, caller, asker, era)
        if not at.alone or era is Era.MODERN:
            return
        for upstream in at.upstreams:
            if self.reach.era(upstream) is Era.LEGACY:
                try:
                    async with self.reach.lease(at, upstream) as link:
                        await link.tell(method, params)
                except (RpcError, LinkClosed, TimeoutError):
                    continue  # It will ask for the roots when it is there again.

    # -- what goes past the gateway -------------------------------------------------------------------------------

    def admit(self, workspace: WorkspaceInfo, caller: Caller, method: str, params: Params) -> Admitted:
        """Let a request pass that goes to the server as it is. `Admitted.finish` (or `answered`, `failed`) ends it."""
        admitted = self.admission.admit(workspace, caller, method, params)
        upstreams = [upstream for upstream in workspace.upstreams if upstream.enabled]
        admitted.upstream = upstreams[0].name if len(upstreams) == 1 else None
        return admitted

    def passage(self, workspace: WorkspaceInfo, caller: Caller, era: Era, method: str) -> UpstreamInfo | None:
        """The upstream whose answer to this method needs nothing of us but credentials; None: the general path.

        It is the only one in use, reached by Streamable HTTP, known to be of the client's era, has no prefix, and what
        the method shows is neither filtered nor changed. The rules for a call are `admit`'s.
        """
        only: UpstreamInfo | None = None
        for upstream in workspace.upstreams:
            if upstream.enabled:
                if only is not None:
                    return None
                only = upstream
        if only is None or only.kind is not Kind.HTTP or only.prefix or not self.reach.speaks(only, era):
            return None
        if only.fixed and method in ("tools/list", "tools/call"):
            return None
        if method == "tools/list" and (only.annotations or rules.restricted(workspace, only, caller)):
            return None
        return only

    # -- how --------------------------------------------------------------------------------------------------------

    async def _answer(self, asked: Asked, admitted: Admitted) -> dict[str, Any]:
        at, method = asked.at, asked.method
        if method == "ping" and asked.era is Era.LEGACY:
            return {}
        if method in _LISTENED or method in _OF_FRONTS:
            raise refused(jsonrpc.METHOD_NOT_FOUND, "not_supported", f"Method not found: {method}")
        if not at.upstreams and method not in translate.LISTS:
            raise unavailable("The workspace has no servers")
        if method in translate.LISTS:
            return await self.lists.result(at, asked.caller, asked.era, method, asked.params)
        if method == "logging/setLevel" and asked.era is Era.LEGACY:
            return await self._set_level(at, asked.params, asked.asker)
        places, params = await self._routing.route(at, method, asked.params)
        admitted.upstream = places[0].upstream.name
        if method == "tools/call":
            check_tool(at.workspace, asked.caller, places[0].upstream, places[0].shown, params["name"])
        for place in places[:-1]:  # Of a resource that nobody lists: the first that does not say that it has none.
            try:
                return await self._asking.ask(asked, params, place)
            except RpcError as error:
                if not error.gateway and error.code not in _NOT_THERE:
                    raise
        return await self._asking.ask(asked, params, places[-1])

    async def _set_level(self, at: Seat, params: Params, asker: Asker) -> dict[str, Any]:
        """The front keeps the level and links tell it with each request; here it is checked, and told at once."""
        level = params.get("level")
        if level not in LEVELS:
            raise refused(
                jsonrpc.INVALID_PARAMS, "bad_params", f"Invalid params: `level` is one of {', '.join(LEVELS)}"
            )
        for upstream in at.upstreams:
            if self.reach.era(upstream) is Era.MODERN:
                continue
            try:
                async with self.reach.lease(at, upstream) as link:
                    if link.server.era is Era.LEGACY and "logging" in link.server.capabilities:
                        bridged = Bridged(asker, client=Era.LEGACY, server=Era.LEGACY)
                        bridged.log_level = level
                        await link.request("ping", {}, bridged, timeout=self._config.start_timeout)
            except (RpcError, LinkClosed, TimeoutError):
                continue  # It is told with the next request that reaches it.
        return {}

    def _changed(self, workspace: WorkspaceInfo) -> None:
        self.catalog.drop(workspace.id)
        self.catalog.watches.workspace_changed(workspace)
