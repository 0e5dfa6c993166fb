"""Everybody's logins over HTTP: who is on, from where, and what they hold open."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor, UserInfo
from moorage.accounts.actors import SessionInfo
from moorage.context import current_actor
from moorage.dialects import CHROTE
from moorage.errors import NotFound
from moorage.hub import Hub
from moorage.routes import Route, Routes
from moorage.web import json_response, read_query

READ = "core:session:read"


class LoginRow(TypedDict):
    """A login. times in ISO 8601 with milliseconds. connections: its open sockets and streams here, by plugin.

    client_name: of a program that was let in, or of a device. current: it is the one that asks.
    """

    id: str
    user: str
    user_id: str
    role: str
    kind: str
    client_name: str | None
    address: str
    user_agent: str
    created_at: str
    last_seen_at: str
    expires_at: str
    connections: dict[str, int]
    current: bool


class LoginsAnswer(TypedDict):
    """GET /api/core/admin/sessions: the last used first."""

    sessions: list[LoginRow]
    total: int
    offset: int
    limit: int


class LoginsQuery(BaseModel):
    """user: a name; without it everybody's."""

    user: str | None = Field(None, max_length=255)
    offset: int = Field(0, ge=0, le=1_000_000)
    limit: int = Field(50, ge=1, le=200)


def routes(hub: Hub) -> list[Route]:
    """`/api/core/admin/sessions`. One is ended by `DELETE /api/core/sessions/{session_id}`."""
    table = Routes()

    @table.get("/api/core/admin/sessions", access=READ, query=LoginsQuery, answer=LoginsAnswer)
    async def logins() -> Response:
        """List everybody's logins, the last used first. Needs core:session:read:any."""
        actor = current_actor()
        hub.access.require(actor, READ)
        query = read_query(LoginsQuery)
        user = await hub.accounts.find_user(query.user) if query.user else None
        if query.user and user is None:
            raise NotFound("There is no such user")
        found, total = await hub.accounts.latest_sessions(
            user.id if user is not None else None, offset=query.offset, limit=query.limit
        )
        await hub.audit.note_read("session", actor=actor)
        answer: LoginsAnswer = {
            "sessions": [_row(hub, session, owner, actor) for session, owner in found],
            "total": total,
            "offset": query.offset,
            "limit": query.limit,
        }
        return json_response(answer)

    return list(table)


def _row(hub: Hub, session: SessionInfo, owner: UserInfo, actor: Actor) -> LoginRow:
    credential = actor.credential
    return {
        "id": session.pid,
        "user": owner.username,
        "user_id": owner.pid,
        "role": owner.role,
        "kind": session.kind,
        "client_name": session.client_name or session.client_id,
        "address": session.address,
        "user_agent": session.user_agent,
        "created_at": CHROTE.timestamp(session.created_at),
        "last_seen_at": CHROTE.timestamp(session.last_seen_at),
        "expires_at": CHROTE.timestamp(session.expires_at),
        "connections": dict(Counter(one.plugin for one in hub.sockets.of_credential("session", session.id))),
        "current": credential is not None and credential.of_session and credential.id == session.id,
    }
