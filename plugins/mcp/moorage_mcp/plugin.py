"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from moorage.api import (
    OCTOPROX,
    Actor,
    Entry,
    Health,
    Hub,
    Manifest,
    Plugin,
    Route,
    Running,
    ToolSet,
    UserInfo,
    hookimpl,
)

from moorage_mcp import views
from moorage_mcp.calls import Calls
from moorage_mcp.config import McpConfig
from moorage_mcp.console import Console
from moorage_mcp.endpoint import front
from moorage_mcp.endpoint.front import Endpoint
from moorage_mcp.gateway.invoke import Tools
from moorage_mcp.gateway.service import Gateway
from moorage_mcp.lending import Lending
from moorage_mcp.links.pool import Pool
from moorage_mcp.records import Status
from moorage_mcp.rights import PERMISSIONS
from moorage_mcp.running import Runs
from moorage_mcp.upstreams import Upstreams
from moorage_mcp.views.services import Services
from moorage_mcp.workloads import Workloads
from moorage_mcp.workspaces import Workspaces


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
        commands={"workspaces": ("moorage_mcp.commands:workspaces", "Make, list, delete and restore MCP workspaces.")},
    )

    workspaces: Workspaces
    calls: Calls
    workloads: Workloads
    pool: Pool
    gateway: Gateway
    endpoint: Endpoint
    upstreams: Upstreams
    services: Services
    lending: Lending
    console: Console

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the services, and the routes over them."""
        if not isinstance(hub.config, McpConfig):
            raise TypeError("the mcp plugin was given another plugin's settings")
        config = hub.config
        self.calls = Calls(hub, config)
        self.workloads = Workloads(hub, config)
        self.pool = Pool(hub, config, self.workloads.exec)
        self.workspaces = Workspaces(hub, config, Runs(self.pool, self.workloads))
        self.gateway = Gateway(hub, config, self.pool, self.calls, self.workspaces)
        self.endpoint = Endpoint(hub, config, self.workspaces, self.gateway, self.pool)
        self.upstreams = Upstreams(hub, config, self.workspaces, self.pool.targets)
        tools = Tools(self.gateway)
        self.services = Services(hub, self.workspaces, self.upstreams, self.calls, tools=tools, pool=self.pool)
        self.lending = Lending(hub, self.workspaces, tools)
        self.console = Console(hub, self.workspaces, self.pool)
        return [*views.routes(self.services), *front.routes(self.endpoint, config)]

    @hookimpl
    async def moorage_startup(self) -> None:
        """Read the workspaces, and begin to write calls down."""
        self.calls.start()
        await self.workloads.start()
        self.workspaces.on_change(self.pool.changed)
        await self.workspaces.start()
        self.endpoint.start()

    @hookimpl
    async def moorage_drain(self) -> None:
        """End what clients listen to, in good order."""
        self.endpoint.drain()

    @hookimpl
    async def moorage_shutdown(self) -> None:
        """End what runs, and write down what waits."""
        self.endpoint.close()
        await self.workspaces.close()
        await self.pool.close()
        await self.workloads.close()
        await self.calls.close()

    @hookimpl
    async def moorage_health(self) -> Health:
        """How many workspaces there are."""
        counts = self.workspaces.book.counts()
        return Health("ok", "", {"workspaces": {"total": sum(counts.values()), "active": counts[Status.ACTIVE]}})

    @hookimpl
    async def moorage_user_details(self, actor: Actor, user: UserInfo) -> Mapping[str, Any]:
        """A user's workspaces, as `GET /api/v1/workspaces` lists them."""
        return {"workspaces": await views.of_user(self.services, actor, user)}

    @hookimpl(optionalhook=True)
    async def moorage_chat_tools(self, actor: Actor) -> Iterable[ToolSet]:
        """A user's workspaces, for the models that they chat with."""
        return self.lending.sets(actor)

    @hookimpl
    async def moorage_overview(self, actor: Actor, limit: int) -> Iterable[Entry]:
        """One's last workspaces."""
        return self.console.overview(actor, limit)

    @hookimpl
    async def moorage_search(self, actor: Actor, query: str, limit: int) -> Iterable[Entry]:
        """Workspaces by their names and their servers' names."""
        return self.console.search(actor, query, limit)

    @hookimpl
    async def moorage_running(self, actor: Actor, limit: int) -> Iterable[Running]:
        """Everybody's workspaces whose servers run."""
        return self.console.running(actor, limit)

    @hookimpl
    async def moorage_end(self, actor: Actor, kind: str, id: str) -> None:
        """End the servers of a workspace."""
        await self.console.end(actor, kind, id)
