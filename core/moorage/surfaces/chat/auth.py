"""Chat's login. Source: `api/chat.md`, Authentication. (/auth/me and /auth/logout are in `chrote.auth`, for both.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from quart import Response

from moorage.dialects import CHAT
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.chat.shapes import LoginAnswer, chat_logged_in
from moorage.surfaces.common import client_info, previous_session
from moorage.web import read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024


class LoginBody(BaseModel):
    """POST /auth/login: a username (or an e-mail address) and the password."""

    username: str = Field(min_length=1, max_length=320)
    password: str


def routes(hub: Hub) -> list[Route]:
    """POST /auth/login."""
    found = Routes()
    accounts = hub.accounts

    @found.post(
        "/auth/login",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=CHAT,
        max_body=MAX_BODY,
        body=LoginBody,
        answer=LoginAnswer,
    )
    async def login() -> Response:
        """Sign in: the session is in the cookie, its CSRF token in the answer."""
        body = await read_json(LoginBody)
        done = await accounts.login(body.username, body.password, client_info(), previous=previous_session())
        return chat_logged_in(accounts, done)

    return list(found)
