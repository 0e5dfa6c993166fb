"""Our own account API: the first owner, and a page's way to its CSRF token. Errors as problem details."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.context import current_actor
from moorage.dialects import PROBLEM
from moorage.routes import AUTHENTICATED, PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.common import LoginAnswer, client_info, logged_in
from moorage.web import json_response, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024


class SetupBody(BaseModel):
    """POST /api/auth/setup."""

    token: str = Field(max_length=256)
    username: str
    password: str
    email: str | None = None


class CsrfAnswer(TypedDict):
    """GET /api/auth/csrf: null for a credential that needs none, because no browser sends it on its own."""

    csrf_token: str | None


def routes(hub: Hub) -> list[Route]:
    """POST /api/auth/setup, GET /api/auth/csrf."""
    found = Routes()
    accounts = hub.accounts

    @found.post(
        "/api/auth/setup",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=PROBLEM,
        max_body=MAX_BODY,
        body=SetupBody,
        answer=LoginAnswer,
    )
    async def setup() -> Response:
        """Make the first owner with the token that the server printed, and log them in."""
        body = await read_json(SetupBody)
        login = await accounts.redeem_setup(body.token, body.username, body.password, client_info(), email=body.email)
        return await logged_in(accounts, login)

    @found.get("/api/auth/csrf", access=AUTHENTICATED, dialect=PROBLEM, answer=CsrfAnswer)
    async def csrf() -> Response:
        """Give the CSRF token of the session in use."""
        credential = current_actor().credential
        return json_response({"csrf_token": credential.csrf if credential else None})

    return list(found)
