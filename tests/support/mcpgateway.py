"""A gateway of the plugin `mcp` by itself: real links to servers of the SDK in this process, and a plain pool."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import anyio
from mcp.server.runner import serve_loop
from mcp.shared.message import SessionMessage
from mcp_types.jsonrpc import jsonrpc_message_adapter
from moorage.access import Actor, Credential, Method, UserInfo
from moorage.access.service import Access
from moorage.accounts.sealing import PluginSeal
from moorage.api import TaskSupervisor
from moorage.observe.metrics import Metrics
from moorage_mcp.calls import CallRecord
from moorage_mcp.config import McpConfig
from moorage_mcp.gateway.caller import Caller
from moorage_mcp.gateway.service import Gateway
from moorage_mcp.links.base import Link, LinkClosed, Need, ServerInfo
from moorage_mcp.links.duplex import Duplex
from moorage_mcp.links.exchange import Nobody
from moorage_mcp.links.legacy import LegacyLink
from moorage_mcp.links.modern import ModernLink
from moorage_mcp.records import Kind, Status, UpstreamInfo, WorkspaceInfo
from moorage_mcp.rights import PERMISSIONS
from moorage_mcp.wire.eras import LATEST_MODERN, SERVER_INFO, Era
from moorage_mcp.wire.jsonrpc import Params
from realparts import mcpservers
from waits import WAIT

NOW = datetime(2026, 11, 21, tzinfo=UTC)
LEGACY, MODERN = Era.LEGACY, Era.MODERN


def everything(name: str = "everything") -> Any:
    """The server with something of everything."""
    folder = next(iter(mcpservers.__path__))
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module("everything").Everything(name)


class Memory(Duplex):
    """A server of the SDK at the other end of two queues."""

    def __init__(self, server: Any, era: Era, spawn: Any) -> None:
        super().__init__()
        self.heard = False
        self._to, at_server = anyio.create_memory_object_stream[Any](1000)
        to_us, self._from = anyio.create_memory_object_stream[Any](1000)
        self._tasks = [spawn(self._serve(server, era, at_server, to_us), "server"), spawn(self._read(), "reader")]

    async def send(self, data: bytes) -> None:
        await self._to.send(SessionMessage(jsonrpc_message_adapter.validate_json(data)))

    async def _serve(self, server: Any, era: Era, reading: Any, writing: Any) -> None:
        if era is LEGACY:
            options = server.create_initialization_options()
            await serve_loop(server, reading, writing, lifespan_state={}, init_options=options)
        else:
            await server.run(reading, writing, server.create_initialization_options())

    async def _read(self) -> None:
        async for message in self._from:
            self.took(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode())
            await self.breathe()

    def begun(self, version: str) -> None:
        """As `LegacyTransport`."""

    def hear(self) -> None:
        """As `LegacyTransport`."""
        self.heard = True

    def renew(self) -> None:
        """As `LegacyTransport`."""

    async def close(self) -> None:
        self.broke("the connection was closed")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in (self._to, self._from):
            stream.close()


async def connect(server: Any, era: Era, spawn: Any, *, capabilities: Mapping[str, Any], alone: bool) -> Link:
    """A link to it."""
    identity = {"capabilities": dict(capabilities), "clientInfo": {"name": "moorage", "version": "0"}}
    if era is LEGACY:
        legacy = LegacyLink(cast(Any, Memory(server, era, spawn)), identity, spawn, alone=alone)
        await legacy.open(10)
        return legacy
    unknown = ServerInfo(era=MODERN, version=LATEST_MODERN)
    modern = ModernLink(Memory(server, era, spawn), unknown, identity["clientInfo"], spawn)
    said = await modern.request("server/discover", {}, Nobody(), timeout=10)
    modern.server = ServerInfo(
        era=MODERN,
        version=LATEST_MODERN,
        info=said["_meta"][SERVER_INFO],
        capabilities=said["capabilities"],
        instructions=said.get("instructions"),
    )
    return modern


class PlainPool:
    """Connects when it is asked to, and keeps it. servers: by upstream's name, made for each connection."""

    def __init__(self, tasks: TaskSupervisor) -> None:
        self.tasks = tasks
        self.servers: dict[str, tuple[Callable[[], Any], Era]] = {}
        self.away: dict[str, str] = {}
        self.hanging: set[str] = set()
        self.links: dict[tuple[int, str, int, str], Link] = {}
        self.running: dict[str, list[Any]] = {}
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def lease(
        self,
        workspace: WorkspaceInfo,
        upstream: UpstreamInfo,
        user_id: int,
        *,
        capabilities: Mapping[str, Any] = {},
        client_info: Mapping[str, Any] = {},
        alone: str = "",
        era: Era | None = None,
    ) -> AsyncIterator[Link]:
        if upstream.name in self.away:
            raise LinkClosed(self.away[upstream.name])
        await until(lambda: upstream.name not in self.hanging)
        key = (workspace.id, upstream.pid, user_id, alone)
        async with self._turn:
            if key not in self.links:
                make, era = self.servers[upstream.name]
                server = make()
                self.running.setdefault(upstream.name, []).append(server)
                self.links[key] = await connect(
                    server, era, self.tasks.spawn, capabilities=capabilities, alone=bool(alone)
                )
        yield self.links[key]

    async def server(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, user_id: int) -> ServerInfo:
        async with self.lease(workspace, upstream, user_id) as link:
            return link.server

    async def speaks(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, user_id: int, era: Era) -> bool:
        return self.servers[upstream.name][1] is era

    async def stop(self, name: str) -> None:
        """End all connections with an upstream."""
        for key in [key for key in self.links if key[1] == f"up_{name}"]:
            await self.links.pop(key).close()

    async def close(self) -> None:
        for link in self.links.values():
            await link.close()


class Client:
    """An asker that answers as it is told and keeps what it hears."""

    def __init__(self, era: Era = MODERN, *, keeps_state: bool = False, **answers: Any) -> None:
        """answers: by method, with `_` for `/`: a result, or an exception."""
        self.answers = {method.replace("_", "/", 1): found for method, found in answers.items()}
        groups = {"sampling/createMessage": "sampling", "elicitation/create": "elicitation", "roots/list": "roots"}
        self.capabilities: Mapping[str, Any] = {groups[method]: {} for method in self.answers}
        self.client_info: Mapping[str, Any] = {"name": "test", "version": "1"}
        self.log_level: str | None = None
        self.keeps_state = keeps_state
        self.heard: list[tuple[str, Params]] = []
        self.asked: list[Need] = []

    async def notify(self, method: str, params: Params) -> None:
        self.heard.append((method, params))

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        self.asked += needs.values()
        found = {key: self.answers[need.method] for key, need in needs.items()}
        for answer in found.values():
            if isinstance(answer, Exception):
                raise answer
        return found


class KeptCalls:
    """Keeps what was recorded."""

    def __init__(self) -> None:
        self.found: list[CallRecord] = []

    def record(self, call: CallRecord) -> None:
        self.found.append(call)


class Changes:
    """Tells of changed workspaces."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[WorkspaceInfo], None]] = []

    def on_change(self, callback: Callable[[WorkspaceInfo], None]) -> None:
        self.callbacks.append(callback)


class Bench:
    """A gateway and its parts. Workspace 1 is user 7's."""

    def __init__(self, config: McpConfig | None = None) -> None:
        self.tasks = TaskSupervisor("test")
        self.pool = PlainPool(self.tasks)
        self.calls, self.changes = KeptCalls(), Changes()
        access = Access({})
        access.declare("mcp", PERMISSIONS)
        self.access = access
        hub: Any = SimpleNamespace(
            tasks=self.tasks,
            access=access,
            metrics=Metrics().scoped("mcp"),
            sealing=PluginSeal("s" * 40, "mcp"),
        )
        self.config = config or McpConfig()
        self.gateway = Gateway(hub, self.config, self.pool, cast(Any, self.calls), self.changes)
        self.workspace = self.make()
        self._ids = itertools.count(1)

    def make(self, *upstreams: UpstreamInfo, **more: Any) -> WorkspaceInfo:
        """The workspace with these servers; counted up."""
        version = getattr(self, "workspace", None).version + 1 if hasattr(self, "workspace") else 1
        self.workspace = WorkspaceInfo(
            **{
                "id": 1,
                "pid": "ws_1",
                "name": "mine",
                "user_id": 7,
                "user_pid": "user_7",
                "status": Status.ACTIVE,
                "created_at": NOW,
                "updated_at": NOW,
                "upstreams": upstreams,
                "version": version,
                **more,
            }
        )
        return self.workspace

    def upstream(
        self, name: str, era: Era, make: Callable[[], Any] | None = None, prefix: str = "", **more: Any
    ) -> UpstreamInfo:
        """A server in this process."""
        self.pool.servers[name] = (make or (lambda: everything(name)), era)
        fields = {"id": len(self.pool.servers), "pid": f"up_{name}", "workspace_id": 1, "kind": Kind.STDIO, **more}
        return UpstreamInfo(name=name, prefix=prefix, **fields)

    async def ask(
        self,
        era: Era,
        method: str,
        params: Params | None = None,
        asker: Any = None,
        *,
        by: Caller | None = None,
    ) -> dict[str, Any]:
        """A request of a client."""
        given = asker or Client(era)
        return await self.gateway.request(self.workspace, by or caller(), era, method, params or {}, given)

    async def call(self, era: Era, tool: str, arguments: Params | None = None, asker: Any = None, **more: Any) -> Any:
        """A tool's result."""
        params = {"name": tool, "arguments": arguments or {}, **more.pop("params", {})}
        return await self.ask(era, "tools/call", params, asker, **more)

    async def close(self) -> None:
        await self.pool.close()
        left = await self.tasks.stop()
        assert not left, left


def caller(user_id: int = 7, *, role: str = "viewer", key: int | None = None, session: str = "") -> Caller:
    """Somebody."""
    user = UserInfo(user_id, f"user_{user_id}", f"u{user_id}", "", None, role, None, True, NOW)
    method = Method.SESSION if key is None else Method.API_KEY
    shown = Credential(method, key or 1, "cred_1")
    return Caller(actor=Actor(user, shown), user_id=user_id, client="test 1", session=session)


async def until(there: Callable[[], Any]) -> None:
    """Wait for what must come."""
    async with asyncio.timeout(WAIT):
        while not there():
            await asyncio.sleep(0.01)
