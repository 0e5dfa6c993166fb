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
from moorage_mcp.gateway.reach import Reach, Seat, gone, seat
from moorage_mcp.gateway.retries import NAMES, Retries
from moorage_mcp.gateway.routing import Routed, Routing
from moorage_mcp.links.base import Asker, Link, LinkClosed, Listener, ServerInfo
from moorage_mcp.links.exchange import LEVELS
from moorage_mcp.records import Kind, UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import Params, RpcError

_LISTENED = frozenset({"resources/subscribe", "resources/unsubscribe", "subscriptions/listen"})
"""The front has these: they outlive the request. See `listen`."""
_OF_FRONTS = frozenset({"initialize", "server/discover"})
_SHOWN = {"tools/list": "tools", "tools/call": "tools"}


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
        self.retries = Retries(hub.sealing)
        self.lists = Lists(self.catalog)
        self._routing = Routing(self.catalog)
        self._describing = Describing(self.reach)
        changes.on_change(self._changed)

    # -- what fronts ask ------------------------------------------------------------------------------------------

    async def describe(self, workspace: WorkspaceInfo, caller: Caller, era: Era, asker: Asker) -> ServerInfo:
        """What the workspace says of itself: for `initialize` and `server/discover`."""
        self.admission.check_right(workspace, caller)
        return await self._describing.of(seat(workspace, caller, asker), era)

    async def request(
        self, workspace: WorkspaceInfo, caller: Caller, era: Era, method: str, params: Params, asker: Asker
    ) -> dict[str, Any]:
        """Answer a request. The result is in the words of the client's era.

        A client that leaves cancels the task; the server is told so.
        """
        admitted = self.admission.admit(workspace, caller, method, params)
        try:
            found = await self._answer(workspace, caller, era, method, params, asker, admitted)
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
        at = seat(workspace, caller, asker)
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
        at = seat(workspace, caller, asker)
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
        if only is None or only.kind is not Kind.HTTP or only.prefix or self.reach.era(only) is not era:
            return None
        if method in _SHOWN and only.fixed:
            return None
        if method == "tools/list" and (only.annotations or rules.restricted(workspace, only, caller)):
            return None
        return only

    # -- how --------------------------------------------------------------------------------------------------------

    async def _answer(
        self,
        workspace: WorkspaceInfo,
        caller: Caller,
        era: Era,
        method: str,
        params: Params,
        asker: Asker,
        admitted: Admitted,
    ) -> dict[str, Any]:
        if method == "ping" and era is Era.LEGACY:
            return {}
        if method in _LISTENED or method in _OF_FRONTS:
            raise refused(jsonrpc.METHOD_NOT_FOUND, "not_supported", f"Method not found: {method}")
        at = seat(workspace, caller, asker)
        if not at.upstreams:
            raise unavailable("The workspace has no servers")
        if method in translate.LISTS:
            return await self.lists.result(at, caller, era, method, params)
        if method == "logging/setLevel" and era is Era.LEGACY:
            return await self._set_level(at, params, asker)
        routed, params = await self._routing.route(at, method, params)
        admitted.upstream = routed[0].upstream.name
        if method == "tools/call":
            upstream, own = routed[0].upstream, params.get("name", "")
            check_tool(workspace, caller, upstream, routed[0].shown, own)
        return await self._first(at, caller, era, method, params, asker, routed)

    async def _first(
        self,
        at: Seat,
        caller: Caller,
        era: Era,
        method: str,
        params: Params,
        asker: Asker,
        routed: tuple[Routed, ...],
    ) -> dict[str, Any]:
        """Ask those that it may be for, in their order: the first that does not say that it has no such thing."""
        for place in routed[:-1]:
            try:
                return await self._ask(at, caller, era, method, params, asker, place)
            except RpcError as error:
                if error.code not in (
                    jsonrpc.RESOURCE_NOT_FOUND,
                    jsonrpc.INVALID_PARAMS,
                    jsonrpc.METHOD_NOT_FOUND,
                ) and (not error.gateway):
                    raise
        return await self._ask(at, caller, era, method, params, asker, routed[-1])

    async def _ask(
        self, at: Seat, caller: Caller, era: Era, method: str, params: Params, asker: Asker, place: Routed
    ) -> dict[str, Any]:
        upstream = place.upstream
        params, given = self._retried(at, caller, method, params, place)
        async with self.reach.lease(at, upstream) as link:
            server = link.server.era
            if server is Era.LEGACY and "requestState" in params:
                raise refused(jsonrpc.INVALID_PARAMS, "bad_state", "Invalid requestState: it is not of this server")
            asked = translate.params(method, params, client=era, server=server)
            bridged = Bridged(asker, client=era, server=server)
            try:
                found = await link.request(method, asked, bridged, timeout=self._config.call_timeout)
            except RpcError as error:
                visit = self._visit(at, caller, method, given, place, error, bridged, asker, era)
                if visit is None:
                    raise translate.error(method, error, asked, server=server, client=era) from error
                return visit
            except (LinkClosed, TimeoutError) as error:
                raise gone(upstream, error) from error
        return self._said(at, caller, era, method, given, place, link, found)

    def _said(
        self,
        at: Seat,
        caller: Caller,
        era: Era,
        method: str,
        given: Params,
        place: Routed,
        link: Link,
        found: dict[str, Any],
    ) -> dict[str, Any]:
        """A server's result for the client."""
        server = link.server
        if found.get("resultType") == translate.INPUT_REQUIRED and era is Era.MODERN and server.era is era:
            if len(at.upstreams) > 1:
                state = found.get("requestState")
                kept = state if isinstance(state, str) else None
                found["requestState"] = self.retries.close(
                    at.workspace, caller, place.upstream, method, given, state=kept
                )
            return found
        made = translate.result(method, found, server=server.era, client=era)
        return translate.stamped(made, server.info) if era is Era.MODERN else made

    def _retried(self, at: Seat, caller: Caller, method: str, params: Params, place: Routed) -> tuple[Params, Params]:
        """The params as the server is to see them, and as the client's `requestState` is bound to them."""
        given = {**params, NAMES[method]: place.shown} if method in NAMES else params
        retry = self.retries.open(at.workspace, caller, method, given)
        if retry is None:
            if "requestState" in params and len(at.upstreams) > 1:
                raise refused(jsonrpc.INVALID_PARAMS, "bad_state", "Invalid requestState: it is not of this workspace")
            return params, given
        if retry.upstream != place.upstream.pid:
            raise refused(jsonrpc.INVALID_PARAMS, "bad_state", "Invalid requestState: it is of another server")
        made = {key: value for key, value in params.items() if key != "requestState"}
        if retry.visit:
            answers = made.pop("inputResponses", None)
            _check_visited(answers)
        elif retry.state is not None:
            made["requestState"] = retry.state
        return made, given

    def _visit(
        self,
        at: Seat,
        caller: Caller,
        method: str,
        given: Params,
        place: Routed,
        error: RpcError,
        bridged: Bridged,
        asker: Asker,
        era: Era,
    ) -> dict[str, Any] | None:
        """A legacy server wants a page visited first: for a modern client that can, a question; else None."""
        able = asker.capabilities.get("elicitation")
        if era is Era.LEGACY or not asker.keeps_state or not isinstance(able, Mapping) or "url" not in able:
            return None
        needs = translate.url_needs(error)
        if not needs or method not in NAMES:
            return None
        shown = {key: translate.need(need, server=Era.LEGACY, client=era) for key, need in needs.items()}
        return {
            "resultType": translate.INPUT_REQUIRED,
            "inputRequests": {key: {"method": need.method, "params": need.params} for key, need in shown.items()},
            "requestState": self.retries.close(at.workspace, caller, place.upstream, method, given, visit=True),
        }

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


def _check_visited(answers: Any) -> None:
    """Whether the person went to the page that the server wants visited. RpcError if they would not."""
    for answer in answers.values() if isinstance(answers, Mapping) else ():
        if isinstance(answer, Mapping) and answer.get("action") not in (None, "accept"):
            raise refused(jsonrpc.INVALID_REQUEST, "declined", "The page that the server needs visited was not")
