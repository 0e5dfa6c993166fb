"""Who asks: the user, how they proved it, and what their credential may do."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class Method(enum.StrEnum):
    """How an actor proved who they are."""

    ANONYMOUS = "anonymous"
    SESSION = "session"
    BEARER = "bearer"
    JWT = "jwt"
    API_KEY = "api_key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class UserInfo:
    """A user as everybody below the accounts sees them: no secrets, replaced when the row changes."""

    id: int
    pid: str
    username: str
    name: str
    email: str | None
    role: str
    avatar_url: str | None
    active: bool
    created_at: datetime


OF_SESSIONS = frozenset({Method.SESSION, Method.BEARER, Method.JWT})
"""Methods whose credential is a session, or stands for one."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What was shown: kind, row id (`session:12`, `api_key:3`), its scopes (None = all of the owner's rights).

    A session's token, in a cookie or as a header, and the JWTs that stand for it have the session's id.
    csrf: the token that a cookie session must show on unsafe requests; None where no browser is behind it.
    kid: the key that signed a JWT; with it the JWT ends, whatever becomes of the session.
    resource: the one URL at which it is worth anything (RFC 8707); None, it is good everywhere.
    """

    method: Method
    id: int
    pid: str
    scopes: frozenset[str] | None = None
    csrf: str | None = None
    expires_at: datetime | None = None
    kid: str | None = None
    resource: str | None = None

    @property
    def of_session(self) -> bool:
        """Whether it holds and ends with a session."""
        return self.method in OF_SESSIONS

    @property
    def of_login(self) -> bool:
        """Whether a person logged in with it and nothing was taken from their rights: no key, no device's token."""
        return self.of_session and self.method is not Method.BEARER and self.scopes is None


@dataclass(frozen=True, slots=True)
class Actor:
    """One authenticated party, or ANONYMOUS. Immutable: a change of role makes a new one."""

    user: UserInfo | None = None
    credential: Credential | None = None

    @property
    def authenticated(self) -> bool:
        """True unless anonymous."""
        return self.user is not None

    @property
    def method(self) -> Method:
        """How they proved it."""
        return self.credential.method if self.credential else Method.ANONYMOUS

    @property
    def label(self) -> str:
        """A short name for logs and audit, without secrets."""
        if self.user is None:
            return "anonymous"
        return self.user.pid


ANONYMOUS = Actor()
