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


@dataclass(frozen=True, slots=True)
class Credential:
    """What was shown: kind, row id (`session:12`, `api_key:3`), its scopes (None = all of the owner's rights).

    csrf: the token that a cookie session must show on unsafe requests; None where no browser is behind it.
    """

    method: Method
    id: int
    pid: str
    scopes: frozenset[str] | None = None
    csrf: str | None = None
    expires_at: datetime | None = None


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
