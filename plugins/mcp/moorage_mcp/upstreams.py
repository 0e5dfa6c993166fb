"""The servers of a workspace: added, changed, removed; who may run which program and reach which address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from moorage.api import Actor, Conflict, Hub, NotFound
from tortoise.exceptions import IntegrityError
from tortoise.expressions import F

from moorage_mcp import store
from moorage_mcp.checks import applied
from moorage_mcp.config import McpConfig
from moorage_mcp.links.targets import Targets
from moorage_mcp.models import McpUpstream
from moorage_mcp.names import new_pid, wrong
from moorage_mcp.records import Kind, UpstreamInfo, WorkspaceInfo
from moorage_mcp.rights import COMMAND, MANAGE, REMOTE
from moorage_mcp.workspaces import NOT_FOUND as WORKSPACE_NOT_FOUND
from moorage_mcp.workspaces import Workspaces

NOT_FOUND = "Upstream not found"
OF_COMMAND = frozenset({"command", "env", "secrets"})
OF_ADDRESS = frozenset({"url", "headers"})


class Upstreams:
    """All servers of all workspaces; their owners' rules are those of the workspaces."""

    def __init__(self, hub: Hub, config: McpConfig, workspaces: Workspaces, targets: Targets) -> None:
        self._hub, self._config, self._workspaces, self._targets = hub, config, workspaces, targets

    async def list(self, actor: Actor, workspace_id: int) -> tuple[UpstreamInfo, ...]:
        """Those of a workspace, in their order."""
        return (await self._workspaces.seen(actor, workspace_id)).upstreams

    async def get(self, actor: Actor, workspace_id: int, id: int) -> UpstreamInfo:
        """One of them."""
        return _one(await self._workspaces.seen(actor, workspace_id), id)

    async def add(self, actor: Actor, workspace_id: int, kind: Kind, given: Mapping[str, Any]) -> UpstreamInfo:
        """One more. given: fields of the right types.

        ValidationFailed, Forbidden for a program or an address that the actor may not choose, Conflict at the limit and
        for a name that is taken.
        """
        workspace = await self._workspaces.get(actor, workspace_id, MANAGE.name)
        if len(workspace.upstreams) >= self._config.max_upstreams:
            raise Conflict(f"The workspace has {len(workspace.upstreams)} servers already, and no more are allowed")
        if kind is Kind.PROVIDED and not self._config.provided:
            raise wrong("kind", "files and git are switched off here: [plugins.mcp] provided")
        position = 1 + max((one.position for one in workspace.upstreams), default=-1)
        fresh = UpstreamInfo(
            id=0,
            pid=new_pid("srv"),
            workspace_id=workspace_id,
            name="",
            kind=kind,
            position=position,
        )
        info = applied(fresh, {"name": given["name"], "prefix": _prefix(workspace, given["name"]), **given})
        self._may(actor, info, given.keys())
        self._fits(workspace, info)
        now = datetime.now(UTC)
        row = McpUpstream(
            pid=info.pid,
            workspace_id=workspace_id,
            name=info.name,
            kind=kind.value,
            enabled=info.enabled,
            position=info.position,
            prefix=info.prefix,
            settings=store.settings_of(info),
            sealed=store.sealed_of(self._hub, info),
            created_at=now,
            updated_at=now,
        )
        async with self._changing(actor, workspace, "upstream_added", info):
            await row.save()
        return _one(await self._workspaces.changed(workspace_id), row.id)

    async def change(self, actor: Actor, workspace_id: int, id: int, given: Mapping[str, Any]) -> UpstreamInfo:
        """Change what is given. Errors as of `add`."""
        workspace = await self._workspaces.get(actor, workspace_id, MANAGE.name)
        before = _one(workspace, id)
        info = applied(before, given)
        if info == before and not before.fault:
            return before
        self._may(actor, info, [name for name in given if getattr(info, name) != getattr(before, name)])
        self._fits(workspace, info)
        values = {
            "name": info.name,
            "enabled": info.enabled,
            "position": info.position,
            "prefix": info.prefix,
            "settings": store.settings_of(info),
        }
        if not before.fault or given.keys() & {"secrets", "headers"}:
            values["sealed"] = store.sealed_of(self._hub, info)
        async with self._changing(actor, workspace, "upstream_changed", info, sorted(given)):
            # Of two changes at once the later one would take back what the earlier one did.
            wanted = McpUpstream.filter(id=id, workspace_id=workspace_id, version=before.version)
            if not await wanted.update(**values, version=F("version") + 1, updated_at=datetime.now(UTC)):
                raise Conflict("The server has been changed by somebody else meanwhile")
        return _one(await self._workspaces.changed(workspace_id), id)

    async def remove(self, actor: Actor, workspace_id: int, id: int) -> None:
        """One less; what runs of it ends."""
        workspace = await self._workspaces.get(actor, workspace_id, MANAGE.name)
        info = _one(workspace, id)
        async with self._changing(actor, workspace, "upstream_removed", info):
            if not await McpUpstream.filter(id=id, workspace_id=workspace_id).delete():
                raise NotFound(NOT_FOUND)
        await self._workspaces.changed(workspace_id)

    def _may(self, actor: Actor, info: UpstreamInfo, changed: Iterable[str]) -> None:
        """Programs and addresses are the choice of those who hold the right; switching one off is its owner's."""
        named = set(changed)
        if info.kind is Kind.STDIO and named & OF_COMMAND:
            self._hub.access.require(actor, COMMAND.name)
        if info.kind in (Kind.HTTP, Kind.SSE) and named & OF_ADDRESS:
            self._targets.check(info.url, remote=self._hub.access.can(actor, REMOTE.name))

    @staticmethod
    def _fits(workspace: WorkspaceInfo, info: UpstreamInfo) -> None:
        for other in workspace.upstreams:
            if other.id == info.id:
                continue
            if other.name == info.name:
                raise Conflict(f'The workspace has a server "{info.name}" already', code="NAME_EXISTS")
            if other.prefix == info.prefix:
                shown = f'"{info.prefix}"' if info.prefix else "no prefix"
                raise wrong("prefix", f'the server "{other.name}" has {shown} already, so that names would collide')
            if other.kind is Kind.PROVIDED and info.kind is Kind.PROVIDED:
                raise Conflict("The workspace has its files and git already")

    @asynccontextmanager
    async def _changing(
        self, actor: Actor, workspace: WorkspaceInfo, action: str, info: UpstreamInfo, changed: Sequence[str] = ()
    ) -> AsyncIterator[None]:
        """A transaction around a change: the workspace counts on with it, and the audit log tells of it."""
        data = {"name": info.name, "kind": info.kind.value, **({"changed": list(changed)} if changed else {})}
        try:
            async with self._hub.db.transaction():
                if not await store.change(workspace.id, {}, status=workspace.status):
                    raise NotFound(WORKSPACE_NOT_FOUND)
                yield
                await self._workspaces.audit(action, actor, workspace.pid, data)
        except IntegrityError:
            raise Conflict(f'The workspace has a server "{info.name}" already', code="NAME_EXISTS") from None


def _one(workspace: WorkspaceInfo, id: int) -> UpstreamInfo:
    for one in workspace.upstreams:
        if one.id == id:
            return one
    raise NotFound(NOT_FOUND)


def _prefix(workspace: WorkspaceInfo, name: str) -> str:
    """Nothing for the first server of a workspace, so that its names are unchanged; the name for the others."""
    return f"{name}__" if any(not one.prefix for one in workspace.upstreams) else ""
