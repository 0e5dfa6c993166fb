"""The workspaces: made, found, changed, deleted, restored; who may do what with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from moorage.api import (
    Actor,
    BadRequest,
    Conflict,
    Forbidden,
    Hub,
    Method,
    NotFound,
    Unauthorized,
    UserInfo,
)
from tortoise.exceptions import IntegrityError

from moorage_mcp import store
from moorage_mcp.book import Book
from moorage_mcp.checks import json_object
from moorage_mcp.config import McpConfig
from moorage_mcp.models import McpUpstream, McpWorkspace
from moorage_mcp.names import PID, key_of, key_of_deleted, new_pid, workspace_name, wrong
from moorage_mcp.records import Kind, Status, ToolRules, WorkspaceInfo
from moorage_mcp.rights import CREATE, DELETE, MANAGE, USE, VIEW
from moorage_mcp.upkeep import Upkeep

NOT_FOUND = "Workspace not found"
NOT_YOURS = "Not authorized to access this resource"
TAKEN = "Name already exists"
PROVIDED_NAME = "workspace"
MAX_KEYS = 100
"""API keys of one workspace that may have rules of their own."""
MAX_METADATA = 16 * 1024
"""Bytes of a workspace's metadata as JSON."""


class Running(Protocol):
    """What of workspaces runs, as they see it: workloads and connections."""

    def figures(self, workspace_id: int) -> tuple[str | None, str | None]:
        """The id and the state of what runs it, for the contract's `container_id` and `container_status`."""
        ...

    async def stop(self, workspace_id: int) -> None:
        """End all of its servers and connections; they start again when they are used."""
        ...

    async def purge(self, workspace: WorkspaceInfo) -> None:
        """Remove its workload and its folder. Safe to repeat."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which workspaces a list shows. user_id None: everybody's. status None: all that are not deleted."""

    user_id: int | None = None
    status: Status | None = None
    offset: int = 0
    limit: int = 20


class Workspaces:
    """All workspaces of all users. One object; used from the event loop.

    running: what stops and removes what runs of them; None in a command, where nothing does.
    """

    def __init__(self, hub: Hub, config: McpConfig, running: Running | None = None) -> None:
        self.hub, self.config = hub, config
        self.book = Book()
        self._upkeep = Upkeep(hub, self.book, config)
        self._upkeep.running = running

    # -- the plugin's life ---------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the table, and hear of what others change."""
        await self._upkeep.start()

    async def prepare(self, server: str) -> None:
        """In place of `start`, for a command: one change, and no looking after. server: `hub.server_id()`."""
        self._upkeep.server = server
        for info in await store.load_all(self.hub):
            self.book.put(info)

    async def close(self) -> None:
        """Stop looking after them; what they have stays."""
        self._upkeep.close()

    def on_change(self, callback: Callable[[WorkspaceInfo], None]) -> None:
        """Call `callback(workspace)` after each change of one, here or on another server; must not block.

        Also for one that was deleted, which is told with that status and may then be told once more, when it is gone.
        """
        self._upkeep.callbacks.append(callback)

    # -- the hot path --------------------------------------------------------------------------------------------

    async def find(self, actor: Actor, ref: str, permission: str) -> WorkspaceInfo:
        """The actor's own workspace of that name, or anybody's by its public id, as far as they may do that with it.

        NotFound, Forbidden; Conflict for the use of one whose owner is deactivated. From memory.
        """
        if actor.user is None:
            raise Unauthorized
        if self._upkeep.unsettled:
            await self._upkeep.settle()
        found = self.book.by_pid(ref) if ref.startswith(PID) else self.book.by_name(actor.user.id, ref)
        return self._allowed(actor, found, permission)

    async def get(self, actor: Actor, id: int, permission: str) -> WorkspaceInfo:
        """The workspace of that number. Errors as of `find`. From memory."""
        if self._upkeep.unsettled:
            await self._upkeep.settle()
        return self._allowed(actor, self.book.get(id), permission)

    def _allowed(self, actor: Actor, found: WorkspaceInfo | None, permission: str) -> WorkspaceInfo:
        # Whether a number is taken is no secret: the contract's program says 404 before 403.
        if found is None:
            raise NotFound(NOT_FOUND)
        self.require(actor, permission, found.user_id)
        if found.status is not Status.ACTIVE and permission == USE.name:
            raise Conflict("The workspace is inactive: its owner is deactivated")
        return found

    def require(self, actor: Actor, permission: str, owner_id: int) -> None:
        """Forbidden, in the contract's words, unless the actor may do that with the owner's workspaces.

        Whoever runs a command at the server has the database in hand: SYSTEM may everything.
        """
        if actor.user is None and actor.method is Method.SYSTEM:
            return
        if not self.hub.access.can(actor, permission, owner_id=owner_id):
            raise Forbidden(NOT_YOURS, details={"required": permission})

    def figures(self, workspace_id: int) -> tuple[str | None, str | None]:
        """What runs a workspace: its id and state, None while nothing does."""
        running = self._upkeep.running
        return running.figures(workspace_id) if running is not None else (None, None)

    # -- reading -------------------------------------------------------------------------------------------------

    async def kept(self, actor: Actor, id: int, permission: str = VIEW.name) -> WorkspaceInfo:
        """As `get`, also of one that is deleted and not purged yet, as the database has it."""
        await self._upkeep.settle()
        found = await store.load(self.hub, id)
        if found is None:
            raise NotFound(NOT_FOUND)
        self.require(actor, permission, found.user_id)
        return found

    async def seen(self, actor: Actor, id: int) -> WorkspaceInfo:
        """As `kept`, for who looks at it; that an administrator looks at another's is on record."""
        found = await self.kept(actor, id)
        if actor.user is not None and actor.user.id != found.user_id:
            await self.hub.audit.note_read("mcp_workspace", actor=actor)
        return found

    async def visible(self, actor: Actor, wanted: Wanted) -> tuple[list[WorkspaceInfo], int]:
        """As `page`, of those that the actor may see. Forbidden. That one looks at others' is on record."""
        own = self.hub.access.list_filter(actor, VIEW.name)
        if own is None or (own and wanted.user_id not in (None, own["user_id"])):
            raise Forbidden(NOT_YOURS, details={"required": VIEW.name})
        wanted = replace(wanted, user_id=wanted.user_id or own.get("user_id"))
        if actor.user is not None and actor.user.id != wanted.user_id:
            await self.hub.audit.note_read("mcp_workspace", actor=actor)
        return await self.page(wanted)

    async def page(self, wanted: Wanted) -> tuple[list[WorkspaceInfo], int]:
        """Workspaces by their numbers, and how many there are in all. Whose, the caller has checked."""
        await self._upkeep.settle()
        rows, total = await store.page(
            user_id=wanted.user_id, status=wanted.status, offset=wanted.offset, limit=wanted.limit
        )
        return await store.complete(self.hub, rows), total

    # -- changing ------------------------------------------------------------------------------------------------

    async def create(
        self,
        actor: Actor,
        name: str | None,
        *,
        metadata: Mapping[str, Any] | None = None,
        owner: UserInfo | None = None,
    ) -> WorkspaceInfo:
        """Make a workspace for the actor, or in a command for `owner`.

        BadRequest for a wrong name or one that is taken, Conflict at the limit.
        """
        user = owner if actor.method is Method.SYSTEM else actor.user
        if user is None:
            raise Unauthorized
        if actor.method is not Method.SYSTEM:
            self.hub.access.require(actor, CREATE.name)
        name, now = workspace_name(name), datetime.now(UTC)
        row = McpWorkspace(
            pid=new_pid("ws"),
            user_id=user.id,
            user_pid=user.pid,
            name=name,
            name_key=key_of(name),
            status=(Status.ACTIVE if user.active else Status.INACTIVE).value,
            metadata=json_object("metadata", metadata or {}, MAX_METADATA),
            runtime=self.config.runtime,
            server=self._upkeep.server,
            created_at=now,
            updated_at=now,
        )
        try:
            async with self.hub.db.transaction():
                await self._refuse_more(user.id)
                await self._refuse_taken(user.id, name)
                await row.save()
                if self.config.provided:
                    await _provided(row).save()
                await self.audit("workspace_created", actor, row.pid, {"name": name, "user_id": user.id})
        except IntegrityError:
            # Somebody was faster by a hair (PostgreSQL).
            raise BadRequest(TAKEN, code="NAME_EXISTS") from None
        return await self.changed(row.id)

    async def change(
        self, actor: Actor, id: int, columns: Mapping[str, Any], rules: Mapping[str, Any] | None = None
    ) -> WorkspaceInfo:
        """Change some columns, and rules of tools: {"tools": ToolRules, "keys": {id of an API key: ToolRules}}.

        Errors as of `create`; ValidationFailed for a key that is not the owner's, Conflict for a change that meets
        another.
        """
        found = await self.get(actor, id, MANAGE.name)
        values = dict(columns)
        if values.get("name") == found.name:
            del values["name"]
        if "name" in values:
            values["name"] = workspace_name(values["name"])
            values["name_key"] = key_of(values["name"])
        if "metadata" in values:
            values["metadata"] = json_object("metadata", values["metadata"], MAX_METADATA)
        if rules:
            values["tools"] = await self._rules(found, rules)
        if not values:
            return found
        try:
            async with self.hub.db.transaction():
                if "name" in values:
                    await self._refuse_taken(found.user_id, values["name"])
                if not await store.change(id, values, status=found.status, version=found.version):
                    raise Conflict("The workspace has been changed by somebody else meanwhile")
                changed = sorted({*columns, *(rules or ())})
                await self.audit("workspace_changed", actor, found.pid, {"changed": changed})
        except IntegrityError:
            raise BadRequest(TAKEN, code="NAME_EXISTS") from None
        return await self.changed(id)

    async def _rules(self, found: WorkspaceInfo, given: Mapping[str, Any]) -> dict[str, Any]:
        keys: Mapping[int, ToolRules] = given.get("keys", found.key_tools)
        if len(keys) > MAX_KEYS:
            raise wrong("key_tool_rules", f"has rules for more than {MAX_KEYS} keys")
        for number in keys.keys() - found.key_tools.keys():
            key = await self.hub.accounts.get_key(number)
            if key is None or key.user_id != found.user_id:
                raise wrong(f"key_tool_rules.{number}", "is no API key of the workspace's owner")
        return {
            **store.stored(given.get("tools", found.tools)),
            "keys": {str(number): store.stored(kept) for number, kept in keys.items()},
        }

    async def delete(self, actor: Actor, id: int) -> None:
        """Delete one: it stops, its name is free, and some time later it is purged. Once more is harmless."""
        found = await self.kept(actor, id, DELETE.name)
        if found.status is Status.DELETED:
            return
        now = datetime.now(UTC)
        async with self.hub.db.transaction():
            done = await store.change(
                id,
                deleted(found.pid, now, now + timedelta(hours=self.config.purge_hours)),
                status=found.status,
            )
            if done:
                await self.audit("workspace_deleted", actor, found.pid, {"name": found.name, "user_id": found.user_id})
        await self.changed(id)
        self._upkeep.hurry()

    async def restore(self, actor: Actor, id: int, name: str | None = None) -> WorkspaceInfo:
        """Take back a deletion. name: a new one, where the old is taken by now.

        BadRequest when the name is taken, Conflict for one that is not deleted or at the limit, NotFound when it is
        being purged.
        """
        found = await self.kept(actor, id, DELETE.name)
        if found.status is not Status.DELETED:
            raise Conflict("The workspace is not deleted")
        name = workspace_name(name) if name is not None else found.name
        owner = await self.hub.accounts.get_user(found.user_id)
        if owner is None:
            raise NotFound(NOT_FOUND)
        status = Status.ACTIVE if owner.active else Status.INACTIVE
        try:
            async with self.hub.db.transaction():
                await self._refuse_more(found.user_id)
                await self._refuse_taken(found.user_id, name)
                if not await store.take_back(id, found.pid, name=name, name_key=key_of(name), status=status.value):
                    raise NotFound(NOT_FOUND)
                await self.audit("workspace_restored", actor, found.pid, {"name": name, "user_id": found.user_id})
        except IntegrityError:
            raise BadRequest(TAKEN, code="NAME_EXISTS") from None
        return await self.changed(id)

    async def restart(self, actor: Actor, id: int) -> WorkspaceInfo:
        """End its servers; they start anew when they are used."""
        found = await self.get(actor, id, MANAGE.name)
        await self.audit("workspace_restarted", actor, found.pid, {})
        await self._upkeep.restart(id)
        return found

    async def changed(self, id: int) -> WorkspaceInfo:
        """Everybody hears of a change of that workspace that has been committed; the workspace as it is now."""
        found = await self._upkeep.tell(id)
        if found is None:
            raise NotFound(NOT_FOUND)
        return found

    async def audit(self, action: str, actor: Actor, pid: str, data: dict[str, Any]) -> None:
        """Write it into the audit log."""
        await self.hub.audit.write(f"mcp.{action}", actor=actor, target=f"mcp_workspace:{pid}", data=data)

    async def _refuse_more(self, user_id: int) -> None:
        count = await McpWorkspace.filter(user_id=user_id).exclude(status=Status.DELETED.value).count()
        if count >= self.config.max_workspaces_per_user:
            raise Conflict(f"There are {count} workspaces already, and no more are allowed")

    async def _refuse_taken(self, user_id: int, name: str) -> None:
        if await McpWorkspace.filter(user_id=user_id, name_key=key_of(name)).exists():
            raise BadRequest(TAKEN, code="NAME_EXISTS")


def deleted(pid: str, now: datetime, purge_after: datetime) -> dict[str, Any]:
    """The columns of a workspace that is being deleted: its name is free at once."""
    return {
        "status": Status.DELETED.value,
        "name_key": key_of_deleted(pid),
        "deleted_at": now,
        "purge_after": purge_after,
    }


def _provided(row: McpWorkspace) -> McpUpstream:
    return McpUpstream(
        pid=new_pid("srv"),
        workspace_id=row.id,
        name=PROVIDED_NAME,
        kind=Kind.PROVIDED.value,
        created_at=row.created_at,
        updated_at=row.created_at,
    )
