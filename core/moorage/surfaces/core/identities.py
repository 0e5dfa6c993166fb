"""One's own identities at providers: seen, linked, removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor
from moorage.accounts.oauth import IdentityInfo, Wishes
from moorage.context import current_actor
from moorage.dialects import CHROTE, PROBLEM
from moorage.errors import Forbidden, Unauthorized
from moorage.routes import AUTHENTICATED, LimitClass, Route, Routes
from moorage.surfaces.providers import base_url, with_flow
from moorage.web import json_response, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 16 * 1024


class IdentityShape(TypedDict):
    """An identity, times in ISO 8601 with milliseconds. label: what the provider is called, or its name if it went."""

    id: str
    provider: str
    label: str
    email: str | None
    created_at: str
    last_login_at: str | None


class ProviderShape(TypedDict):
    """A provider where one can log in."""

    name: str
    label: str


class IdentitiesAnswer(TypedDict):
    """GET /api/core/identities."""

    identities: list[IdentityShape]
    providers: list[ProviderShape]


class LinkBody(BaseModel):
    """POST /api/core/identities. next: a path here, where the browser goes once it is linked."""

    provider: str = Field(min_length=1, max_length=64)
    next: str | None = Field(None, max_length=2048)


class LinkAnswer(TypedDict):
    """Where the browser goes to prove the identity."""

    url: str


def routes(hub: Hub) -> list[Route]:
    """/api/core/identities."""
    found = Routes()
    oauth = hub.accounts.oauth

    @found.get("/api/core/identities", access=AUTHENTICATED, dialect=PROBLEM, answer=IdentitiesAnswer)
    async def identities() -> Response:
        """List one's own identities, and where others could be had."""
        providers = oauth.providers()
        labels = dict(providers)
        own = await oauth.identities(_user_id(_person()))
        return json_response(
            {
                "identities": [_shown(one, labels) for one in own],
                "providers": [{"name": name, "label": label} for name, label in providers],
            }
        )

    @found.post(
        "/api/core/identities",
        access=AUTHENTICATED,
        limit=LimitClass.AUTH,
        dialect=PROBLEM,
        max_body=MAX_BODY,
        body=LinkBody,
        answer=LinkAnswer,
    )
    async def link() -> Response:
        """Begin to link an identity: the browser proves it at the provider and comes back."""
        body = await read_json(LinkBody)
        begun = await oauth.begin(body.provider, base_url(), Wishes(body.next), link=_person())
        return with_flow(json_response({"url": begun.url}), begun.browser)

    @found.delete("/api/core/identities/{identity_id}", access=AUTHENTICATED, dialect=PROBLEM, status=204)
    async def unlink(identity_id: str) -> Response:
        """Remove an identity; 409 for the only way in."""
        person = _person()
        await oauth.unlink(_user_id(person), identity_id, by=person)
        return Response(b"", 204)

    return list(found)


def _person() -> Actor:
    """Who is signed in; a key, or a device's token, is no person who says how to be known."""
    actor = current_actor()
    if actor.credential is None or not actor.credential.of_login:
        raise Forbidden("Sign in with a browser to see and change identities", code="SESSION_REQUIRED")
    return actor


def _user_id(actor: Actor) -> int:
    if actor.user is None:
        raise Unauthorized
    return actor.user.id


def _shown(identity: IdentityInfo, labels: dict[str, str]) -> IdentityShape:
    seen = identity.last_login_at
    return {
        "id": identity.pid,
        "provider": identity.provider,
        "label": labels.get(identity.provider, identity.provider),
        "email": identity.email,
        "created_at": CHROTE.timestamp(identity.created_at),
        "last_login_at": CHROTE.timestamp(seen) if seen is not None else None,
    }
