"""What the views call: one of each service, and who asks."""

from __future__ import annotations

from dataclasses import dataclass

from moorage.api import Actor, Hub, Unauthorized, current_actor, current_request

from moorage_mcp.calls import Calls
from moorage_mcp.gateway.caller import Caller
from moorage_mcp.gateway.invoke import Tools
from moorage_mcp.links.health import UpstreamState
from moorage_mcp.links.pool import Pool
from moorage_mcp.records import UpstreamInfo
from moorage_mcp.upstreams import Upstreams
from moorage_mcp.workspaces import Workspaces

CLIENT = "REST"
"""What the list of calls says of who came over the HTTP API."""


@dataclass(slots=True)
class Services:
    """pool: tells how servers are."""

    hub: Hub
    workspaces: Workspaces
    upstreams: Upstreams
    calls: Calls
    tools: Tools
    pool: Pool

    def state_of(self, upstream: UpstreamInfo) -> UpstreamState:
        """How a server is."""
        return self.pool.state(upstream, upstream.workspace_id)


def current_caller() -> Caller:
    """Who asks in the request in hand. Unauthorized."""
    actor, request = current_actor(), current_request()
    if actor.user is None:
        raise Unauthorized
    return Caller(actor=actor, user_id=actor.user.id, client=CLIENT, request_id=request.id)


def user_id(actor: Actor) -> int:
    """Whose the request in hand is. Unauthorized."""
    if actor.user is None:
        raise Unauthorized
    return actor.user.id
