"""What workspaces need when nobody asks: memory in step with the database, owners' ends, purging what was deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moorage.api import Actor, Credential, Hub, Method, MoorageError, Topic, repeat

from moorage_mcp import store
from moorage_mcp.book import Book
from moorage_mcp.config import McpConfig
from moorage_mcp.names import key_of_deleted
from moorage_mcp.records import Status, WorkspaceInfo

if TYPE_CHECKING:
    from moorage_mcp.workspaces import Running

SERVER = Actor(credential=Credential(Method.SYSTEM, 0, "mcp"))
"""Who does what nobody asked for."""
CHANGED = "mcp.workspace_changed"
"""Topic: {"id": int, "version": int}: on all servers of the database. version 0: it is gone."""
RESTART = "mcp.workspace_restart"
"""Topic: {"id": int}: its servers shall end, wherever they run."""
LOOK_EVERY = 2.0
"""Seconds between two looks for what another program, `moorage workspaces`, changed in the database."""
COMPARE_EVERY = 60.0
OWNERS_EVERY = 5.0
OVERLAP = timedelta(seconds=10)
"""How much the clocks of two servers may differ before a change waits for the comparison of all."""
PURGE_EVERY = 60.0
PURGE_AT_ONCE = 20
LEASE = timedelta(minutes=10)
"""In which one server must have purged what it took."""
RETRY = timedelta(seconds=60)
ABANDONED = timedelta(days=7)
"""After that a server's workspaces are forgotten by the others: it is no more, and its folders with it."""
SETTLE_SECONDS = 5.0
STOP_SECONDS = 60.0


class Upkeep:
    """Looks after all workspaces. `Workspaces` is its only caller."""

    def __init__(self, hub: Hub, book: Book, config: McpConfig) -> None:
        self._hub, self._book, self._config = hub, book, config
        self.running: Running | None = None
        self.server = ""
        self.callbacks: list[Callable[[WorkspaceInfo], None]] = []
        self.unsettled: set[asyncio.Task[None]] = set()
        """Users' changes that are not carried over to their workspaces yet."""
        self._context: Context | None = None
        self._hurry = asyncio.Event()
        self._seen = datetime.now(UTC)
        self._gauge = hub.metrics.gauge("workspaces", "MCP workspaces that are not deleted, by status", ["status"])

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read all, and begin to look after them."""
        self._context = copy_context()
        self.server = await asyncio.to_thread(self._hub.server_id)
        bus = self._hub.bus
        bus.share(CHANGED, RESTART)
        for topic in (Topic.USER_CHANGED, Topic.USER_DELETED):
            bus.subscribe(topic, self._user_changed)
        bus.subscribe(Topic.BACKPLANE_RESTORED, lambda _: self._spawn(self.compare(), "compare"))
        bus.subscribe(CHANGED, self._told)
        bus.subscribe(RESTART, lambda data: self._stop(int(data["id"])))
        await self.compare()
        await self.look_at_owners()
        for every, work, name in (
            (LOOK_EVERY, self._look, "look"),
            (COMPARE_EVERY, self.compare, "compare"),
            (OWNERS_EVERY, self.look_at_owners, "owners"),
        ):
            self._hub.tasks.spawn(repeat(f"upkeep of workspaces: {name}", every, work), name)
        self._hub.tasks.spawn(self._purge_on(), "purge")

    def close(self) -> None:
        """Nothing more is begun."""
        self._context = None

    def _spawn(self, coro: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """A task in the context of the plugin's start, and not of whoever caused it."""
        if self._context is None:
            coro.close()
            return None
        try:
            return self._context.copy().run(self._hub.tasks.spawn, coro, name)
        except RuntimeError:  # The server is stopping.
            return None

    async def settle(self) -> None:
        """Wait until what happened to users so far is carried over to their workspaces; some seconds at most."""
        if self.unsettled:
            await asyncio.wait(set(self.unsettled), timeout=SETTLE_SECONDS)

    # -- memory --------------------------------------------------------------------------------------------------

    async def tell(self, id: int) -> WorkspaceInfo | None:
        """A change was committed: take it in, and tell of it here and elsewhere. The workspace as it is now."""
        found = await self._read(id)
        self._hub.bus.publish(CHANGED, {"id": id, "version": found.version if found is not None else 0})
        return found

    async def restart(self, id: int) -> None:
        """End its servers on all servers; here before this returns."""
        self._hub.bus.publish(RESTART, {"id": id})
        await self._stopping(id)

    def hurry(self) -> None:
        """Something may be there to purge."""
        self._hurry.set()

    async def _read(self, id: int) -> WorkspaceInfo | None:
        found = await store.load(self._hub, id)
        known = self._book.get(id)
        if found is None:
            if known is not None:
                self._book.drop(id)
                self._changed(replace(known, status=Status.DELETED, version=known.version + 1))
            return None
        if self._book.put(found):
            self._changed(found)
        return found

    def _changed(self, info: WorkspaceInfo) -> None:
        self._count()
        if info.status is not Status.ACTIVE:
            self._stop(info.id)
        for callback in self.callbacks:
            try:
                callback(info)
            except Exception:
                self._hub.log.exception("a change of a workspace was not taken in", workspace=info.pid)

    def _count(self) -> None:
        for status, number in self._book.counts().items():
            self._gauge.labels(status.value).set(number)

    async def _told(self, data: dict[str, Any]) -> None:
        known, version = self._book.get(int(data["id"])), int(data["version"])
        if known is not None and known.version >= version > 0:
            return
        if known is None and version == 0:
            return
        await self._read(int(data["id"]))

    async def _look(self) -> None:
        """What changed since the last look: a command writes into the database, and tells nobody."""
        since, self._seen = self._seen - OVERLAP, datetime.now(UTC)
        await self._take_in(await store.versions(since))

    async def compare(self) -> None:
        """All that there is, with all that is known."""
        if not len(self._book):
            for info in await store.load_all(self._hub):
                if self._book.put(info):
                    self._changed(info)
            self._count()
            return
        there = await store.versions()
        await self._take_in(there)
        ids = {id for id, _, status in there if status != Status.DELETED}
        for info in self._book:
            if info.id not in ids:
                await self._read(info.id)

    async def _take_in(self, found: list[tuple[int, int, str]]) -> None:
        for id, version, status in found:
            known = self._book.get(id)
            missed = status != Status.DELETED if known is None else known.version < version
            if missed:
                await self._read(id)

    # -- what runs -----------------------------------------------------------------------------------------------

    def _stop(self, id: int) -> None:
        self._spawn(self._stopping(id), f"stop {id}")

    async def _stopping(self, id: int) -> None:
        if self.running is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.running.stop(id)
        except Exception as error:
            self._hub.log.error("workspace is not stopped", workspace=id, reason=_reason(error))

    # -- owners --------------------------------------------------------------------------------------------------

    def _user_changed(self, data: dict[str, Any]) -> None:
        """Sync, so that whoever asks next finds that there is something to wait for."""
        task = self._spawn(self._follow(int(data["user_id"])), f"user {data['user_id']}")
        if task is not None:
            self.unsettled.add(task)
            task.add_done_callback(self.unsettled.discard)

    async def _follow(self, user_id: int) -> None:
        user = await self._hub.accounts.get_user(user_id)
        await self._owner_is(user_id, None if user is None else user.active)

    async def look_at_owners(self) -> None:
        """A command, or another program, may have changed users while nobody told of it."""
        owners = await store.owners()
        states = await self._hub.accounts.users.states({user_id for user_id, _ in owners})
        for user_id, status in owners:
            active = states.get(user_id)
            if active is None or active != (status == Status.ACTIVE):
                await self._owner_is(user_id, active)

    async def _owner_is(self, user_id: int, active: bool | None) -> None:
        """Bring a user's workspaces to what their owner is. active None: the user is gone."""
        if active is None:
            for status in Status:
                await self._move(user_id, status, None)
            self.hurry()
        elif active:
            await self._move(user_id, Status.INACTIVE, Status.ACTIVE)
        else:
            await self._move(user_id, Status.ACTIVE, Status.INACTIVE)

    async def _move(self, user_id: int, before: Status, after: Status | None) -> None:
        now = datetime.now(UTC)
        for id in await store.of_user(user_id, before):
            found = await store.load(self._hub, id)
            if found is None:
                continue
            values: dict[str, Any] = {"status": (after or Status.DELETED).value}
            if after is None:
                values |= {"purge_after": now, "name_key": key_of_deleted(found.pid, purging=True)}
                values |= {} if found.deleted_at else {"deleted_at": now}
            action, because = _MOVES[after]
            async with self._hub.db.transaction():
                if not await store.change(id, values, status=before):
                    continue
                if before is not Status.DELETED:
                    await self._hub.audit.write(
                        f"mcp.workspace_{action}",
                        actor=SERVER,
                        target=f"mcp_workspace:{found.pid}",
                        data={"name": found.name, "user_id": user_id, "because": because},
                    )
            await self.tell(id)

    # -- purging -------------------------------------------------------------------------------------------------

    async def _purge_on(self) -> None:
        while True:
            try:
                await self.purge()
            except Exception as error:
                self._hub.log.error("deleted workspaces cannot be purged now", reason=_reason(error))
            try:
                async with asyncio.timeout(PURGE_EVERY):
                    await self._hurry.wait()
                    self._hurry.clear()
            except TimeoutError:
                pass

    async def purge(self) -> int:
        """Purge what is due; how many. What cannot be now is tried again a minute later."""
        done = 0
        for row in await store.to_purge(datetime.now(UTC), self.server, ABANDONED, PURGE_AT_ONCE):
            if not await store.claim(row, datetime.now(UTC) + LEASE):
                continue
            (info,) = await store.complete(self._hub, [row])
            try:
                if self.running is not None:
                    await self.running.purge(info)
                async with self._hub.db.transaction():
                    await store.forget(row.id)
                    await self._hub.audit.write(
                        "mcp.workspace_purged",
                        actor=SERVER,
                        target=f"mcp_workspace:{row.pid}",
                        data={"name": row.name, "user_id": row.user_id},
                    )
            except Exception as error:
                self._hub.log.error("workspace is not purged", workspace=row.pid, reason=_reason(error))
                await store.put_off(row.id, datetime.now(UTC) + RETRY)
                continue
            done += 1
            await self.tell(row.id)
        if done == PURGE_AT_ONCE:
            self.hurry()
        return done


_MOVES = {
    Status.ACTIVE: ("activated", "user activated"),
    Status.INACTIVE: ("deactivated", "user deactivated"),
    None: ("deleted", "user deleted"),
}


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, MoorageError) else f"{type(error).__name__}: {error}"
