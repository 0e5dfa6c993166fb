"""CHROTE's account API. Source: `api/chrote.md`, Auth Endpoints; `/auth/me` and `/auth/logout` serve chat's too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Response
from typing_extensions import TypedDict

from moorage.access import UserInfo
from moorage.context import current_actor
from moorage.dialects import CHAT, CHROTE
from moorage.errors import Unauthorized
from moorage.routes import AUTHENTICATED, PUBLIC, Route, Routes
from moorage.surfaces.common import LOGGED_OUT, LogoutAnswer, without_session
from moorage.web import json_response

if TYPE_CHECKING:
    from moorage.hub import Hub


class ChatUser(TypedDict):
    """A user as chat's clients know one: integer id, and one of two roles."""

    id: int
    username: str
    display_name: str
    role: str
    status: str
    created_at: str


class MeAnswer(TypedDict):
    """GET /auth/me: CHROTE's fields at the top, chat's under `user`; ids and roles are of different kinds."""

    id: str
    name: str
    email: str | None
    avatarUrl: str | None
    role: str
    createdAt: str
    user: ChatUser


class PageUser(TypedDict):
    """The user as CHROTE's page reads it."""

    id: str
    email: str | None
    name: str
    avatar_url: str | None
    role: str


class MaybeMeAnswer(TypedDict):
    """GET /api/auth/me: null for nobody."""

    user: PageUser | None


def routes(hub: Hub) -> list[Route]:
    """GET /auth/me, GET /api/auth/me, POST /auth/logout. (POST /api/auth/logout is in `octo`.)"""
    found = Routes()
    accounts = hub.accounts

    @found.get("/auth/me", access=AUTHENTICATED, dialect=CHROTE, answer=MeAnswer)
    async def me() -> Response:
        """Say who is signed in; the session's CSRF token is in the header X-CSRF-Token."""
        actor = current_actor()
        if actor.user is None:
            raise Unauthorized
        # Chat's page picks its CSRF token up from this header after a reload.
        csrf = actor.credential.csrf if actor.credential else None
        return json_response(_profile(actor.user), headers={"X-CSRF-Token": csrf} if csrf else None)

    @found.get("/api/auth/me", access=PUBLIC, dialect=CHROTE, answer=MaybeMeAnswer)
    async def maybe_me() -> Response:
        """Say who is signed in, or null."""
        user = current_actor().user
        return json_response({"user": None if user is None else _snake(user)})

    @found.post("/auth/logout", access=PUBLIC, dialect=CHROTE, max_body=16 * 1024, answer=LogoutAnswer)
    async def logout() -> Response:
        """End the session in use, and take its cookies away."""
        await accounts.logout(current_actor())
        return without_session(json_response(LOGGED_OUT), accounts)

    return list(found)


def _profile(user: UserInfo) -> MeAnswer:
    return {
        "id": user.pid,
        "name": user.name,
        "email": user.email,
        "avatarUrl": user.avatar_url,
        "role": CHROTE.role(user.role),
        "createdAt": CHROTE.timestamp(user.created_at),
        "user": {
            "id": user.id,
            "username": user.username,
            "display_name": user.name,
            "role": CHAT.role(user.role),
            "status": "active",
            "created_at": CHAT.timestamp(user.created_at),
        },
    }


def _snake(user: UserInfo) -> PageUser:
    return {
        "id": user.pid,
        "email": user.email,
        "name": user.name,
        "avatar_url": user.avatar_url,
        "role": CHROTE.role(user.role),
    }
