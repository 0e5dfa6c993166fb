"""`/ws/{workspace}/mcp`: one endpoint for both eras at once. Source: MCP, Streamable HTTP, of either era."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from moorage.api import Exchange, Hub, LimitClass, Routes, Topic

from moorage_mcp.config import McpConfig
from moorage_mcp.endpoint.legacy import Legacy
from moorage_mcp.endpoint.modern import Modern
from moorage_mcp.endpoint.parked import Parking
from moorage_mcp.endpoint.passing import Lane
from moorage_mcp.endpoint.reading import Refused, check_kind, era, read, refuse, wrong_method
from moorage_mcp.endpoint.reply import Pulse
from moorage_mcp.endpoint.sessions import Session, Sessions
from moorage_mcp.gateway.service import Gateway
from moorage_mcp.links.pool import Pool
from moorage_mcp.records import Status, WorkspaceInfo
from moorage_mcp.rights import USE, VIEW
from moorage_mcp.wire import headers as names
from moorage_mcp.wire.eras import MODERN_VERSIONS, Era
from moorage_mcp.wire.methods import ASKED
from moorage_mcp.workspaces import Workspaces

PATH = "/ws/{workspace}/mcp"


class Endpoint:
    """The endpoint of all workspaces."""

    def __init__(self, hub: Hub, config: McpConfig, workspaces: Workspaces, gateway: Gateway, pool: Pool) -> None:
        self._hub, self._workspaces, self._pool = hub, workspaces, pool
        self.sessions = Sessions(
            most=config.max_sessions_per_user, idle=config.session_idle_seconds, ended=self._session_ended
        )
        self.parking = Parking(hub.tasks, config.ask_timeout)
        self._pulse = Pulse(hub.tasks)
        self._unsubscribe: list[Callable[[], None]] = []
        self._running: dict[int, set[asyncio.Task[Any]]] = {}
        """What is under way, by workspace."""
        lane = self._lane = Lane(gateway, pool, self.sessions)
        self._legacy = Legacy(gateway, config, self.sessions, self._pulse, lane)
        self._modern = Modern(gateway, self.parking, self._pulse, lane)
        workspaces.on_change(self._workspace_changed)
        hub.metrics.gauge("sessions", "Sessions of MCP clients of the older era").set_function(
            lambda: float(len(self.sessions))
        )

    def start(self) -> None:
        """In the plugin's start."""
        self._hub.tasks.spawn(self.sessions.sweep(), "sessions")
        for topic in (Topic.USER_CHANGED, Topic.USER_DELETED):
            self._unsubscribe.append(self._hub.bus.subscribe(topic, self._user_changed))

    def drain(self) -> None:
        """The plugin ends: streams do, in good order."""
        self._modern.drain()
        for session in self.sessions.all():
            session.outlets.end()

    def close(self) -> None:
        """All is over."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self.sessions.end_all()
        self._pulse.close()

    async def handle(self, exchange: Exchange) -> None:
        """MCP over Streamable HTTP, for clients of both eras of the protocol.

        A message of JSON-RPC is posted; the answer is JSON or an event stream. GET opens a stream of the older era and
        DELETE ends its session.
        """
        workspace = await self._workspaces.find(exchange.actor, exchange.params["workspace"], USE.name)
        task = asyncio.current_task()
        assert task is not None
        running, before = self._running.setdefault(workspace.id, set()), task.cancelling()
        running.add(task)
        try:
            await self._serve(exchange, workspace)
        except Refused as refusal:
            await refusal.answer(exchange)
        except asyncio.CancelledError:
            if task in running or task.uncancel() > before:
                raise  # A client that left, a right that ended.
            if not exchange.begun:
                await refuse(404, "The workspace is not there any more").answer(exchange)
        finally:
            running.discard(task)
            if not running and self._running.get(workspace.id) is running:
                del self._running[workspace.id]

    async def _serve(self, exchange: Exchange, workspace: WorkspaceInfo) -> None:
        method = exchange.method
        if method == "POST":
            check_kind(exchange.headers)
            body = await exchange.body()
            message = read(body)
            spoken = era(message, exchange.headers)
            front: Legacy | Modern = self._modern if spoken is Era.MODERN else self._legacy
            await front.post(exchange, workspace, message, body)
        elif method == "HEAD" or exchange.headers.get(names.VERSION) in MODERN_VERSIONS:
            raise wrong_method(b"POST")
        elif method == "GET":
            await self._legacy.get(exchange, workspace)
        else:
            await self._legacy.delete(exchange, workspace)

    def _workspace_changed(self, workspace: WorkspaceInfo) -> None:
        """Nothing of one that is not active goes on."""
        self.sessions.workspace_changed(workspace)
        if workspace.status is not Status.ACTIVE:
            running = self._running.pop(workspace.id, set())
            while running:
                running.pop().cancel()

    async def _user_changed(self, data: Mapping[str, Any]) -> None:
        """Whoever was deactivated has no sessions."""
        user = await self._hub.accounts.get_user(data["user_id"])
        if user is None or not user.active:
            self.sessions.end_all(self.sessions.of_user(data["user_id"]))
            await self._pool.close_user(data["user_id"])

    def _session_ended(self, session: Session) -> None:
        """What it had alone ends with it."""
        if any(session.capabilities.get(name) is not None for name in ASKED):
            self._hub.tasks.spawn(self._pool.close_alone(f"session:{session.id}"), "end servers")
        if session.via is not None:
            self._hub.tasks.spawn(self._lane.end(session), "end session")


def routes(endpoint: Endpoint, config: McpConfig) -> Routes:
    """The route."""
    table = Routes()
    table.exchange(
        ("POST", "GET", "DELETE"),
        PATH,
        access=USE.name,
        resource=True,
        scopes=(USE.name, VIEW.name),
        limit=LimitClass.PROXIED,
        max_body=config.max_message_bytes,
        timeout=config.start_timeout + config.call_timeout,
        same_origin=True,
        answer=dict[str, Any],
        also_types=(names.STREAM_TYPE,),
        answers={202: None},
    )(endpoint.handle)
    return table
