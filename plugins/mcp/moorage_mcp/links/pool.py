"""Connections to upstreams: made when first needed, shared by one user's requests, ended when nobody needs them."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import Any

from moorage.api import Exec, Hub, MoorageError

from moorage_mcp.config import McpConfig
from moorage_mcp.links.base import Link, LinkClosed, ServerInfo
from moorage_mcp.links.connect import Connector, Wish
from moorage_mcp.links.health import Away, Record, State, UpstreamState, away
from moorage_mcp.links.http import Http, HttpServer, Unreachable
from moorage_mcp.links.targets import Targets
from moorage_mcp.links.turns import Turns
from moorage_mcp.records import Kind, Status, UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire.eras import Era

MAX_LINKS = 4096
MAX_ALONE = 64
"""Connections of one user that serve one client each."""
MAX_RECORDS = 10_000
SWEEP_SECONDS = 15.0
CLOSE_SECONDS = 15.0
Start = Callable[[WorkspaceInfo, UpstreamInfo], Awaitable[Exec]]
_Key = tuple[int, str, int, int, str, str, Era | None]
"""Workspace, upstream and its version, user, client's session, what the server is told of the client, era."""


class _Entry:
    """A connection, or the place of one."""

    __slots__ = ("key", "leases", "link", "ready", "since", "upstream", "used", "user_id", "wish", "workspace")

    def __init__(self, key: _Key, workspace: WorkspaceInfo, upstream: UpstreamInfo, user_id: int, wish: Wish) -> None:
        self.key, self.workspace, self.upstream, self.user_id, self.wish = key, workspace, upstream, user_id, wish
        self.link: Link | None = None
        self.ready: asyncio.Future[str] | None = None
        self.leases = 0
        self.used = self.since = 0.0

    @property
    def program(self) -> bool:
        """Whether it takes a process of ours."""
        return self.upstream.kind in (Kind.PROVIDED, Kind.STDIO)

    @property
    def busy(self) -> bool:
        """Whether it must not be ended for want of room."""
        return self.leases > 0 or self.ready is not None


class Pool:
    """All connections. start: starts the program of a stdio upstream in its workspace (`Workloads.exec`)."""

    def __init__(self, hub: Hub, config: McpConfig, start: Start) -> None:
        self._hub, self._config, self._start_program = hub, config, start
        self.targets = Targets(config.targets)
        self._http = Http(self.targets)
        metrics = hub.metrics
        self._running = metrics.gauge("servers", "MCP servers that are connected now.", ("kind",))
        self._starts = metrics.counter("server_starts_total", "Connections that were made.", ("kind", "outcome"))
        self._dropped = metrics.counter(
            "notifications_dropped_total", "Notifications of servers that came faster than clients took them."
        )
        self._seconds = metrics.histogram("server_start_seconds", "Until a server could be asked.", ("kind",))
        self._connector = Connector(
            self._http, hub.tasks.spawn, limit=config.max_answer_bytes, dropped=self._dropped.inc
        )
        self._identity = {"name": "moorage", "version": importlib.metadata.version("moorage")}
        self._entries: dict[_Key, _Entry] = {}
        self._records: dict[tuple[str, int], Record] = {}
        self._servers: dict[tuple[str, int], HttpServer] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self._turns = Turns()
        self._closed = False

    # -- what others use -----------------------------------------------------------------------------------------

    def lease(
        self,
        workspace: WorkspaceInfo,
        upstream: UpstreamInfo,
        user_id: int,
        *,
        capabilities: Mapping[str, Any] = {},
        client_info: Mapping[str, Any] = {},
        alone: str = "",
        era: Era | None = None,
    ) -> AbstractAsyncContextManager[Link]:
        """A connection for as long as it is held; requests of one user share it.

        alone: of one client's session, and no other request's.
        capabilities, client_info: what a server of the older era is told of the client. Without `alone`, requests
        whose clients have the same share a connection, so a question that a server does not ask on the stream of a
        request reaches somebody only while no other request is under way.
        era: the connection has to be of that era (see `speaks`).
        Away when the server cannot be started, or is not tried for a while; then with the seconds.
        """
        told = json.dumps(capabilities, sort_keys=True) if capabilities and not alone else ""
        key = (workspace.id, upstream.pid, upstream.version, user_id, alone, told, era)
        entry = self._entries.get(key)
        if entry is None:
            wish = Wish(
                era=era or (Era(upstream.era) if upstream.era else None),
                alone=bool(alone),
                capabilities=capabilities,
                client_info=dict(client_info) if alone and client_info else self._identity,
            )
            entry = _Entry(key, workspace, upstream, user_id, wish)
        return _Lease(self, entry)

    async def server(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, user_id: int) -> ServerInfo:
        """What a server says of itself: kept, found out by connecting at first. Away."""
        if (known := self._record(upstream).server) is not None:
            return known
        async with self.lease(workspace, upstream, user_id) as link:
            return link.server

    async def speaks(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, user_id: int, era: Era) -> bool:
        """Whether a server by HTTP speaks that era, perhaps besides the one that `server` names: found out once."""
        record = self._record(upstream)
        if era not in record.eras:
            await self.server(workspace, upstream, user_id)
        if era not in record.eras:
            if upstream.kind is not Kind.HTTP or upstream.era not in (None, era.value):
                return False
            record.eras[era] = await self._try(workspace, upstream, era)
        return record.eras[era]

    def http(self, upstream: UpstreamInfo) -> HttpServer:
        """A server by HTTP, for requests that pass as they are. LinkClosed when its address cannot be used."""
        key = (upstream.pid, upstream.version)
        if (known := self._servers.get(key)) is None:
            config = self._config
            known = self._http.server(upstream.url, upstream.headers, config.max_answer_bytes, config.call_timeout)
            known.patience = max(config.call_timeout, config.ask_timeout)
            if len(self._servers) >= MAX_RECORDS:
                self._servers.clear()
            self._servers[key] = known
        return known

    def states(self, workspace_id: int) -> dict[str, UpstreamState]:
        """The upstreams of a workspace of which something is known, by pid; the others are idle."""
        found: dict[str, UpstreamState] = {}
        for entry in self._entries.values():
            if entry.key[0] == workspace_id:
                before = found.get(entry.upstream.pid)
                state = State.UP if entry.link is not None else State.STARTING if entry.ready is not None else None
                if before is None or before.state is not State.UP:
                    found[entry.upstream.pid] = self._shown(entry.upstream, state)
        return found

    def state(self, upstream: UpstreamInfo, workspace_id: int) -> UpstreamState:
        """How one upstream is."""
        return self.states(workspace_id).get(upstream.pid) or self._shown(upstream, None)

    # -- the end of connections ----------------------------------------------------------------------------------

    def changed(self, workspace: WorkspaceInfo) -> None:
        """A workspace is not what it was: what is connected and not wanted any more is ended, in the background."""
        wanted = {(one.pid, one.version) for one in workspace.upstreams if one.enabled}
        if workspace.status is not Status.ACTIVE:
            wanted.clear()
        self._end([e for e in self._of(workspace.id) if (e.upstream.pid, e.upstream.version) not in wanted])

    async def close_workspace(self, workspace_id: int) -> None:
        """End all connections of a workspace."""
        await self._drop(self._of(workspace_id))

    async def close_user(self, user_id: int) -> None:
        """End all connections of a user."""
        await self._drop([entry for entry in self._entries.values() if entry.user_id == user_id])

    async def close_alone(self, alone: str) -> None:
        """End the connections of one client's session."""
        await self._drop([entry for entry in self._entries.values() if alone and entry.key[4] == alone])

    async def restart(self, workspace_id: int, upstream_pid: str | None = None) -> None:
        """End the connections of a workspace, or of one upstream; the next request starts them, without any wait."""
        ending = [e for e in self._of(workspace_id) if upstream_pid in (None, e.upstream.pid)]
        await self._drop(ending)
        for entry in ending:
            self._records.pop((entry.upstream.pid, entry.upstream.version), None)

    async def close(self) -> None:
        """End all."""
        self._closed = True
        await self._drop(list(self._entries.values()))
        await self._http.close()

    def _of(self, workspace_id: int) -> list[_Entry]:
        return [entry for entry in self._entries.values() if entry.key[0] == workspace_id]

    def _end(self, entries: Iterable[_Entry]) -> None:
        if ending := list(entries):
            for entry in ending:  # At once: nobody takes what is about to end.
                self._entries.pop(entry.key, None)
            self._hub.tasks.spawn(self._drop(ending), "end servers")

    async def _drop(self, entries: list[_Entry]) -> None:
        links = []
        for entry in entries:
            if self._entries.get(entry.key) is entry:
                del self._entries[entry.key]
            if entry.link is not None:
                links.append(entry.link)
                self._gone(entry)
        if links:
            await asyncio.gather(*map(self._close_link, links))

    async def _close_link(self, link: Link) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await link.close()
        except TimeoutError:
            self._hub.log.error("a server did not end in time", server=str(link.server.info.get("name"))[:64])
        except Exception:
            self._hub.log.exception("a server could not be ended")

    def _gone(self, entry: _Entry) -> None:
        entry.link = None
        self._running.labels(entry.upstream.kind.value).dec()

    # -- starting ------------------------------------------------------------------------------------------------

    async def take(self, entry: _Entry) -> Link:
        """The connection of an entry, started if need be: once, however many wait for it. Away."""
        if self._closed:
            raise Away("The server is stopping")
        record, loop = self._record(entry.upstream), asyncio.get_running_loop()
        current = self._entries.get(entry.key, entry)
        if current.link is not None:
            return current.link
        if current.ready is None:
            record.check(entry.upstream.name, loop.time())
            self._make_room(current)
            self._entries[current.key] = current
            current.ready = loop.create_future()
            self._hub.tasks.spawn(self._start(current, record), f"start {entry.upstream.pid}")
            self._sweep_later()
        why = await asyncio.shield(current.ready)
        if current.link is None:
            raise away(entry.upstream.name, why, record.until - loop.time())
        return current.link

    async def _start(self, entry: _Entry, record: Record) -> None:
        loop, kind = asyncio.get_running_loop(), entry.upstream.kind.value
        began, why, link = loop.time(), "it was stopped", None
        ready = entry.ready
        assert ready is not None
        try:
            async with self._turn(entry), asyncio.timeout(self._config.start_timeout):
                link = await self._connect(entry.workspace, entry.upstream, self._wish(entry, record))
        except TimeoutError:
            why = f"it did not answer within {self._config.start_timeout:g} s"
        except LinkClosed as error:
            why = str(error)
        except MoorageError as error:
            why = error.message
        except Exception:
            self._hub.log.exception("a server could not be started", upstream=entry.upstream.pid)
            why = "it could not be started"
        finally:
            entry.ready = None
            self._starts.labels(kind, "failed" if link is None else "ok").inc()
            if link is None:
                self._failed(entry, record, why)
            elif self._entries.get(entry.key) is entry:
                self._up(entry, record, link, began)
            else:
                self._hub.tasks.spawn(self._close_link(link), "end a server")
            if not ready.done():
                ready.set_result(why)

    def _turn(self, entry: _Entry) -> AbstractAsyncContextManager[None]:
        return self._turns.take(entry.user_id) if entry.program else nullcontext()

    def _wish(self, entry: _Entry, record: Record) -> Wish:
        """With the era that was found out before: servers of the older one are not asked for the newer each time."""
        wish = entry.wish
        if wish.era is None and record.server is not None and record.server.era is Era.LEGACY:
            return replace(wish, era=Era.LEGACY)
        return wish

    async def _connect(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, wish: Wish) -> Link:
        return await self._connector.connect(
            upstream, lambda: self._start_program(workspace, upstream), wish, self._config.start_timeout
        )

    def _failed(self, entry: _Entry, record: Record, why: str) -> None:
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
        if not self._closed:
            record.failed(why, asyncio.get_running_loop().time())
            self._hub.log.warning("a server could not be started", upstream=entry.upstream.pid, reason=why)

    def _up(self, entry: _Entry, record: Record, link: Link, began: float) -> None:
        now = asyncio.get_running_loop().time()
        entry.link, entry.since, entry.used = link, now, now
        if entry.key[6] is None:
            record.found(link.server)
        self._running.labels(entry.upstream.kind.value).inc()
        self._seconds.labels(entry.upstream.kind.value).observe(now - began)
        self._hub.tasks.spawn(self._watch(entry, record, link), f"watch {entry.upstream.pid}")

    async def _watch(self, entry: _Entry, record: Record, link: Link) -> None:
        """Notice that a server ends by itself."""
        await link.wait_closed()
        if entry.link is not link:
            return
        self._gone(entry)
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
        now = asyncio.get_running_loop().time()
        why = getattr(link, "why", "") or "it has ended"
        record.ended(why, now, now - entry.since)
        self._hub.log.warning("a server ended", upstream=entry.upstream.pid, reason=why)
        await self._close_link(link)

    async def _try(self, workspace: WorkspaceInfo, upstream: UpstreamInfo, era: Era) -> bool:
        """Whether a connection of that era can be made."""
        wish = Wish(era=era, client_info=self._identity)
        try:
            async with asyncio.timeout(self._config.start_timeout):
                link = await self._connect(workspace, upstream, wish)
        except (Unreachable, TimeoutError) as error:
            raise away(upstream.name, str(error) or "it does not answer", 1) from None
        except LinkClosed:
            return False
        await self._close_link(link)
        return True

    # -- bounds --------------------------------------------------------------------------------------------------

    def _make_room(self, entry: _Entry) -> None:
        """Away when there are too many already, and all are in use."""
        if len(self._entries) >= MAX_LINKS:
            self._evict(self._entries.values())
        if entry.program:
            programs = [one for one in self._entries.values() if one.program]
            if len(programs) >= self._config.max_running:
                self._evict(programs)
        if entry.wish.alone:
            own = [one for one in self._entries.values() if one.wish.alone and one.user_id == entry.user_id]
            if len(own) >= MAX_ALONE:
                self._evict(own)

    def _evict(self, entries: Iterable[_Entry]) -> None:
        """End the one that was not used for longest."""
        idle = min((one for one in entries if not one.busy), key=lambda one: one.used, default=None)
        if idle is None:
            raise Away("Too many MCP servers are in use at once", headers={"Retry-After": "5"})
        self._end([idle])

    def _sweep_later(self) -> None:
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = self._hub.tasks.spawn(self._sweep(), "stop idle servers")

    async def _sweep(self) -> None:
        every = min(SWEEP_SECONDS, self._config.idle_seconds / 2)
        while self._entries:
            await asyncio.sleep(every)
            oldest = asyncio.get_running_loop().time() - self._config.idle_seconds
            self._end([e for e in self._entries.values() if not e.busy and e.used < oldest])

    def _record(self, upstream: UpstreamInfo) -> Record:
        key = (upstream.pid, upstream.version)
        if (record := self._records.get(key)) is None:
            while len(self._records) >= MAX_RECORDS:
                del self._records[next(iter(self._records))]
            record = self._records[key] = Record()
        return record

    def _shown(self, upstream: UpstreamInfo, state: State | None) -> UpstreamState:
        record = self._records.get((upstream.pid, upstream.version)) or Record()
        left = max(0.0, record.until - asyncio.get_running_loop().time())
        server = record.server
        name = server.info.get("name") if server is not None else None
        return UpstreamState(
            state=state or (State.FAILING if left else State.IDLE),
            error="" if state is State.UP else record.error,
            retry_in=left,
            era=server.era if server is not None else None,
            version=server.version if server is not None else None,
            server=name if isinstance(name, str) else None,
        )


class _Lease(AbstractAsyncContextManager[Link]):
    """Holds a connection: it is not stopped for being idle, and its end counts for nobody else."""

    __slots__ = ("_entry", "_pool")

    def __init__(self, pool: Pool, entry: _Entry) -> None:
        self._pool, self._entry = pool, entry

    async def __aenter__(self) -> Link:
        entry = self._entry
        if entry.upstream.fault:
            raise Away(entry.upstream.fault)
        if entry.link is None:
            await self._pool.take(entry)
            entry = self._entry = self._pool._entries.get(entry.key, entry)
        if entry.link is None:
            raise Away("The MCP server has just ended", headers={"Retry-After": "1"})
        entry.leases += 1
        return entry.link

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entry.leases -= 1
        self._entry.used = asyncio.get_running_loop().time()
