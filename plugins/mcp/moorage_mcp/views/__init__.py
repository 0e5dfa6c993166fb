"""The HTTP API. Source: `api/octoprox.md`, Workspaces and MCP Bridge; the rest is our own."""

from __future__ import annotations

from moorage.api import Hub, Route

from moorage_mcp.calls import Calls
from moorage_mcp.workspaces import Workspaces


def routes(hub: Hub, workspaces: Workspaces, calls: Calls) -> list[Route]:
    """All of them."""
    return []
