"""The sessions: made, found, started, stopped, upgraded, ended; which of them run, and how they are reached."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from moorage.api import (
    Actor,
    Hub,
    MoorageError,
    NotFound,
    Permission,
    RuntimeView,
    Stats,
    Topic,
    Unauthorized,
    Unavailable,
    UserInfo,
)

from moorage_opencode import store
from moorage_opencode.background import Background
from moorage_opencode.commands import SERVER, Commands, check_resumable
from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.digests import Digests, Update
from moorage_opencode.figures import Figures
from moorage_opencode.lifecycle import CHANGED, Lifecycle
from moorage_opencode.limits import Room
from moorage_opencode.models import OpenCodeSession
from moorage_opencode.operations import Operations, done
from moorage_opencode.program import Program
from moorage_opencode.projects import Projects
from moorage_opencode.reconcile import Reconciler
from moorage_opencode.records import Entry, Live, Records, entry_of
from moorage_opencode.rights import CONTROL, CREATE, DELETE, VIEW
from moorage_opencode.sealed import Secrets
from moorage_opencode.starting import Starter
from moorage_opencode.states import ACTIVE, Status
from moorage_opencode.upkeep import Upkeep
from moorage_opencode.wishes import Wish

SPARE = 30.0
"""Seconds beyond the time-out of a start for which a request waits: stopping and making take time too."""


class Sessions:
    """All sessions of this server. One object; used from the event loop."""

    def __init__(self, hub: Hub, config: OpenCodeConfig) -> None:
        self.hub, self.config = hub, config
        self._server = ""
        self.program = Program(config.binary)
        self.records = Records()
        folder = hub.data_dir
        self._projects = Projects(config.roots, folder / "users", hub.private)
        self._digests = Digests(hub, self.program)
        self._figures = Figures(hub)
        self._background = Background(hub.tasks)
        self._operations = Operations(self._background)
        self._life = Lifecycle(hub, self.records, self._figures, folder / "homes")
        self._starter = Starter(
            hub, config, self._life, projects=self._projects, digests=self._digests, figures=self._figures
        )
        self._reconciler = Reconciler(hub, self.records, self._operations, self._background, self._life, self._starter)
        self._room = Room(config, self.records)
        self._commands = Commands(hub, self._operations, self._life, self._starter, self._room)
        self._upkeep = Upkeep(hub, config, self.records, self._commands)
        self._room.open(stop=self._upkeep.stop_idle, busy=self._upkeep.busy)
        self._finding: dict[tuple[int, str], asyncio.Lock] = {}

    # -- the plugin's life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the table, take up again what runs, bring to an end what a crash left half done."""
        self._server = await asyncio.to_thread(self.hub.server_id)
        self._background.open()
        rows = await store.everything(self._server)
        for row in rows:
            self.records.add(entry_of(row))
        self._figures.count(self.records)
        self.hub.bus.subscribe(Topic.USER_DELETED, self._upkeep.user_changed)
        self.hub.bus.subscribe(Topic.USER_CHANGED, self._upkeep.user_changed)
        self._reconciler.take_up(rows)
        for user_id in {row.user_id for row in rows}:
            await self._upkeep.user_changed({"user_id": user_id})
        self._background.spawn(self._upkeep.sweep(), "sweep")

    async def close(self) -> None:
        """Stop watching; sessions go on."""
        for entry in self.records:
            entry.unwatch()
        with contextlib.suppress(MoorageError):
            await self._upkeep.write_used()

    # -- the hot path --------------------------------------------------------------------------------------------

    def live(self, actor: Actor, pid: str, permission: Permission) -> Live:
        """The session, as far as the actor may do that with it.

        NotFound for one that is not there or of which they may not know, Forbidden where they may see it and not more.
        Never waits: for the hot path.
        """
        return self._entry(actor, pid, permission).live

    def _entry(self, actor: Actor, pid: str, permission: Permission) -> Entry:
        entry, access = self.records.get(pid), self.hub.access
        if actor.user is None:
            raise Unauthorized
        if entry is None:
            raise NotFound("Session not found")
        owner = entry.live.user_id
        if not access.can(actor, permission.name, owner_id=owner):
            if owner != actor.user.id and not access.can(actor, VIEW.name, owner_id=owner):
                raise NotFound("Session not found")
            access.require(actor, permission.name, owner_id=owner)
        return entry

    async def running(self, live: Live, *, resume: bool = True) -> Live:
        """The same once it can be reached: a stopped one is resumed first, one that starts is waited for.

        Unavailable when it cannot be: stopping, failed, or not ready in time. Conflict when as many run as may.
        """
        entry = self.records.get(live.pid)
        if entry is None or entry.live is not live:
            raise NotFound("Session not found")
        self.touch(live)
        if entry.running:
            return live
        try:
            async with asyncio.timeout(self.config.start_timeout + SPARE):
                await self._until_running(entry, resume)
        except TimeoutError as error:
            raise Unavailable(f"The session is {live.status}, and not ready in time") from error
        return live

    async def _until_running(self, entry: Entry, resume: bool) -> None:
        resumed = False
        while not entry.running:
            task = entry.task
            if task is not None and not task.done():
                await asyncio.wait({task})
            elif entry.settled is not None and not entry.settled.is_set():
                await entry.settled.wait()
            elif entry.live.status == Status.STOPPED and resume and not resumed:
                resumed = True
                await self._commands.record("session_resumed", SERVER, entry.live, {"because": "used"})
                await done(self._commands.begin(entry))
            else:
                away = entry.live.status in ACTIVE
                raise Unavailable(
                    "What runs the session cannot be reached now" if away else f"The session is {entry.live.status}"
                )

    async def row(self, actor: Actor, pid: str, permission: Permission) -> OpenCodeSession:
        """The session with all that is stored of it. Errors as in `live`."""
        self._entry(actor, pid, permission)
        return await store.get(pid)

    async def runtime(self, live: Live) -> RuntimeView:
        """What runs it."""
        return await self.hub.runtimes.get(live.runtime)

    def touch(self, live: Live) -> None:
        """Somebody used it just now. Cheap; written down from time to time."""
        entry = self.records.get(live.pid)
        if entry is not None:
            entry.touch()

    @contextmanager
    def hold(self, live: Live) -> Iterator[None]:
        """Somebody uses it as long as this lasts (an open terminal): it is not idle meanwhile."""
        entry = self.records.get(live.pid)
        if entry is None:
            raise NotFound("Session not found")
        entry.holds += 1
        try:
            yield
        finally:
            entry.holds -= 1
            self.touch(live)

    def used_at(self, pid: str) -> datetime | None:
        """When it was last used; None for an unknown one."""
        entry = self.records.get(pid)
        return entry.used_at if entry is not None else None

    # -- what is asked for ---------------------------------------------------------------------------------------

    async def page(self, user_id: int | None, *, offset: int, limit: int) -> tuple[list[OpenCodeSession], int]:
        """A user's sessions (None: everybody's), newest first, and how many there are."""
        return await store.page(self._server, user_id, offset=offset, limit=limit)

    async def active(self, limit: int) -> list[OpenCodeSession]:
        """Everybody's that run, are about to or are just ending, newest first."""
        return await store.active(self._server, limit)

    async def create(self, actor: Actor, wish: Wish, *, wait: bool = True) -> OpenCodeSession:
        """Make a session and start it; returns when it runs, or with wait=False when it is written down.

        BadRequest and ValidationFailed for a wrong wish, Conflict at a limit, Unavailable without OpenCode or runtime:
        then there is none. When its start fails there is one, failed, and the error is as that of the start.
        """
        user = actor.user
        if user is None:
            raise Unauthorized
        self.hub.access.require(actor, CREATE.name)
        wish.check()
        kind, image = wish.where(self.config)
        project = await self._projects.resolve(user, wish.path)
        digest = await self._digests.of(kind, image)
        pid = self._new_pid()
        async with self._room.to_keep(pid, user.id), self._room.to_run(pid, user.id):
            row = OpenCodeSession(
                pid=pid,
                server=self._server,
                user_id=user.id,
                name=self._name(wish, user, project),
                workspace_path=str(project),
                agent=wish.agent,
                runtime=kind,
                workload=workload_name(pid),
                image=image,
                image_digest=digest,
                status=Status.PENDING.value,
                sealed=Secrets.fresh(wish.env).seal(self.hub),
                created_at=datetime.now(UTC),
                last_activity_at=datetime.now(UTC),
            )
            async with self.hub.db.transaction():
                await row.save()
                await self._commands.record("session_created", actor, entry_of(row).live, {"project": str(project)})
            entry = entry_of(row)
            self.records.add(entry)
        try:
            task = self._commands.first_start(entry)
        except Unavailable:
            # Stopped or replaced by a reload meanwhile: nobody would look after it until the next start.
            self.records.remove(entry)
            await store.delete(row)
            raise
        self._figures.count(self.records)
        self._life.tell(row, row.status)
        if wait:
            await done(task)
        return await store.get(pid)

    async def project(self, user: UserInfo, path: str) -> Path:
        """The folder that a user names, if it may be a project of theirs. BadRequest."""
        return await self._projects.resolve(user, path)

    async def get_or_create(self, actor: Actor, wish: Wish) -> OpenCodeSession:
        """The actor's session with that project, resumed if need be, or a new one. Errors as of the two."""
        user = actor.user
        if user is None:
            raise Unauthorized
        wish.check()
        path = str(await self._projects.resolve(user, wish.path))
        lock = self._finding.setdefault((user.id, path), asyncio.Lock())
        try:
            async with lock:
                rows = await store.in_project(self._server, user.id, path)
                if not rows:
                    return await self.create(actor, wish)
                order = [Status.RUNNING, Status.STARTING, Status.PENDING, Status.STOPPED, Status.STOPPING]
                ranks = {status.value: rank for rank, status in enumerate(order)}
                best = min(rows, key=lambda row: ranks.get(row.status, len(ranks)))
                entry = self._entry(actor, best.pid, CONTROL)
                if entry.live.status == Status.FAILED:
                    await self.resume(actor, best.pid)
                await self.running(entry.live)
                return await store.get(best.pid)
        finally:
            if not lock.locked():
                self._finding.pop((user.id, path), None)

    async def stop(self, actor: Actor, pid: str) -> None:
        """Stop it; nothing happens to one that does not run. Unavailable when the runtime is."""
        entry = self._entry(actor, pid, CONTROL)
        await self._commands.record("session_stopped", actor, entry.live)
        await done(self._commands.halt(entry))

    async def resume(self, actor: Actor, pid: str) -> OpenCodeSession:
        """Start it again. BadRequest when it is neither stopped nor failed; else errors as of a start."""
        entry = self._entry(actor, pid, CONTROL)
        if entry.task is None or entry.task.done():
            check_resumable(entry.live.status)
        await self._commands.record("session_resumed", actor, entry.live)
        await done(self._commands.begin(entry))
        return await store.get(pid)

    async def upgrade(self, actor: Actor, pid: str) -> OpenCodeSession:
        """Make its workload anew from the newest image or program, and start it.

        When that fails, the session is failed: no error, as the contract's program has it. Conflict at a limit.
        """
        entry = self._entry(actor, pid, CONTROL)
        await self._commands.record("session_upgraded", actor, entry.live)

        try:
            await done(self._commands.renew(entry))
        except MoorageError as error:
            # What was refused before anything was done is told; what failed is in the row.
            if "session_id" not in error.details:
                raise
        return await store.get(pid)

    async def delete(self, actor: Actor, pid: str, *, force: bool = False) -> None:
        """End it, whatever it does, and remove all but the project. force: also when its runtime is away."""
        entry = self._entry(actor, pid, DELETE)
        await self._commands.record("session_deleted", actor, entry.live, {"force": force})
        await done(self._commands.erase(entry, force=force))

    async def updates(self, user_id: int) -> list[Update]:
        """What of a user's sessions that run could be upgraded."""
        rows = await store.active_of(self._server, user_id)
        return [update for update in await self._digests.updates(rows) if update.digest is not None]

    async def update(self, actor: Actor, pid: str) -> Update:
        """Whether one could be."""
        row = await self.row(actor, pid, VIEW)
        return (await self._digests.updates([row]))[0]

    async def logs(self, actor: Actor, pid: str, lines: int) -> bytes:
        """The newest lines of what its OpenCode wrote, without its secrets; empty when there is nothing kept."""
        row = await self.row(actor, pid, VIEW)
        runtime = await self.hub.runtimes.get(row.runtime)
        try:
            said = await runtime.logs(row.workload, lines=lines)
        except NotFound:
            return b""
        text = said.decode("utf-8", "replace")
        with contextlib.suppress(MoorageError):
            text = Secrets.open(self.hub, row.sealed).masked(text)
        return text.encode()

    async def stats(self, actor: Actor, pid: str) -> Stats | None:
        """What it uses; None when it does not run."""
        live = self.live(actor, pid, VIEW)
        runtime = await self.runtime(live)
        try:
            return await runtime.stats(live.workload)
        except NotFound:
            return None

    def _name(self, wish: Wish, user: UserInfo, project: Path) -> str:
        wished = (wish.name or "").strip()
        own = project == self._projects.own_folder(user)
        return (wished or (user.username if own else project.name) or "session")[:255]

    def _new_pid(self) -> str:
        """An id whose beginning names no other workload."""
        taken = {entry.live.workload for entry in self.records}
        while True:
            pid = str(uuid.uuid4())
            if workload_name(pid) not in taken:
                return pid


def workload_name(pid: str) -> str:
    """How a session's workload is called. Source: `api/octo.md`'s program."""
    return f"octo-{pid[:8]}"


__all__ = ["CHANGED", "Live", "Sessions"]
