"""How Orbital's and better-auth's clients see users and sessions. Source: `api/orbital.md`, recorded answers."""

from __future__ import annotations

from typing_extensions import TypedDict

from moorage.access import Actor, UserInfo
from moorage.dialects import ORBITAL


class UserShape(TypedDict):
    """A user."""

    id: str
    name: str
    email: str | None
    image: str | None
    createdAt: str


class SessionShape(TypedDict):
    """A session, without its token."""

    id: str
    expiresAt: str | None


def shown_user(user: UserInfo) -> UserShape:
    """A user as Orbital's clients know one."""
    return {
        "id": user.pid,
        "name": user.name,
        "email": user.email,
        "image": user.avatar_url,
        "createdAt": ORBITAL.timestamp(user.created_at),
    }


def shown_session(actor: Actor) -> SessionShape | None:
    """The session behind the credential in use; None for nobody and for an API key."""
    credential = actor.credential
    if credential is None or not credential.of_session:
        return None
    ends = credential.expires_at
    return {"id": credential.pid, "expiresAt": ORBITAL.timestamp(ends) if ends is not None else None}
