"""Octo's account API. Source: `api/octo.md`, Authentication; logout answers CHROTE's and chat's clients as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, Field, model_validator
from quart import Response
from typing_extensions import TypedDict

from moorage.context import current_actor
from moorage.dialects import OCTO
from moorage.errors import Unauthorized
from moorage.routes import AUTHENTICATED, PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.common import (
    LOGGED_OUT,
    LoginAnswer,
    LogoutAnswer,
    OctoUserShape,
    client_info,
    logged_in,
    octo_user,
    previous_session,
    without_session,
)
from moorage.web import json_response, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024


class LoginBody(BaseModel):
    """POST /api/auth/login: an e-mail address or a username (either field takes both), and the password."""

    email: str | None = Field(None, max_length=320)
    username: str | None = Field(None, max_length=320)
    password: str

    @model_validator(mode="after")
    def _some_name(self) -> Self:
        if not self.login:
            raise ValueError("email or username is required")
        return self

    @property
    def login(self) -> str:
        """The name to log in with."""
        return self.email or self.username or ""


class CheckAnswer(TypedDict):
    """GET /api/auth/check."""

    authenticated: bool
    user: OctoUserShape


def routes(hub: Hub) -> list[Route]:
    """POST /api/auth/login, POST /api/auth/logout, GET /api/auth/check."""
    found = Routes()
    accounts = hub.accounts

    @found.post(
        "/api/auth/login",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=OCTO,
        max_body=MAX_BODY,
        body=LoginBody,
        answer=LoginAnswer,
    )
    async def login() -> Response:
        """Log in by an e-mail address or a username and the password; sets the cookies of a new session."""
        body = await read_json(LoginBody)
        done = await accounts.login(body.login, body.password, client_info(), previous=previous_session())
        return await logged_in(accounts, done)

    @found.post("/api/auth/logout", access=PUBLIC, dialect=OCTO, max_body=MAX_BODY, answer=LogoutAnswer)
    async def logout() -> Response:
        """End the session in use, and take its cookies away."""
        await accounts.logout(current_actor())
        return without_session(json_response(LOGGED_OUT), accounts)

    @found.get("/api/auth/check", access=AUTHENTICATED, dialect=OCTO, answer=CheckAnswer)
    async def check() -> Response:
        """Say who is signed in."""
        user = current_actor().user
        if user is None:
            raise Unauthorized
        return json_response({"authenticated": True, "user": octo_user(user)})

    return list(found)
