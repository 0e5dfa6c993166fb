"""Workspaces, their servers and calls as answers show them. Source: `api/octoprox.md`, Workspaces; the rest is ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, NotRequired

from moorage.api import OCTOPROX, Actor, RequestInfo
from typing_extensions import TypedDict

from moorage_mcp.checks import KEPT
from moorage_mcp.links.health import UpstreamState
from moorage_mcp.models import McpCall
from moorage_mcp.records import ToolRules, UpstreamInfo, WorkspaceInfo
from moorage_mcp.store import aware
from moorage_mcp.views.reading import PageQuery

Figures = tuple[str | None, str | None]
StateOf = Callable[[UpstreamInfo], UpstreamState | None]


class Meta(TypedDict):
    """Where a page stands in its list."""

    page: int
    per_page: int
    total: int
    total_pages: int


class RulesShape(TypedDict):
    """Which tools there are: patterns. deny goes before allow; no allow allows all."""

    allow: list[str]
    deny: list[str]


class UpstreamShape(TypedDict):
    """A server of a workspace. secrets, headers: the names, and "***" for each value.

    state: "idle", "starting", "up", "failing"; null where that is not known. error: why it cannot be used. speaks: the
    version of MCP, and server: what it calls itself, as last found out.
    """

    id: int
    pid: str
    name: str
    kind: str
    enabled: bool
    position: int
    prefix: str
    command: list[str]
    env: dict[str, str]
    secrets: dict[str, str]
    url: str
    headers: dict[str, str]
    fixed: dict[str, Any]
    tools: RulesShape
    annotations: dict[str, dict[str, Any]]
    era: str | None
    version: int
    state: str | None
    error: str | None
    speaks: str | None
    server: str | None


class WorkspaceShape(TypedDict):
    """A workspace. pid: its other name in addresses. container_id, container_status: null while nothing of it runs.

    deleted_at, purge_after: when it was deleted, and from when it cannot be restored.
    """

    id: int
    pid: str
    name: str
    user_id: int
    status: str
    endpoint_url: str
    created_at: str
    updated_at: str
    metadata: dict[str, Any]
    nexusgate_service_id: str | None
    container_id: str | None
    container_status: str | None
    deleted_at: str | None
    purge_after: str | None


class WorkspaceDetails(WorkspaceShape):
    """One workspace with all that is set."""

    tool_rules: RulesShape
    key_tool_rules: dict[str, RulesShape]
    call_limits: dict[str, int]
    runtime: str
    upstreams: list[UpstreamShape]


class WorkspaceWithTools(WorkspaceDetails):
    """The same once its servers were asked. tools: what can be used now. tools_error: why they are not known, if so."""

    tools: NotRequired[list[dict[str, Any]]]
    tools_error: NotRequired[str | None]


class CallShape(TypedDict):
    """A call. tool: a tool's or prompt's name, or a resource's address. arguments: as `keep_arguments` has it.

    outcome: "ok", "tool_error", "error", "denied", "timeout", "cancelled", "input_required".
    """

    id: int
    at: str
    user_id: int
    credential: str
    method: str
    tool: str | None
    upstream: str | None
    client: str | None
    arguments: Any
    outcome: str
    error: str | None
    duration_ms: float
    request_id: str | None


class WorkspaceAnswer(TypedDict):
    """One workspace."""

    data: WorkspaceShape


class DetailsAnswer(TypedDict):
    """One workspace with all."""

    data: WorkspaceDetails


class WithToolsAnswer(TypedDict):
    """One workspace with all, and its tools unless they were not wanted."""

    data: WorkspaceWithTools


class WorkspacesData(TypedDict):
    """The workspaces of a page."""

    workspaces: list[WorkspaceShape]


class WorkspacesAnswer(TypedDict):
    """A page of workspaces."""

    data: WorkspacesData
    meta: Meta


class UpstreamAnswer(TypedDict):
    """One server."""

    data: UpstreamShape


class UpstreamsData(TypedDict):
    """The servers of a workspace."""

    upstreams: list[UpstreamShape]


class UpstreamsAnswer(TypedDict):
    """All servers of a workspace, in their order."""

    data: UpstreamsData


class CallsData(TypedDict):
    """The calls of a page."""

    calls: list[CallShape]


class CallsAnswer(TypedDict):
    """A page of calls, newest first."""

    data: CallsData
    meta: Meta


def meta(query: PageQuery, total: int) -> Meta:
    """The paging of an answer; `total` is the length of the whole list."""
    return {
        "page": query.page,
        "per_page": query.per_page,
        "total": total,
        "total_pages": -(-total // query.per_page),
    }


def endpoint_url(info: WorkspaceInfo, actor: Actor, request: RequestInfo) -> str:
    """Where the actor's MCP clients connect: names are of one's own, another's workspace has its public id."""
    own = actor.user is not None and actor.user.id == info.user_id
    return f"{request.base_url}{request.prefix}/ws/{info.name if own else info.pid}/mcp"


def workspace_shape(info: WorkspaceInfo, url: str, figures: Figures) -> WorkspaceShape:
    """A workspace as lists have it."""
    return {
        "id": info.id,
        "pid": info.pid,
        "name": info.name,
        "user_id": info.user_id,
        "status": info.status.value,
        "endpoint_url": url,
        "created_at": OCTOPROX.timestamp(info.created_at),
        "updated_at": OCTOPROX.timestamp(info.updated_at),
        "metadata": dict(info.metadata),
        "nexusgate_service_id": info.nexusgate_service_id,
        "container_id": figures[0],
        "container_status": figures[1],
        "deleted_at": _time(info.deleted_at),
        "purge_after": _time(info.purge_after),
    }


def workspace_details(shape: WorkspaceShape, info: WorkspaceInfo, state_of: StateOf) -> WorkspaceDetails:
    """The same with all that is set; not with its tools, for which its servers would have to be asked."""
    return {
        **shape,
        "tool_rules": _rules(info.tools),
        "key_tool_rules": {str(key): _rules(kept) for key, kept in info.key_tools.items()},
        "call_limits": dict(info.call_limits),
        "runtime": info.runtime,
        "upstreams": [upstream_shape(one, state_of(one)) for one in info.upstreams],
    }


def upstream_shape(info: UpstreamInfo, state: UpstreamState | None = None) -> UpstreamShape:
    """A server, without its secrets. state: how it is."""
    return {
        "id": info.id,
        "pid": info.pid,
        "name": info.name,
        "kind": info.kind.value,
        "enabled": info.enabled,
        "position": info.position,
        "prefix": info.prefix,
        "command": list(info.command),
        "env": dict(info.env),
        "secrets": dict.fromkeys(info.secrets, KEPT),
        "url": info.url,
        "headers": dict.fromkeys(info.headers, KEPT),
        "fixed": dict(info.fixed),
        "tools": _rules(info.tools),
        "annotations": {name: dict(kept) for name, kept in info.annotations.items()},
        "era": info.era,
        "version": info.version,
        "state": state.state.value if state is not None else None,
        "error": info.fault or (state.error if state is not None else None) or None,
        "speaks": state.version if state is not None else None,
        "server": state.server if state is not None else None,
    }


def call_shape(row: McpCall) -> CallShape:
    """A call. Arguments that were kept are JSON again."""
    kept: Any = row.arguments
    if kept is not None and not kept.startswith("sha256:"):
        kept = json.loads(kept)
    return {
        "id": row.id,
        "at": OCTOPROX.timestamp(aware(row.at)),
        "user_id": row.user_id,
        "credential": row.credential,
        "method": row.method,
        "tool": row.tool,
        "upstream": row.upstream,
        "client": row.client,
        "arguments": kept,
        "outcome": row.outcome,
        "error": row.error,
        "duration_ms": row.duration_ms,
        "request_id": row.request_id,
    }


def _rules(rules: ToolRules) -> RulesShape:
    return {"allow": list(rules.allow), "deny": list(rules.deny)}


def _time(at: datetime | None) -> str | None:
    return OCTOPROX.timestamp(at) if at is not None else None
