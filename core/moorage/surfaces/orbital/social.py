"""Login at a provider as better-auth's client begins it. Source: `facts`, POST /api/auth/sign-in/social."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.accounts.oauth import Wishes
from moorage.dialects import ORBITAL
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.surfaces.providers import base_url, with_flow
from moorage.web import json_response, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024


class SocialBody(BaseModel):
    """POST /api/auth/sign-in/social. URLs: paths here, or at a trusted origin; others count as not said."""

    provider: str = Field(min_length=1, max_length=64)
    callbackURL: str | None = Field(None, max_length=2048)
    errorCallbackURL: str | None = Field(None, max_length=2048)
    newUserCallbackURL: str | None = Field(None, max_length=2048)
    disableRedirect: bool | None = Field(None, strict=True)


class SocialAnswer(TypedDict):
    """Where the client sends the browser, unless it asked not to (`redirect`)."""

    url: str
    redirect: bool


def routes(hub: Hub) -> list[Route]:
    """POST /api/auth/sign-in/social."""
    found = Routes()
    oauth = hub.accounts.oauth

    @found.post(
        "/api/auth/sign-in/social",
        access=PUBLIC,
        limit=LimitClass.AUTH,
        dialect=ORBITAL,
        max_body=MAX_BODY,
        body=SocialBody,
        answer=SocialAnswer,
    )
    async def social() -> Response:
        """Begin a login at a provider."""
        body = await read_json(SocialBody)
        wishes = Wishes(body.callbackURL, body.newUserCallbackURL, body.errorCallbackURL)
        begun = await oauth.begin(body.provider, base_url(), wishes)
        return with_flow(json_response({"url": begun.url, "redirect": not body.disableRedirect}), begun.browser)

    return list(found)
