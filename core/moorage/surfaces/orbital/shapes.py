"""How Orbital's and better-auth's clients are shown a user and a session."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import TypedDict

from moorage.access import Actor, UserInfo
from moorage.accounts.actors import SessionInfo
from moorage.dialects import ORBITAL
from moorage.errors import Unauthorized


class OrbitalUser(TypedDict):
    """better-auth's user. Nothing here proves an address, so `emailVerified` is always false."""

    id: str
    name: str
    email: str | None
    image: str | None
    emailVerified: bool
    createdAt: str
    updatedAt: str


class OrbitalSession(TypedDict):
    """better-auth's session. `token` is null: a secret is told once, where it is made, and never read back.

    `expiresAt` is null for an API key that does not end.
    """

    id: str
    userId: str
    expiresAt: str | None
    createdAt: str
    updatedAt: str
    ipAddress: str
    userAgent: str
    token: None


def shown_user(user: UserInfo, updated_at: datetime | None = None) -> OrbitalUser:
    """The user; `updated_at` (of the row, where the caller has it) stands in for by when the user was made."""
    return {
        "id": user.pid,
        "name": user.name,
        "email": user.email,
        "image": user.avatar_url,
        "emailVerified": False,
        "createdAt": ORBITAL.timestamp(user.created_at),
        "updatedAt": ORBITAL.timestamp(updated_at or user.created_at),
    }


def shown_session(actor: Actor, row: SessionInfo | None = None) -> OrbitalSession:
    """The session of an actor; `row` (`Accounts.find_session(actor.credential.pid)`) says where and when it began.

    An actor with an API key is shown that as its session. Unauthorized for nobody.
    """
    user, credential = actor.user, actor.credential
    if user is None or credential is None:
        raise Unauthorized
    ends = credential.expires_at
    return {
        "id": credential.pid,
        "userId": user.pid,
        "expiresAt": None if ends is None else ORBITAL.timestamp(ends),
        "createdAt": ORBITAL.timestamp(user.created_at if row is None else row.created_at),
        "updatedAt": ORBITAL.timestamp(user.created_at if row is None else row.last_seen_at),
        "ipAddress": "" if row is None else row.address,
        "userAgent": "" if row is None else row.user_agent,
        "token": None,
    }
