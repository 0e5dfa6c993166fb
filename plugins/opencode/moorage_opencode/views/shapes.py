"""A session as answers show it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from moorage.api import OCTO
from typing_extensions import TypedDict

from moorage_opencode.models import OpenCodeSession, aware
from moorage_opencode.records import Entry
from moorage_opencode.states import Status

MODES = {"process": "local", "docker": "container"}
"""What the contract's program calls the runtimes."""


class UrlsShape(TypedDict):
    """Where a session's parts are, below `/api`. Source: `api/octo.md`'s program, which leaves that out."""

    opencode: str
    fileserver: str
    terminal: str


class SessionShape(TypedDict):
    """A session.

    project_path and workspace_path are the same. container_id: null until it was started; in the runtime `process` a
    process id. fileserver_port, ttyd_port and what follows: null, since those parts are in the server itself.
    runtime: "process", "docker" …; runtime_mode: how the contract's program calls it. error_message: why it failed.
    """

    id: str
    name: str
    status: str
    created_at: str
    project_path: str
    container_id: str | None
    container_name: str
    user_id: str | None
    workspace_path: str
    agent: str | None
    image: str | None
    image_digest: str | None
    opencode_port: int | None
    fileserver_port: int | None
    ttyd_port: int | None
    eavs_port: int | None
    agent_base_port: int | None
    max_agents: int | None
    eavs_key_id: str | None
    eavs_key_hash: str | None
    mmry_port: int | None
    runtime: str
    runtime_mode: str
    started_at: str | None
    stopped_at: str | None
    last_activity_at: str | None
    error_message: str | None
    urls: UrlsShape


def session_shape(row: OpenCodeSession, entry: Entry | None, owners: Mapping[int, str]) -> SessionShape:
    """A row as the contract has it. entry: what memory knows of it. owners: the ids of users, by number."""
    return {
        "id": row.pid,
        "name": row.name,
        "status": row.status,
        "created_at": OCTO.timestamp(aware(row.created_at)),
        "project_path": row.workspace_path,
        "container_id": row.unit,
        "container_name": row.workload,
        "user_id": owners.get(row.user_id),
        "workspace_path": row.workspace_path,
        "agent": row.agent,
        "image": row.image,
        "image_digest": row.image_digest,
        "opencode_port": row.port if row.status in (Status.STARTING, Status.RUNNING) else None,
        "fileserver_port": None,
        "ttyd_port": None,
        "eavs_port": None,
        "agent_base_port": None,
        "max_agents": None,
        "eavs_key_id": None,
        "eavs_key_hash": None,
        "mmry_port": None,
        "runtime": row.runtime,
        "runtime_mode": MODES.get(row.runtime, row.runtime),
        "started_at": _time(row.started_at),
        "stopped_at": _time(row.stopped_at),
        "last_activity_at": _time(entry.used_at if entry is not None else row.last_activity_at),
        "error_message": row.error_message,
        "urls": {
            "opencode": f"/session/{row.pid}/code",
            "fileserver": f"/session/{row.pid}/files",
            "terminal": f"/session/{row.pid}/term",
        },
    }


def _time(at: datetime | None) -> str | None:
    return OCTO.timestamp(aware(at)) if at is not None else None
