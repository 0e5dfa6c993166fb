"""Workspaces and their upstreams as all parts of the plugin see them: frozen, replaced when a row changes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class Status(enum.StrEnum):
    """How a workspace is. Source: `api/octoprox.md`, Workspaces."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    """Its owner was deactivated: nobody uses it, nothing of it is lost."""
    DELETED = "deleted"
    """Purged after a while, with its folder."""


class Kind(enum.StrEnum):
    """How an upstream is reached."""

    PROVIDED = "provided"
    """The files and the git repository of the workspace: `moorage_mcp.provided`, over stdio."""
    STDIO = "stdio"
    HTTP = "http"
    """Streamable HTTP, of either era."""
    SSE = "sse"
    """HTTP with SSE, as of 2024-11-05."""


@dataclass(frozen=True, slots=True)
class ToolRules:
    """Which tools are there, by their names as clients see them; patterns with `*`. deny goes before allow.

    allow: empty allows all.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamInfo:
    """An MCP server of a workspace.

    name: unique in the workspace, `[a-z0-9][a-z0-9_-]{0,31}`. prefix: stands before the names of its tools and prompts;
    "" for at most one upstream of a workspace. command: of stdio. env: of stdio; sealed ones are in `secrets`.
    url: of http and sse. headers: sent to it, secret. fixed: arguments that the gateway fills in for every tool that
    has them and that clients do not see, by name. annotations: by tool, put over what the server says.
    era: None: found out. fault: why it cannot be used although it is enabled; "": nothing is wrong with it.
    version: counted up with every change, so that what is connected can be told from what is wanted.
    """

    id: int
    pid: str
    workspace_id: int
    name: str
    kind: Kind
    enabled: bool = True
    fault: str = ""
    position: int = 0
    prefix: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    tools: ToolRules = ToolRules()
    annotations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    era: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceInfo:
    """A workspace. folder_name: of its folder below the plugin's, and of its workload. upstreams: in their order.

    metadata: what clients keep with it. key_tools: rules besides `tools`, by the id of the API key that calls.
    call_limits: calls per minute, by tool's pattern. server: `hub.server_id()` of the server that has its folder, of
    those that share the database; "": any.
    """

    id: int
    pid: str
    name: str
    user_id: int
    user_pid: str
    status: Status
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    purge_after: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    nexusgate_service_id: str | None = None
    runtime: str = "process"
    server: str = ""
    tools: ToolRules = ToolRules()
    key_tools: Mapping[int, ToolRules] = field(default_factory=dict)
    call_limits: Mapping[str, int] = field(default_factory=dict)
    upstreams: tuple[UpstreamInfo, ...] = ()
    version: int = 1
