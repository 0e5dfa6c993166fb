"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Iterable

from moorage.api import OCTOPROX, Health, Hub, Manifest, Plugin, Route, hookimpl

from moorage_mcp.config import McpConfig
from moorage_mcp.rights import PERMISSIONS


class McpPlugin(Plugin):
    """MCP workspaces."""

    manifest = Manifest(
        name="mcp",
        version="0.1.0",
        summary="MCP workspaces: tools of many servers behind one login, for clients of both eras",
        config=McpConfig,
        permissions=PERMISSIONS,
        models="moorage_mcp.models",
        migrations="moorage_mcp.migrations",
        dialect=OCTOPROX,
        modules=("jsonschema_rs",),
        extra="mcp",
    )

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the services, and the routes over them."""
        if not isinstance(hub.config, McpConfig):
            raise TypeError("the mcp plugin was given another plugin's settings")
        return []

    @hookimpl
    async def moorage_health(self) -> Health:
        """How many workspaces there are."""
        return Health("ok", "", {"workspaces": {"total": 0, "active": 0}})
