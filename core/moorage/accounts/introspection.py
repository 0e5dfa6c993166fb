"""What a token is worth, for other servers that were shown one (RFC 7662). Looking is no use of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from moorage.access import Actor, Method
from moorage.accounts.keys import Keys
from moorage.accounts.models import ApiKey, Session
from moorage.accounts.secrets import KEY_PREFIX, MAX_TOKEN, SESSION_PREFIX
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import Shared
from moorage.accounts.tokens import JWT_PREFIX, Tokens


@dataclass(frozen=True, slots=True)
class Inspected:
    """A token that holds. scope: None = all of the user's rights; client_id: of a device login or a program.

    resource: the one URL at which a program's token is good.
    """

    actor: Actor
    issued_at: datetime
    scope: str | None
    client_id: str | None
    resource: str | None = None


class Introspection:
    """Looks at tokens of every kind, in the database and not in memory."""

    def __init__(self, shared: Shared, sessions: Sessions, keys: Keys, tokens: Tokens) -> None:
        self._shared = shared
        self._sessions = sessions
        self._keys = keys
        self._tokens = tokens

    async def inspect(self, token: str) -> Inspected | None:
        """Whom a token stands for; None for one that is unknown, malformed, over or of a disabled user."""
        if token.startswith(JWT_PREFIX):
            actor = await self._tokens.load(token, touch=False)
        elif len(token) > MAX_TOKEN:
            return None
        elif token.startswith(KEY_PREFIX):
            actor = await self._keys.load(token, touch=False)
        else:
            actor = await self._sessions.load(token, touch=False) if token.startswith(SESSION_PREFIX) else None
        if actor is None or actor.credential is None:
            return None
        credential = actor.credential
        if credential.method is Method.API_KEY:
            key = await ApiKey.get_or_none(id=credential.id)
            scope = None if credential.scopes is None else " ".join(sorted(credential.scopes))
            return None if key is None else Inspected(actor, key.created_at, scope, None)
        row = await Session.get_or_none(id=credential.id)
        if row is None:
            return None
        issued_at = row.created_at
        if credential.method is Method.JWT and (verified := await self._tokens.verified(token)) is not None:
            issued_at = datetime.fromtimestamp(verified[1]["iat"], UTC)
        return Inspected(actor, issued_at, row.scope, row.client_id, row.resource)

    async def refused(self) -> None:
        """Write down that somebody asked with a wrong secret."""
        await self._shared.record("introspect.failed", by=None)
