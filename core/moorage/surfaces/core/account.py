"""One's own sessions and password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor
from moorage.accounts.actors import SessionInfo
from moorage.context import current_actor
from moorage.dialects import CHROTE, PROBLEM
from moorage.errors import NotFound, Unauthorized
from moorage.routes import LimitClass, Route, Routes
from moorage.surfaces.common import LoginAnswer, client_info, logged_in
from moorage.web import json_response, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024


class SessionShape(TypedDict):
    """A session, times in ISO 8601 with milliseconds.

    client_id, scope: of a device login, or of a program that was let in; client_name, resource: of the latter, which is
    worth something at that URL only.
    """

    id: str
    kind: str
    client_id: str | None
    client_name: str | None
    resource: str | None
    scope: str | None
    address: str
    user_agent: str
    created_at: str
    last_seen_at: str
    expires_at: str
    current: bool


class SessionsAnswer(TypedDict):
    """GET /api/core/sessions."""

    sessions: list[SessionShape]


class RevokeAllBody(BaseModel):
    """POST /api/core/sessions/revoke-all."""

    keep_current: bool = Field(True, strict=True)


class EndedAnswer(TypedDict):
    """POST /api/core/sessions/revoke-all."""

    ended: int


class PasswordBody(BaseModel):
    """POST /api/core/password. current_password is left out where there is none yet."""

    current_password: str | None = Field(None, max_length=2048)
    new_password: str = Field(max_length=2048)


def routes(hub: Hub) -> list[Route]:
    """/api/core/sessions and /api/core/password."""
    found = Routes()
    accounts, access = hub.accounts, hub.access

    @found.get("/api/core/sessions", access="core:session:read", dialect=PROBLEM, answer=SessionsAnswer)
    async def sessions() -> Response:
        """List one's own open sessions, the last used first."""
        actor = current_actor()
        own = await accounts.list_sessions(_user_id(actor))
        return json_response({"sessions": [_shown(one, actor) for one in own]})

    @found.delete("/api/core/sessions/{session_id}", access="core:session:delete", dialect=PROBLEM, status=204)
    async def end_session(session_id: str) -> Response:
        """End a session; what it holds open closes at once."""
        actor = current_actor()
        session = await accounts.find_session(session_id)
        if session is None or not access.can(actor, "core:session:delete", owner_id=session.user_id):
            raise NotFound("There is no such session")
        await accounts.revoke_session(session.id, by=actor)
        return Response(b"", 204)

    @found.post(
        "/api/core/sessions/revoke-all",
        access="core:session:delete",
        dialect=PROBLEM,
        max_body=MAX_BODY,
        body=RevokeAllBody,
        answer=EndedAnswer,
    )
    async def end_sessions() -> Response:
        """End all of one's own sessions, or all but the one in use."""
        body = await read_json(RevokeAllBody)
        actor = current_actor()
        credential = actor.credential
        keep = credential.id if body.keep_current and credential is not None and credential.of_session else None
        return json_response({"ended": await accounts.revoke_all(_user_id(actor), keep=keep, by=actor)})

    @found.post(
        "/api/core/password",
        access="core:user:update",
        limit=LimitClass.AUTH,
        dialect=PROBLEM,
        max_body=MAX_BODY,
        body=PasswordBody,
        answer=LoginAnswer,
    )
    async def change_password() -> Response:
        """Change one's own password: every session ends, and a fresh one begins for the caller."""
        body = await read_json(PasswordBody)
        done = await accounts.change_password(current_actor(), body.current_password, body.new_password, client_info())
        return await logged_in(accounts, done)

    return list(found)


def _user_id(actor: Actor) -> int:
    if actor.user is None:
        raise Unauthorized
    return actor.user.id


def _shown(session: SessionInfo, actor: Actor) -> SessionShape:
    credential = actor.credential
    return {
        "id": session.pid,
        "kind": session.kind,
        "client_id": session.client_id,
        "client_name": session.client_name,
        "resource": session.resource,
        "scope": session.scope,
        "address": session.address,
        "user_agent": session.user_agent,
        "created_at": CHROTE.timestamp(session.created_at),
        "last_seen_at": CHROTE.timestamp(session.last_seen_at),
        "expires_at": CHROTE.timestamp(session.expires_at),
        "current": credential is not None and credential.of_session and credential.id == session.id,
    }
