"""Workspaces and their servers in the database: every query of the two tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from moorage.api import Hub
from tortoise.expressions import F, Q
from tortoise.queryset import QuerySet

from moorage_mcp.models import McpCall, McpUpstream, McpWorkspace
from moorage_mcp.names import PID, PURGING, key_of_deleted
from moorage_mcp.records import Kind, Status, ToolRules, UpstreamInfo, WorkspaceInfo

BATCH = 500
"""Ids in one query: SQLite takes some hundred parameters everywhere."""
LOST = "What is secret of this server cannot be read: the secret of Moorage is another one now. Set it again"
_log = structlog.get_logger("moorage.mcp")


# -- rows as records ---------------------------------------------------------------------------------------------


def workspace_info(row: McpWorkspace, upstreams: Iterable[UpstreamInfo]) -> WorkspaceInfo:
    """A row with its servers."""
    keys = row.tools.get("keys") or {}
    return WorkspaceInfo(
        id=row.id,
        pid=row.pid,
        name=row.name,
        user_id=row.user_id,
        user_pid=row.user_pid,
        status=Status(row.status),
        created_at=aware(row.created_at),
        updated_at=aware(row.updated_at),
        deleted_at=aware(row.deleted_at) if row.deleted_at else None,
        purge_after=aware(row.purge_after) if row.purge_after else None,
        metadata=row.metadata,
        nexusgate_service_id=row.nexusgate_service_id,
        runtime=row.runtime,
        server=row.server,
        tools=rules(row.tools),
        key_tools={int(key): rules(kept) for key, kept in keys.items()},
        call_limits=row.call_limits,
        upstreams=tuple(sorted(upstreams, key=lambda one: (one.position, one.id))),
        version=row.version,
    )


def upstream_info(hub: Hub, row: McpUpstream) -> UpstreamInfo:
    """A row with its secrets. One whose secrets are lost is there, and has a `fault`."""
    settings, secret, fault = row.settings, dict[str, Any](), ""
    if row.sealed is not None:
        try:
            secret = json.loads(hub.sealing.open(row.sealed))
        except ValueError:
            fault = LOST
            _log.error("secrets of an MCP server are lost", upstream=row.pid)
    return UpstreamInfo(
        id=row.id,
        pid=row.pid,
        workspace_id=row.workspace_id,
        name=row.name,
        kind=Kind(row.kind),
        enabled=row.enabled,
        fault=fault,
        position=row.position,
        prefix=row.prefix,
        command=tuple(settings.get("command") or ()),
        env=settings.get("env") or {},
        secrets=secret.get("secrets") or {},
        url=settings.get("url") or "",
        headers=secret.get("headers") or {},
        fixed=settings.get("fixed") or {},
        tools=rules(settings.get("tools") or {}),
        annotations=settings.get("annotations") or {},
        era=settings.get("era"),
        version=row.version,
    )


def settings_of(info: UpstreamInfo) -> dict[str, Any]:
    """What is no secret of a server, for its row."""
    return {
        "command": list(info.command),
        "env": dict(info.env),
        "url": info.url,
        "fixed": dict(info.fixed),
        "tools": stored(info.tools),
        "annotations": dict(info.annotations),
        "era": info.era,
    }


def sealed_of(hub: Hub, info: UpstreamInfo) -> str | None:
    """What is secret of it; None when there is nothing."""
    if not info.secrets and not info.headers:
        return None
    return hub.sealing.seal(json.dumps({"secrets": dict(info.secrets), "headers": dict(info.headers)}))


def rules(kept: Mapping[str, Any]) -> ToolRules:
    """Rules as they are stored."""
    return ToolRules(tuple(kept.get("allow") or ()), tuple(kept.get("deny") or ()))


def stored(rules: ToolRules) -> dict[str, list[str]]:
    """The same the other way."""
    return {"allow": list(rules.allow), "deny": list(rules.deny)}


# -- reading -----------------------------------------------------------------------------------------------------


async def load(hub: Hub, id: int) -> WorkspaceInfo | None:
    """One workspace, whatever its state; None when there is none."""
    row = await McpWorkspace.get_or_none(id=id)
    return None if row is None else (await complete(hub, [row]))[0]


async def find(hub: Hub, ref: str, user_id: int | None) -> WorkspaceInfo | None:
    """By public id or number (that user's, if one is given), or by name of that user's; deleted ones by id only."""
    query = McpWorkspace.all() if user_id is None else McpWorkspace.filter(user_id=user_id)
    row = None
    if ref.startswith(PID):
        row = await query.get_or_none(pid=ref[:64])
    elif user_id is not None:
        row = await query.get_or_none(name_key=ref[:160])
    if row is None and ref.isascii() and ref.isdigit() and len(ref) < 10:
        row = await query.get_or_none(id=int(ref))
    return None if row is None else (await complete(hub, [row]))[0]


async def load_all(hub: Hub) -> list[WorkspaceInfo]:
    """All that are not deleted."""
    found: list[WorkspaceInfo] = []
    last = 0
    while rows := await McpWorkspace.filter(id__gt=last).exclude(status=Status.DELETED).order_by("id").limit(BATCH):
        found += await complete(hub, rows)
        last = rows[-1].id
    return found


async def complete(hub: Hub, rows: Collection[McpWorkspace]) -> list[WorkspaceInfo]:
    """Rows with their servers, in their order; at most `BATCH`."""
    servers: dict[int, list[UpstreamInfo]] = {row.id: [] for row in rows}
    for upstream in await McpUpstream.filter(workspace_id__in=list(servers)) if servers else ():
        servers[upstream.workspace_id].append(upstream_info(hub, upstream))
    return [workspace_info(row, servers[row.id]) for row in rows]


async def versions(since: datetime | None = None) -> list[tuple[int, int, str]]:
    """(id, version, status) of all workspaces, or of those that changed since."""
    query = McpWorkspace.all() if since is None else McpWorkspace.filter(updated_at__gte=since)
    return [(int(i), int(v), str(s)) for i, v, s in await query.values_list("id", "version", "status")]


async def page(
    *, user_id: int | None, status: Status | None, offset: int, limit: int
) -> tuple[list[McpWorkspace], int]:
    """Workspaces by id, and how many there are in all. status None: all but deleted ones."""
    query: QuerySet[McpWorkspace] = McpWorkspace.all()
    query = query.exclude(status=Status.DELETED.value) if status is None else query.filter(status=status.value)
    if status is Status.DELETED:
        query = query.exclude(name_key__startswith=PURGING)
    if user_id is not None:
        query = query.filter(user_id=user_id)
    return await query.order_by("id").offset(offset).limit(limit), await query.count()


async def of_user(user_id: int, status: Status) -> list[int]:
    """The ids of a user's workspaces in that state."""
    return [row.id for row in await McpWorkspace.filter(user_id=user_id, status=status.value).order_by("id").only("id")]


async def owners() -> list[tuple[int, str]]:
    """(user id, status) of all workspaces that are not deleted, each once."""
    query = McpWorkspace.exclude(status=Status.DELETED.value).distinct()
    return [(int(user), str(status)) for user, status in await query.values_list("user_id", "status")]


# -- writing -----------------------------------------------------------------------------------------------------


async def change(id: int, /, values: Mapping[str, Any], *, status: Status, version: int | None = None) -> bool:
    """Write some fields and count the version up; False when it is not in that state (and version) any more."""
    query = McpWorkspace.filter(id=id, status=status.value)
    if version is not None:
        query = query.filter(version=version)
    return bool(await query.update(**values, version=F("version") + 1, updated_at=datetime.now(UTC)))


async def take_back(id: int, pid: str, **values: Any) -> bool:
    """Make a deleted one one that lives; False when it is being purged, or gone."""
    query = McpWorkspace.filter(id=id, status=Status.DELETED.value, name_key=key_of_deleted(pid))
    values |= {"deleted_at": None, "purge_after": None}
    return bool(await query.update(**values, version=F("version") + 1, updated_at=datetime.now(UTC)))


async def to_purge(now: datetime, server: str, abandoned: timedelta, limit: int) -> list[McpWorkspace]:
    """Those of a server whose time has come, the longest first; those of others when nobody did it for so long."""
    due = Q(server__in=(server, ""), purge_after__lte=now) | Q(purge_after__lte=now - abandoned)
    return await McpWorkspace.filter(due, status=Status.DELETED.value).order_by("purge_after", "id").limit(limit)


async def claim(row: McpWorkspace, until: datetime) -> bool:
    """Take one to purge it: nobody restores it any more, and no other server takes it until then."""
    query = McpWorkspace.filter(id=row.id, status=Status.DELETED.value, purge_after=row.purge_after)
    return bool(await query.update(name_key=key_of_deleted(row.pid, purging=True), purge_after=until))


async def put_off(id: int, until: datetime) -> None:
    """Purge it later."""
    await McpWorkspace.filter(id=id).update(purge_after=until)


async def forget(id: int) -> None:
    """Remove a workspace with its servers and calls. In a transaction."""
    await McpUpstream.filter(workspace_id=id).delete()
    await McpCall.filter(workspace_id=id).delete()
    await McpWorkspace.filter(id=id).delete()


def aware(at: datetime) -> datetime:
    """A stored time, which is in UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
