"""Login at GitHub, Google or another issuer. Source: `api/chrote.md`, Auth Endpoints.

A login that fails is a redirect to the page with `?error=CODE`, as CHROTE's page reads it. Better-auth's callback is
the same view; its other half is in `orbital.social`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.accounts.oauth import ProviderDown, Wishes
from moorage.dialects import CHROTE
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.common import client_info, previous_session, with_session
from moorage.surfaces.providers import base_url, flow_cookie, redirect, with_flow
from moorage.web import json_response, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub


class BeginQuery(BaseModel):
    """GET /auth/{provider}. invite: for who has no account yet. next: a path here."""

    invite: str | None = Field(None, max_length=256)
    next: str | None = Field(None, max_length=2048)


class CallbackQuery(BaseModel):
    """What a provider sends the browser back with. Source: RFC 6749, 4.1.2; RFC 9207."""

    code: str | None = Field(None, max_length=4096)
    state: str | None = Field(None, max_length=4096)
    error: str | None = Field(None, max_length=4096)
    iss: str | None = Field(None, max_length=4096)


class StatusAnswer(TypedDict):
    """GET /api/auth/status: github and google always, others that are configured."""

    providers: dict[str, bool]


def routes(hub: Hub) -> list[Route]:
    """/auth/{provider}, its callback, the same under /api, and GET /api/auth/status."""
    found = Routes()
    oauth = hub.accounts.oauth
    accounts = hub.accounts

    @found.get("/api/auth/status", access=PUBLIC, dialect=CHROTE, answer=StatusAnswer)
    async def status() -> Response:
        """Say where people can log in."""
        there = {name: True for name, _ in oauth.providers()}
        return json_response({"providers": {"github": False, "google": False, **there}})

    async def begin(provider: str) -> Response:
        """Send the browser to the provider."""
        query = read_query(BeginQuery)
        try:
            begun = await oauth.begin(provider, base_url(), Wishes(query.next), invite=query.invite)
        except ProviderDown:
            return redirect("/?error=oauth_failed")
        return with_flow(redirect(begun.url), begun.browser)

    async def callback(provider: str) -> Response:
        """Log in whoever comes back from the provider, and send the browser on."""
        query = read_query(CallbackQuery)
        answer = query.model_dump(exclude_none=True)
        done = await oauth.finish(provider, answer, flow_cookie(), client_info(), previous=previous_session())
        response = redirect(done.location)
        if done.login is not None:
            with_session(response, accounts, done.login)
        # Another login may be under way in this browser: who comes with a wrong state takes nothing from it.
        return response if done.error is not None else with_flow(response, None)

    for prefix in ("/auth", "/api/auth"):
        found.http(
            "GET",
            f"{prefix}/{{provider}}",
            access=PUBLIC,
            limit=LimitClass.AUTH,
            dialect=CHROTE,
            query=BeginQuery,
            status=302,
        )(begin)
    for path in ("/auth/{provider}/callback", "/api/auth/{provider}/callback", "/api/auth/callback/{provider}"):
        found.http("GET", path, access=PUBLIC, limit=LimitClass.AUTH, dialect=CHROTE, query=CallbackQuery, status=302)(
            callback
        )
    return list(found)
