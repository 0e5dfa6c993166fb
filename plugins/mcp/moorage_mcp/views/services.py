"""What the views call: one of each service, and what of them may not be there yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from moorage.api import Actor, Credential, Hub, Method, Unauthorized, current_actor, current_request

from moorage_mcp.calls import Calls
from moorage_mcp.gateway.caller import Caller
from moorage_mcp.links.health import UpstreamState
from moorage_mcp.records import UpstreamInfo, WorkspaceInfo
from moorage_mcp.upstreams import Upstreams
from moorage_mcp.workspaces import Workspaces

CLIENT = "REST"
"""What the list of calls says of who came over the HTTP API."""


class Tools(Protocol):
    """Tools by HTTP: `gateway.invoke`."""

    async def tools(self, workspace: WorkspaceInfo, caller: Caller) -> list[dict[str, Any]]:
        """What the caller may use, as `tools/list` has it. Errors are MoorageErrors."""
        ...

    async def invoke(
        self, workspace: WorkspaceInfo, caller: Caller, tool: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Call one: {"result", "is_error", …}. Errors are MoorageErrors."""
        ...


class States(Protocol):
    """How servers are: `links.pool`."""

    def state(self, upstream: UpstreamInfo, workspace_id: int) -> UpstreamState:
        """How one is now."""
        ...


@dataclass(slots=True)
class Services:
    """tools, states: None where nothing can be called (yet)."""

    hub: Hub
    workspaces: Workspaces
    upstreams: Upstreams
    calls: Calls
    tools: Tools | None = None
    states: States | None = None

    def state_of(self, upstream: UpstreamInfo) -> UpstreamState | None:
        """How a server is."""
        return self.states.state(upstream, upstream.workspace_id) if self.states is not None else None


def current_caller() -> Caller:
    """Who asks in the request in hand. Unauthorized."""
    actor, request = current_actor(), current_request()
    if actor.user is None:
        raise Unauthorized
    return Caller(
        actor=actor,
        user_id=actor.user.id,
        api_key_id=_key_id(actor.credential),
        client=CLIENT,
        request_id=request.id,
        address=request.address,
    )


def user_id(actor: Actor) -> int:
    """Whose the request in hand is. Unauthorized."""
    if actor.user is None:
        raise Unauthorized
    return actor.user.id


def _key_id(credential: Credential | None) -> int | None:
    return credential.id if credential is not None and credential.method is Method.API_KEY else None
