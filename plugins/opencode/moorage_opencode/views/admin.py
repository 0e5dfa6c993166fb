"""Everybody's sessions, for administrators. Source: `api/octo.md`, Admin Routes, and what its program answers there."""

from __future__ import annotations

from moorage.api import Hub, Permission, Route, Routes, current_actor, json_response, read_query
from quart import Response
from typing_extensions import TypedDict

from moorage_opencode.rights import CONTROL, DELETE, VIEW
from moorage_opencode.sessions import SPARE, Sessions
from moorage_opencode.states import Status
from moorage_opencode.views.reading import PageQuery
from moorage_opencode.views.sessions import shown
from moorage_opencode.views.shapes import SessionShape


class CountsAnswer(TypedDict):
    """GET /api/admin/stats."""

    total_users: int
    active_users: int
    total_sessions: int
    running_sessions: int


def routes(hub: Hub, sessions: Sessions) -> list[Route]:
    """`/api/admin/sessions` and `/api/admin/stats`."""
    table = Routes()
    timeout = sessions.config.start_timeout + 2 * SPARE

    def everybody(permission: Permission) -> None:
        # The routes let in who holds it for their own; an object that is nobody's needs it for everybody's.
        hub.access.require(current_actor(), permission.name)

    @table.get("/api/admin/sessions", access=VIEW.name, query=PageQuery, answer=list[SessionShape])
    async def list_sessions() -> Response:
        """List everybody's sessions, newest first."""
        query = read_query(PageQuery)
        everybody(VIEW)
        await hub.audit.note_read("opencode_session", actor=current_actor())
        rows, total = await sessions.page(None, offset=query.offset, limit=query.limit)
        return json_response(await shown(hub, sessions, rows), headers={"X-Total-Count": str(total)})

    @table.post("/api/admin/sessions/{session_id}/stop", access=CONTROL.name, timeout=timeout, status=204)
    async def stop(session_id: str) -> Response:
        """Stop anybody's session."""
        everybody(CONTROL)
        await sessions.stop(current_actor(), session_id)
        return Response(b"", 204)

    @table.delete("/api/admin/sessions/{session_id}", access=DELETE.name, timeout=timeout, status=204)
    async def delete(session_id: str) -> Response:
        """Delete anybody's session, also when what runs it cannot be reached."""
        everybody(DELETE)
        await sessions.delete(current_actor(), session_id, force=True)
        return Response(b"", 204)

    @table.get("/api/admin/stats", access=VIEW.name, answer=CountsAnswer)
    async def stats() -> Response:
        """Count users and sessions."""
        everybody(VIEW)
        users = hub.accounts.users
        counts = sessions.records.counts()
        answer: CountsAnswer = {
            "total_users": sum((await users.by_role()).values()),
            "active_users": sum((await users.by_role(active=True)).values()),
            "total_sessions": len(sessions.records),
            "running_sessions": counts[Status.RUNNING],
        }
        return json_response(answer)

    return list(table)
