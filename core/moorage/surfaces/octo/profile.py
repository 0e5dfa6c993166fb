"""`/api/me`: Octo's profile, with what Orbital's clients read there beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor
from moorage.accounts.actors import UserDetails
from moorage.accounts.administration import MAX_SETTINGS, MAX_URL, Changes
from moorage.context import current_actor
from moorage.dialects import OCTO, ORBITAL
from moorage.errors import Unauthorized
from moorage.routes import AUTHENTICATED, Route, Routes
from moorage.surfaces.fields import told_as
from moorage.surfaces.orbital.shapes import OrbitalSession, OrbitalUser, shown_session, shown_user
from moorage.web import json_response, read_json

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_BODY = 128 * 1024


class ProfileShape(TypedDict):
    """One's own account as Octo's clients know it."""

    id: str
    username: str
    email: str | None
    name: str
    display_name: str
    avatar_url: str | None
    role: str
    is_active: bool
    settings: str | None
    created_at: str
    last_login_at: str | None


class MeAnswer(ProfileShape):
    """Octo's profile at the top; Orbital's clients read `user` and `session`."""

    user: OrbitalUser
    session: OrbitalSession


class ProfileBody(BaseModel):
    """PUT /api/me: what is left out stays as it is. settings: a text that clients keep for themselves."""

    display_name: str | None = Field(None, max_length=512)
    avatar_url: str | None = Field(None, max_length=MAX_URL)
    settings: str | None = Field(None, max_length=MAX_SETTINGS)

    def changes(self) -> Changes:
        """What the body asks for. A null empties a field, but for the name."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        name = given.pop("display_name", None)
        return Changes(**given) if name is None else Changes(name=name, **given)


def routes(hub: Hub) -> list[Route]:
    """GET and PUT /api/me."""
    found = Routes()
    accounts = hub.accounts

    async def details(actor: Actor) -> UserDetails:
        known = await accounts.users.details(actor.user.id) if actor.user is not None else None
        if known is None:
            raise Unauthorized
        return known

    @found.get("/api/me", access=AUTHENTICATED, dialect=ORBITAL, answer=MeAnswer)
    async def me() -> Response:
        """Show one's own account, whatever the credential."""
        actor = current_actor()
        known = await details(actor)
        row = await accounts.find_session(actor.credential.pid) if actor.credential is not None else None
        user, session = shown_user(known.user, known.updated_at), shown_session(actor, row)
        return json_response({**_profile(known), "user": user, "session": session})

    @found.put(
        "/api/me",
        access="core:user:update",
        dialect=OCTO,
        max_body=MAX_BODY,
        body=ProfileBody,
        answer=ProfileShape,
    )
    async def update() -> Response:
        """Change one's own name, avatar or settings."""
        body = await read_json(ProfileBody)
        actor = current_actor()
        if actor.user is None:
            raise Unauthorized
        with told_as(name="display_name"):
            await accounts.administration.change(actor.user.id, body.changes(), by=actor)
        return json_response(_profile(await details(actor)))

    return list(found)


def _profile(known: UserDetails) -> ProfileShape:
    user = known.user
    return {
        "id": user.pid,
        "username": user.username,
        "email": user.email,
        "name": user.name,
        "display_name": user.name,
        "avatar_url": user.avatar_url,
        "role": OCTO.role(user.role),
        "is_active": user.active,
        "settings": known.settings,
        "created_at": OCTO.timestamp(user.created_at),
        "last_login_at": OCTO.timestamp(known.last_login_at) if known.last_login_at is not None else None,
    }
