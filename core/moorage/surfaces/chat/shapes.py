"""How chat's clients see users and logins. Source: `api/chat.md`; ids are integers, times have no zone."""

from __future__ import annotations

from datetime import datetime

from quart import Response
from typing_extensions import TypedDict

from moorage.access import UserInfo
from moorage.accounts import Accounts, Login
from moorage.dialects import CHAT
from moorage.surfaces.common import with_session
from moorage.web import json_response


class UserShape(TypedDict):
    """A user. last_login: null where it is not known or there was none."""

    id: int
    username: str
    display_name: str
    role: str
    status: str
    created_at: str
    last_login: str | None


class LoginAnswer(TypedDict):
    """A login. csrf_token: what unsafe requests show as X-CSRF-Token."""

    user: UserShape
    csrf_token: str


def shown_user(user: UserInfo, last_login: datetime | None = None) -> UserShape:
    """A user as chat's clients know one."""
    return {
        "id": user.id,
        "username": user.username,
        "display_name": user.name,
        "role": CHAT.role(user.role),
        "status": "active" if user.active else "inactive",
        "created_at": CHAT.timestamp(user.created_at),
        "last_login": CHAT.timestamp(last_login) if last_login is not None else None,
    }


def chat_logged_in(accounts: Accounts, login: Login) -> Response:
    """The answer to a login: chat's body, the CSRF token as a header too, and the cookie."""
    user = login.actor.user
    assert user is not None
    body: LoginAnswer = {"user": shown_user(user), "csrf_token": login.csrf}
    return with_session(json_response(body, headers={"X-CSRF-Token": login.csrf}), accounts, login)
