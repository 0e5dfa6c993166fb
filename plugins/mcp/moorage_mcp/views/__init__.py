"""The HTTP API. Source: `api/octoprox.md`, Workspaces and MCP Bridge; the rest is our own."""

from __future__ import annotations

from moorage.api import Route

from moorage_mcp.views import calls, tools, upstreams, workspaces
from moorage_mcp.views.services import Services
from moorage_mcp.views.workspaces import of_user

__all__ = ["of_user", "routes"]
PARTS = (workspaces, upstreams, calls, tools)


def routes(services: Services) -> list[Route]:
    """All of them."""
    return [route for part in PARTS for route in part.routes(services)]
