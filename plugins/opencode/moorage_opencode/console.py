"""What the console's first page and its search show of sessions."""

from __future__ import annotations

from moorage.api import Actor, Entry, Hub

from moorage_opencode.models import OpenCodeSession, aware
from moorage_opencode.rights import VIEW
from moorage_opencode.sessions import Sessions
from moorage_opencode.states import Status

KIND = "session"
SEARCHED = 1000
"""Sessions of a user that are looked through, the newest ones."""


class Console:
    """One's own sessions."""

    def __init__(self, hub: Hub, sessions: Sessions) -> None:
        self._hub, self._sessions = hub, sessions

    async def overview(self, actor: Actor, limit: int) -> list[Entry]:
        """The newest ones; none for who may not see any."""
        return [_entry(row) for row in await self._own(actor, limit)]

    async def search(self, actor: Actor, query: str, limit: int) -> list[Entry]:
        """By name, those that begin with it first, and by project."""
        wanted = query.casefold()
        rows = [
            row for row in await self._own(actor, SEARCHED) if wanted in f"{row.name}\n{row.workspace_path}".casefold()
        ]
        rows.sort(key=lambda row: not row.name.casefold().startswith(wanted))
        return [_entry(row) for row in rows[:limit]]

    async def _own(self, actor: Actor, limit: int) -> list[OpenCodeSession]:
        user = actor.user
        if user is None or not self._hub.access.can(actor, VIEW.name, owner_id=user.id):
            return []
        rows, _ = await self._sessions.page(user.id, offset=0, limit=limit)
        return rows


def _entry(row: OpenCodeSession) -> Entry:
    used = row.last_activity_at or row.created_at
    live = row.status == Status.RUNNING
    return Entry(KIND, row.name, f"/console/sessions/{row.pid}", row.workspace_path, aware(used), live)
