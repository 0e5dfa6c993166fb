"""Chat's registration, which its document leaves out and its program has: an invite, a name and a password."""

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


class RegisterBody(BaseModel):
    """POST /auth/register."""

    invite_code: str = Field(min_length=1, max_length=256)
    username: str = Field(min_length=1, max_length=320)
    password: str


def routes(hub: Hub) -> list[Route]:
    """POST /auth/register."""
    found = Routes()
    accounts = hub.accounts

    @found.post(
        "/auth/register",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=CHAT,
        max_body=MAX_BODY,
        body=RegisterBody,
        answer=LoginAnswer,
    )
    async def register() -> Response:
        """Register with an invite and sign in (400 INVALID_INVITE, 409 USERNAME_EXISTS)."""
        body = await read_json(RegisterBody)
        login = await accounts.registration.register(
            body.invite_code,
            username=body.username,
            password=body.password,
            email=None,
            name=None,
            client=client_info(),
            previous=previous_session(),
        )
        return chat_logged_in(accounts, login)

    return list(found)
