"""Octo's registration. Source: `api/octo.md`, Authentication; its program also sends `username` and `display_name`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from quart import Response

from moorage.accounts.invites import InviteRefused
from moorage.dialects import OCTO
from moorage.errors import BadRequest
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.common import LoginAnswer, client_info, logged_in, previous_session
from moorage.surfaces.fields import told_as
from moorage.web import read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024


class RegisterBody(BaseModel):
    """POST /api/auth/register. Without a username one is made of the e-mail address."""

    email: str = Field(min_length=1, max_length=320)
    password: str
    invite_code: str = Field(min_length=1, max_length=256)
    username: str | None = Field(None, max_length=320)
    display_name: str | None = Field(None, max_length=320)


def routes(hub: Hub) -> list[Route]:
    """POST /api/auth/register."""
    found = Routes()
    accounts = hub.accounts

    @found.post(
        "/api/auth/register",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=OCTO,
        max_body=MAX_BODY,
        body=RegisterBody,
        answer=LoginAnswer,
        status=201,
    )
    async def register() -> Response:
        """Register with an invite and sign in."""
        body = await read_json(RegisterBody)
        try:
            with told_as(name="display_name"):
                login = await accounts.registration.register(
                    body.invite_code,
                    username=body.username,
                    password=body.password,
                    email=body.email,
                    name=body.display_name,
                    client=client_info(),
                    previous=previous_session(),
                )
        except InviteRefused as refused:
            raise BadRequest(refused.message) from refused
        answer = await logged_in(accounts, login)
        answer.status_code = 201
        return answer

    return list(found)
