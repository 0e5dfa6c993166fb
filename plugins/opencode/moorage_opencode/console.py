"""What the console's first page, its search and its list of what runs show of sessions."""

from __future__ import annotations

from moorage.api import Actor, Entry, Hub, NotFound, Running

from moorage_opencode.models import OpenCodeSession, aware
from moorage_opencode.rights import CONTROL, VIEW
from moorage_opencode.sessions import Sessions
from moorage_opencode.states import Status

KIND = "session"
RUNS = "coding session"
ENDING = "OpenCode and its terminals stop. The project and what was said stay, and the session can be resumed."
SEARCHED = 1000
"""Sessions of a user that are looked through, the newest ones."""


class Console:
    """One's own sessions; of everybody's, what runs."""

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

    async def running(self, actor: Actor, limit: int) -> list[Running]:
        """Everybody's; only those that the actor may see."""
        may = self._hub.access.can
        rows = [one for one in await self._sessions.active(limit) if may(actor, VIEW.name, owner_id=one.user_id)]
        return [
            Running(
                RUNS,
                row.pid,
                row.name,
                row.user_id,
                row.workspace_path,
                f"/console/sessions/{row.pid}",
                aware(row.created_at),
                row.status,
                ENDING if may(actor, CONTROL.name, owner_id=row.user_id) else "",
            )
            for row in rows
        ]

    async def end(self, actor: Actor, kind: str, id: str) -> None:
        """Stop a session."""
        if kind != RUNS:
            raise NotFound("There is no such session")
        await self._sessions.stop(actor, id)

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
