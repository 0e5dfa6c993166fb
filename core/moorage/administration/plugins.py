"""Plugins over HTTP: which there are, how they are, and switching them on and off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from quart import Response
from typing_extensions import TypedDict

from moorage.administration.details import PluginDetail, PluginHealth, PluginRow, detail, in_use, needed_by, row
from moorage.config import Loaded
from moorage.context import current_actor
from moorage.errors import Conflict, NotFound, StartError
from moorage.hub import Hub
from moorage.observe.health import HealthReport
from moorage.plugins.states import Record
from moorage.routes import Route, Routes
from moorage.web import json_response

READ, MANAGE = "core:plugin:read", "core:plugin:manage"
Done = Callable[[dict[str, Any]], Awaitable[None]]
SECONDS = 300.0
"""For a change: old plugins have time to stop, new ones to be imported and to start."""


class PluginsAnswer(TypedDict):
    """GET /api/core/plugins. needs_restart: settings that were changed, and hold from the next start on."""

    plugins: list[PluginRow]
    needs_restart: list[str]


class ReloadAnswer(TypedDict):
    """What a reload did: names of plugins, why some do not run, and settings that wait for a restart."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    failed: dict[str, str]
    needs_restart: list[str]


@dataclass(frozen=True, slots=True)
class PluginControls:
    """What these routes ask of the application.

    records: every plugin, on or off, by name. loaded: the configuration that holds. reload: applies a changed one.
    switch: `(name, enabled, done)` changes the configuration and applies it. Both go on when who asked is gone, and
    call `done` with what they did. health: the report of all parts.
    """

    records: Callable[[], list[Record]]
    loaded: Callable[[], Loaded]
    needs_restart: Callable[[], list[str]]
    reload: Callable[[Done], Awaitable[dict[str, Any]]]
    switch: Callable[[str, bool, Done], Awaitable[dict[str, Any]]]
    health: Callable[[], Awaitable[HealthReport]]


def routes(hub: Hub, controls: PluginControls) -> list[Route]:
    """`/api/core/plugins` and `/api/core/reload`."""
    table = Routes()

    @table.get("/api/core/plugins", access=READ, answer=PluginsAnswer)
    async def plugins() -> Response:
        """List the plugins, on and off, with their states."""
        found: PluginsAnswer = {
            "plugins": [row(record) for record in controls.records()],
            "needs_restart": controls.needs_restart(),
        }
        return json_response(found)

    @table.get("/api/core/plugins/{name}", access=READ, answer=PluginDetail)
    async def plugin(name: str) -> Response:
        """Show a plugin: its state, its settings with their sources (secrets masked), its permissions."""
        # Asked first: a plugin's state follows what it says of itself.
        report = await controls.health()
        records = controls.records()
        record = next((one for one in records if one.name == name), None)
        if record is None:
            raise NotFound("There is no such plugin, neither installed nor configured")
        use, needed = in_use(hub.sockets.of_plugin(name)), needed_by(name, records)
        health = _health(report, name) if record.running else None
        return json_response(await asyncio.to_thread(detail, record, controls.loaded(), needed, use, health))

    @table.post("/api/core/plugins/{name}/enable", access=MANAGE, timeout=SECONDS, answer=ReloadAnswer)
    async def enable(name: str) -> Response:
        """Switch a plugin on, in the configuration file and in the running server."""
        return await _switch(name, enabled=True)

    @table.post("/api/core/plugins/{name}/disable", access=MANAGE, timeout=SECONDS, answer=ReloadAnswer)
    async def disable(name: str) -> Response:
        """Switch a plugin off, in the configuration file and in the running server. Its connections are closed."""
        return await _switch(name, enabled=False)

    async def _switch(name: str, *, enabled: bool) -> Response:
        action, actor = "plugin.enabled" if enabled else "plugin.disabled", current_actor()

        async def done(report: dict[str, Any]) -> None:
            await hub.audit.write(action, actor=actor, target=f"plugin:{name}", data=report)

        return json_response(await controls.switch(name, enabled, done))

    @table.post("/api/core/reload", access=MANAGE, timeout=SECONDS, answer=ReloadAnswer)
    async def reload() -> Response:
        """Apply a changed configuration without a restart."""
        actor = current_actor()

        async def done(report: dict[str, Any]) -> None:
            await hub.audit.write("configuration.reloaded", actor=actor, data=report)

        try:
            return json_response(await controls.reload(done))
        except StartError as error:
            raise Conflict(str(error), code="RELOAD_REFUSED") from error

    return list(table)


def _health(report: HealthReport, name: str) -> PluginHealth | None:
    component = report.components.get(name)
    return {"status": component.health.status, "detail": component.health.detail} if component is not None else None
