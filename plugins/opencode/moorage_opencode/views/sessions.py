"""A user's own sessions. Source: `api/octo.md`, Sessions, and what its program reads and answers there."""

from __future__ import annotations

from moorage.api import Hub, Route, Routes, current_actor, json_response, read_json, read_query
from quart import Response, request
from typing_extensions import TypedDict

from moorage_opencode.digests import Update
from moorage_opencode.models import OpenCodeSession
from moorage_opencode.rights import CONTROL, CREATE, DELETE, VIEW
from moorage_opencode.sessions import SPARE, Sessions
from moorage_opencode.views.reading import LogsQuery, PageQuery, SessionBody, WorkspaceBody
from moorage_opencode.views.shapes import SessionShape, session_shape

MAX_BODY = 256 * 1024


class UpdateShape(TypedDict):
    """Whether a session would be made from something newer. new_digest: of that, null when there is nothing."""

    session_id: str
    update_available: bool
    new_digest: str | None


class FiguresShape(TypedDict):
    """What a session uses. cpu_percent: of one core, since the figures before."""

    cpu_percent: float
    memory_bytes: int
    memory_limit: int | None
    processes: int
    net_in_bytes: int | None
    net_out_bytes: int | None
    block_in_bytes: int | None
    block_out_bytes: int | None


class StatsAnswer(TypedDict):
    """GET /api/sessions/{session_id}/stats. stats: null when it does not run."""

    session_id: str
    stats: FiguresShape | None


def routes(hub: Hub, sessions: Sessions) -> list[Route]:
    """`/api/sessions` and below."""
    return [*_lists(hub, sessions), *_making(hub, sessions), *_one(hub, sessions), *_control(hub, sessions)]


async def shown(hub: Hub, sessions: Sessions, rows: list[OpenCodeSession]) -> list[SessionShape]:
    """Rows as answers show them."""
    owners: dict[int, str] = {}
    actor = current_actor()
    for user_id in {row.user_id for row in rows}:
        if actor.user is not None and actor.user.id == user_id:
            owners[user_id] = actor.user.pid
        elif (user := await hub.accounts.get_user(user_id)) is not None:
            owners[user_id] = user.pid
    return [session_shape(row, sessions.records.get(row.pid), owners) for row in rows]


def _user_id() -> int:
    user = current_actor().user
    assert user is not None  # The routes ask for a permission.
    return user.id


def _lists(hub: Hub, sessions: Sessions) -> Routes:
    table = Routes()

    @table.get("/api/sessions", access=VIEW.name, query=PageQuery, answer=list[SessionShape])
    async def list_sessions() -> Response:
        """List one's sessions, newest first."""
        query = read_query(PageQuery)
        rows, total = await sessions.page(_user_id(), offset=query.offset, limit=query.limit)
        return json_response(await shown(hub, sessions, rows), headers={"X-Total-Count": str(total)})

    @table.get("/api/sessions/updates", access=VIEW.name, answer=list[UpdateShape])
    async def list_updates() -> Response:
        """List those of one's sessions that run and could be upgraded."""
        return json_response([_update(one) for one in await sessions.updates(_user_id())])

    return table


def _making(hub: Hub, sessions: Sessions) -> Routes:
    table = Routes()
    # A start and, before it, the stop of an idle session to make room.
    timeout = sessions.config.start_timeout + 2 * SPARE

    async def answer(row: OpenCodeSession, status: int) -> Response:
        return json_response((await shown(hub, sessions, [row]))[0], status)

    @table.post(
        "/api/sessions",
        access=CREATE.name,
        body=SessionBody,
        max_body=MAX_BODY,
        timeout=timeout,
        answer=SessionShape,
        status=201,
        answers={202: SessionShape},
    )
    async def create() -> Response:
        """Make a session for a project and start it; answered when it runs, or with 202 at once.

        The latter with `Prefer: respond-async` (RFC 7240).
        """
        wish = (await read_json(SessionBody)).wish()
        wait = "respond-async" not in [part.strip().lower() for part in request.headers.get("Prefer", "").split(",")]
        row = await sessions.create(current_actor(), wish, wait=wait)
        return await answer(row, 201 if wait else 202)

    @table.post(
        "/api/sessions/get-or-create",
        access=CREATE.name,
        body=SessionBody,
        max_body=MAX_BODY,
        timeout=timeout,
        answer=SessionShape,
    )
    async def get_or_create() -> Response:
        """Find one's session for a project, resumed if it was stopped, or make one."""
        return await answer(await sessions.get_or_create(current_actor(), (await read_json(SessionBody)).wish()), 200)

    @table.post(
        "/api/sessions/get-or-create-for-workspace",
        access=CREATE.name,
        body=WorkspaceBody,
        max_body=MAX_BODY,
        timeout=timeout,
        answer=SessionShape,
    )
    async def get_or_create_for_workspace() -> Response:
        """Find one's session for a project by its path alone, or make one."""
        wish = SessionBody(workspace_path=(await read_json(WorkspaceBody)).workspace_path).wish()
        return await answer(await sessions.get_or_create(current_actor(), wish), 200)

    return table


def _one(hub: Hub, sessions: Sessions) -> Routes:
    table = Routes()

    @table.get("/api/sessions/{session_id}", access=VIEW.name, answer=SessionShape)
    async def get(session_id: str) -> Response:
        """Show a session."""
        row = await sessions.row(current_actor(), session_id, VIEW)
        return json_response((await shown(hub, sessions, [row]))[0])

    @table.get("/api/sessions/{session_id}/update", access=VIEW.name, answer=UpdateShape)
    async def update(session_id: str) -> Response:
        """Say whether a session could be upgraded."""
        return json_response(_update(await sessions.update(current_actor(), session_id)))

    @table.get(
        "/api/sessions/{session_id}/logs", access=VIEW.name, query=LogsQuery, answer=str, media_type="text/plain"
    )
    async def logs(session_id: str) -> Response:
        """Give the newest lines of what the session's OpenCode wrote."""
        text = await sessions.logs(current_actor(), session_id, read_query(LogsQuery).lines)
        return Response(text, content_type="text/plain; charset=utf-8")

    @table.get("/api/sessions/{session_id}/stats", access=VIEW.name, answer=StatsAnswer)
    async def stats(session_id: str) -> Response:
        """Say what a session uses of the machine."""
        found = await sessions.stats(current_actor(), session_id)
        figures: FiguresShape | None = None
        if found is not None:
            figures = {
                "cpu_percent": found.cpu_percent,
                "memory_bytes": found.memory_bytes,
                "memory_limit": found.memory_limit,
                "processes": found.processes,
                "net_in_bytes": found.net_in_bytes,
                "net_out_bytes": found.net_out_bytes,
                "block_in_bytes": found.block_in_bytes,
                "block_out_bytes": found.block_out_bytes,
            }
        answer: StatsAnswer = {"session_id": session_id, "stats": figures}
        return json_response(answer)

    return table


def _control(hub: Hub, sessions: Sessions) -> Routes:
    table = Routes()
    timeout = sessions.config.start_timeout + 2 * SPARE

    @table.post("/api/sessions/{session_id}/stop", access=CONTROL.name, timeout=timeout, status=204)
    async def stop(session_id: str) -> Response:
        """Stop a session; its files and OpenCode's own are kept."""
        await sessions.stop(current_actor(), session_id)
        return Response(b"", 204)

    @table.post("/api/sessions/{session_id}/resume", access=CONTROL.name, timeout=timeout, answer=SessionShape)
    async def resume(session_id: str) -> Response:
        """Start a session again that was stopped or has failed."""
        row = await sessions.resume(current_actor(), session_id)
        return json_response((await shown(hub, sessions, [row]))[0])

    @table.post("/api/sessions/{session_id}/upgrade", access=CONTROL.name, timeout=timeout, answer=SessionShape)
    async def upgrade(session_id: str) -> Response:
        """Make a session anew from the newest image or program; its status says whether it started."""
        row = await sessions.upgrade(current_actor(), session_id)
        return json_response((await shown(hub, sessions, [row]))[0])

    @table.post("/api/sessions/{session_id}/activity", access=CONTROL.name, status=204)
    async def activity(session_id: str) -> Response:
        """Say that a session is being used, so that it is not stopped for being idle."""
        sessions.touch(sessions.live(current_actor(), session_id, CONTROL))
        return Response(b"", 204)

    @table.delete("/api/sessions/{session_id}", access=DELETE.name, timeout=timeout, status=204)
    async def delete(session_id: str) -> Response:
        """Delete a session, stopping it first; the project's files stay."""
        await sessions.delete(current_actor(), session_id)
        return Response(b"", 204)

    return table


def _update(one: Update) -> UpdateShape:
    return {"session_id": one.pid, "update_available": one.digest is not None, "new_digest": one.digest}
