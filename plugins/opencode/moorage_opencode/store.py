"""Sessions in the database: every query of the plugin."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from moorage.api import NotFound

from moorage_opencode.models import OpenCodeSession
from moorage_opencode.states import ACTIVE, Status

NEWEST = ("-created_at", "-id")


async def everything(server: str) -> list[OpenCodeSession]:
    """All rows of one server, oldest first: several may share the database."""
    return await OpenCodeSession.filter(server=server).order_by("id")


async def get(pid: str) -> OpenCodeSession:
    """One row. NotFound."""
    row = await OpenCodeSession.get_or_none(pid=pid)
    if row is None:
        raise NotFound("Session not found")
    return row


async def page(server: str, user_id: int | None, *, offset: int, limit: int) -> tuple[list[OpenCodeSession], int]:
    """Rows of a user (None: of everybody), newest first, and how many there are in all."""
    chosen = OpenCodeSession.filter(server=server)
    if user_id is not None:
        chosen = chosen.filter(user_id=user_id)
    return await chosen.order_by(*NEWEST).offset(offset).limit(limit), await chosen.count()


async def active_of(server: str, user_id: int) -> list[OpenCodeSession]:
    """A user's sessions that run or are about to, newest first."""
    wanted = [status.value for status in ACTIVE]
    return await OpenCodeSession.filter(server=server, user_id=user_id, status__in=wanted).order_by(*NEWEST)


async def active(server: str, limit: int) -> list[OpenCodeSession]:
    """Everybody's sessions that run, are about to or are just ending, newest first."""
    wanted = [status.value for status in (*ACTIVE, Status.STOPPING)]
    return await OpenCodeSession.filter(server=server, status__in=wanted).order_by(*NEWEST).limit(limit)


async def in_project(server: str, user_id: int, path: str) -> list[OpenCodeSession]:
    """A user's sessions with one project, newest first."""
    return await OpenCodeSession.filter(server=server, user_id=user_id, workspace_path=path).order_by(*NEWEST)


async def save(row: OpenCodeSession, **changes: Any) -> None:
    """Write some fields, here and in the database. NotFound when the row is gone."""
    if not await OpenCodeSession.filter(id=row.id).update(**changes):
        raise NotFound("Session not found")
    for name, value in changes.items():
        setattr(row, name, value)


async def delete(row: OpenCodeSession) -> None:
    """Remove a row; harmless when it is gone."""
    await OpenCodeSession.filter(id=row.id).delete()


async def write_used(used: Iterable[tuple[str, datetime]]) -> None:
    """When each was last used."""
    for pid, at in used:
        await OpenCodeSession.filter(pid=pid).update(last_activity_at=at)
