"""From rows to what everybody else sees: users without secrets, and actors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from moorage.access import Actor, Credential, Method, UserInfo
from moorage.accounts.models import ApiKey, Session, User
from moorage.accounts.scopes import restriction

COOKIE, BEARER = "cookie", "bearer"
"""Kinds of sessions: one that a browser may keep in its cookie, and one that is only ever shown as a header."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """An API key as its owner sees it. `prefix` is the public part; scopes None = all of the owner's rights."""

    id: int
    pid: str
    user_id: int
    name: str
    prefix: str
    scopes: tuple[str, ...] | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class UserDetails:
    """A user as an administrator's list shows one. last_seen_at: of any session that is still on record."""

    user: UserInfo
    updated_at: datetime
    last_login_at: datetime | None
    last_seen_at: datetime | None
    settings: str | None
    nexusgate_user_id: str | None
    has_password: bool


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as its user sees it, without its token.

    client_id: of a device login or of a program that was let in. client_name, resource: of the latter.
    """

    id: int
    pid: str
    user_id: int
    kind: str
    client_id: str | None
    client_name: str | None
    resource: str | None
    scope: str | None
    address: str
    user_agent: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime


def user_details(row: User, last_seen_at: datetime | None) -> UserDetails:
    """The row with what other tables say of it."""
    return UserDetails(
        user=user_info(row),
        updated_at=row.updated_at,
        last_login_at=row.last_login_at,
        last_seen_at=last_seen_at,
        settings=row.settings,
        nexusgate_user_id=row.nexusgate_user_id,
        has_password=row.password_hash is not None,
    )


def user_info(row: User) -> UserInfo:
    """The user without secrets."""
    return UserInfo(
        id=row.id,
        pid=row.pid,
        username=row.username,
        name=row.name,
        email=row.email,
        role=row.role,
        avatar_url=row.avatar_url,
        active=row.active,
        created_at=row.created_at,
    )


def session_method(kind: str) -> Method:
    """How an actor with a session of this kind proved who they are."""
    return Method.SESSION if kind == COOKIE else Method.BEARER


def session_actor(row: Session, user: User, csrf: str | None) -> Actor:
    """The actor of a session that holds. `csrf` None where no browser is behind it."""
    method, scopes = session_method(row.kind), restriction(row.scope)
    if row.resource is not None:
        # What was granted and nothing else: there is no such thing as an empty scope that means everything.
        scopes = scopes or frozenset()
    ends = row.expires_at if row.token_expires_at is None else min(row.expires_at, row.token_expires_at)
    return Actor(user_info(user), Credential(method, row.id, row.pid, scopes, csrf, ends, None, row.resource))


def key_actor(row: ApiKey, user: User) -> Actor:
    """The actor of an API key that holds."""
    scopes = None if row.scopes is None else frozenset(row.scopes)
    return Actor(user_info(user), Credential(Method.API_KEY, row.id, row.pid, scopes, None, row.expires_at))


def key_info(row: ApiKey, last_used_at: datetime | None) -> KeyInfo:
    """The key without its digest."""
    return KeyInfo(
        id=row.id,
        pid=row.pid,
        user_id=row.user_id,
        name=row.name,
        prefix=row.prefix,
        scopes=None if row.scopes is None else tuple(row.scopes),
        created_at=row.created_at,
        last_used_at=last_used_at,
        expires_at=row.expires_at,
    )
