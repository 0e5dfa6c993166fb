"""CHROTE's account API. Source: `api/chrote.md`, Auth Endpoints; `/auth/me` and `/auth/logout` serve chat's too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quart import Response

from moorage.access import UserInfo
from moorage.context import current_actor
from moorage.dialects import CHAT, CHROTE
from moorage.errors import Unauthorized
from moorage.routes import AUTHENTICATED, PUBLIC, Route, Routes
from moorage.surfaces.common import LOGGED_OUT, without_session
from moorage.web import json_response

if TYPE_CHECKING:
    from moorage.hub import Hub


def routes(hub: Hub) -> list[Route]:
    """GET /auth/me, GET /api/auth/me, POST /auth/logout. (POST /api/auth/logout is in `octo`.)"""
    found = Routes()
    accounts = hub.accounts

    @found.get("/auth/me", access=AUTHENTICATED, dialect=CHROTE)
    async def me() -> Response:
        actor = current_actor()
        if actor.user is None:
            raise Unauthorized
        # Chat's page picks its CSRF token up from this header after a reload.
        csrf = actor.credential.csrf if actor.credential else None
        return json_response(_profile(actor.user), headers={"X-CSRF-Token": csrf} if csrf else None)

    @found.get("/api/auth/me", access=PUBLIC, dialect=CHROTE)
    async def maybe_me() -> Response:
        user = current_actor().user
        return json_response({"user": None if user is None else _snake(user)})

    @found.post("/auth/logout", access=PUBLIC, dialect=CHROTE, max_body=16 * 1024)
    async def logout() -> Response:
        await accounts.logout(current_actor())
        return without_session(json_response(LOGGED_OUT), accounts)

    return list(found)


def _profile(user: UserInfo) -> dict[str, Any]:
    """CHROTE's fields at the top, chat's under `user`: ids and roles are of different kinds."""
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


def _snake(user: UserInfo) -> dict[str, Any]:
    return {
        "id": user.pid,
        "email": user.email,
        "name": user.name,
        "avatar_url": user.avatar_url,
        "role": CHROTE.role(user.role),
    }
