"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moorage.api import (
    OCTO,
    Actor,
    Entry,
    Health,
    Hub,
    Manifest,
    MoorageError,
    Plugin,
    Project,
    Route,
    Running,
    hookimpl,
)

from moorage_opencode import files as session_files
from moorage_opencode import memories, views
from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.console import Console
from moorage_opencode.files import Files
from moorage_opencode.live import Events
from moorage_opencode.opencode import OpenCode
from moorage_opencode.rights import PERMISSIONS
from moorage_opencode.sessions import Sessions
from moorage_opencode.terminal import Terminals
from moorage_opencode.views import live, terminal
from moorage_opencode.wishes import NO_IMAGE
from moorage_opencode.workload import DOCKER, PROCESS


class OpenCodePlugin(Plugin):
    """A coding agent per project."""

    manifest = Manifest(
        name="opencode",
        version="0.1.0",
        summary="Coding-agent sessions: OpenCode, files and a terminal for each project",
        config=OpenCodeConfig,
        permissions=PERMISSIONS,
        models="moorage_opencode.models",
        migrations="moorage_opencode.migrations",
        dialect=OCTO,
    )

    sessions: Sessions
    files: Files
    terminals: Terminals
    opencode: OpenCode
    events: Events
    console: Console

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the service, and the routes over it."""
        if not isinstance(hub.config, OpenCodeConfig):
            raise TypeError("the opencode plugin was given another plugin's settings")
        self.sessions = Sessions(hub, hub.config)
        self.files = Files(hub, hub.config)
        self.terminals = Terminals(hub, hub.config, self.sessions)
        self.opencode = OpenCode()
        self.events = Events(hub, self.sessions, self.opencode)
        self.console = Console(hub, self.sessions)
        return [
            *views.routes(hub, self.sessions),
            *session_files.routes(self.files, self.sessions),
            *terminal.routes(self.terminals),
            *live.routes(self.events),
        ]

    @hookimpl
    async def moorage_startup(self) -> None:
        """Take up what runs."""
        await self.sessions.start()
        self.terminals.start()
        self.events.start()
        _, lacking = self._program()
        if lacking:
            self.sessions.hub.log.warning("no sessions can be started yet", reason=lacking)

    @hookimpl
    async def moorage_shutdown(self) -> None:
        """Let go of it; sessions go on."""
        await self.events.close()
        await self.terminals.close()
        await self.opencode.close()
        self.files.close()
        await self.sessions.close()

    @hookimpl
    def moorage_features(self) -> dict[str, Any]:
        """That events of sessions come by `/api/ws`."""
        return {"websocket_events": True}

    @hookimpl
    async def moorage_health(self) -> Health:
        """How many there are, and whether there is an OpenCode to run more of them.

        That there is none is no fault: a server that was just installed is well, and says what to do.
        """
        sessions = self.sessions
        data: dict[str, Any] = {"sessions": sessions.records.counts(), "runtime": sessions.config.runtime}
        program, lacking = self._program()
        if sessions.config.runtime == PROCESS:
            data["opencode"] = program
        return Health("ok", lacking, data)

    @hookimpl(optionalhook=True)
    async def moorage_memories_project(
        self, actor: Actor, session_id: str, workspace_path: str, write: bool
    ) -> Project | None:
        """The project of a session, for its memories."""
        return await memories.project_of(self.sessions, actor, session_id, workspace_path, write)

    @hookimpl
    async def moorage_overview(self, actor: Actor, limit: int) -> Iterable[Entry]:
        """One's newest sessions."""
        return await self.console.overview(actor, limit)

    @hookimpl
    async def moorage_search(self, actor: Actor, query: str, limit: int) -> Iterable[Entry]:
        """Sessions by name and project."""
        return await self.console.search(actor, query, limit)

    @hookimpl
    async def moorage_running(self, actor: Actor, limit: int) -> Iterable[Running]:
        """Everybody's sessions that run."""
        return await self.console.running(actor, limit)

    @hookimpl
    async def moorage_end(self, actor: Actor, kind: str, id: str) -> None:
        """Stop a session."""
        await self.console.end(actor, kind, id)

    def _program(self) -> tuple[str | None, str]:
        """Where OpenCode is on this machine, and what is still to be done before sessions can run ("": nothing)."""
        config = self.sessions.config
        if config.runtime == DOCKER and not config.image:
            return None, NO_IMAGE
        if config.runtime != PROCESS:
            return None, ""
        try:
            return self.sessions.program.path(), ""
        except MoorageError as error:
            return None, error.message
