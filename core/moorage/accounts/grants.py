"""Grants of devices and of programs at resources: a bearer session, its access token, refresh tokens used once each.

The session is the family of its tokens. A refresh token that comes back after it was used was stolen, or its owner's
was: whichever of the two is asking, the session ends. That holds for two requests at once with the same token, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from moorage.access import Actor
from moorage.accounts.actors import BEARER
from moorage.accounts.models import RefreshToken, Session, User
from moorage.accounts.scopes import words
from moorage.accounts.secrets import MAX_TOKEN, REFRESH_PREFIX, digest, new_refresh_token, new_session_token
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import ClientInfo, Shared
from moorage.accounts.touches import BATCH
from moorage.errors import BadRequest

KEPT_TOKENS = 100
"""Refresh tokens that are remembered of one session; older ones are unknown when they come back."""


class GrantRefused(BadRequest):
    """A refusal in OAuth's own words. Source: RFC 6749, 5.2; RFC 8628, 3.5."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message, code=code)


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens as they are told to their client, once. `expires_in` is the access token's, in seconds.

    refresh_token: None for a client that does not want to be let in for longer.
    """

    actor: Actor
    access_token: str
    refresh_token: str | None
    expires_in: int
    scope: str

    def __repr__(self) -> str:
        return f"Grant({self.actor.label})"


@dataclass(frozen=True, slots=True)
class Terms:
    """What an authorization adds to a grant. renewable: with refresh tokens."""

    client_name: str
    resource: str
    renewable: bool


class Grants:
    """The rows of `core_refresh_tokens`, and the tokens of bearer sessions."""

    def __init__(self, shared: Shared, sessions: Sessions) -> None:
        self._shared = shared
        self._sessions = sessions

    async def open(
        self, user: User, client: ClientInfo, client_id: str, scope: str, terms: Terms | None = None
    ) -> Grant:
        """A new session for a device, or with `terms` for a program at a resource.

        Inside a transaction, with the user's row locked.
        """
        login = await self._sessions.create(user, client, kind=BEARER)
        credential = login.actor.credential
        assert credential is not None
        row = await Session.get(id=credential.id)
        row.client_id, row.scope = client_id, scope
        if terms is not None:
            row.client_name, row.resource = terms.client_name, terms.resource
        row.token_expires_at = self._token_end(row)
        renewable = terms is None or terms.renewable
        if not renewable:
            row.expires_at = row.token_expires_at
        await row.save(
            update_fields=["client_id", "scope", "client_name", "resource", "token_expires_at", "expires_at"]
        )
        return await self._told(row, user, login.token, renewable)

    async def resource_of(self, token: str) -> str | None:
        """The resource to which a refresh token's login is bound; None for a device's, and for an unknown one."""
        known = await _find(token)
        return None if known is None else known.session.resource

    async def refresh(self, token: str, client_id: str, scope: str | None, *, bound: bool = False) -> Grant:
        """Fresh tokens for a refresh token: the access token and the refresh token before them hold no more.

        scope: words of the granted one, or None; what is granted stays as it is. bound: of a login at a resource,
        whose client has proved who it is; such a token is no good elsewhere. GrantRefused.
        """
        known = await _find(token)
        if known is None or (known.session.resource is not None) is not bound:
            raise GrantRefused("invalid_grant", "Invalid refresh token")
        async with self._shared.db.transaction():
            # The session first, as everything that ends sessions takes it.
            row = await Session.filter(id=known.session_id).select_for_update().first()
            answer = await self._refreshed(row, known.id, client_id, scope)
        if isinstance(answer, GrantRefused):
            raise answer
        return answer

    async def revoke(self, token: str, client_id: str | None) -> None:
        """End the session of an access or a refresh token; unknown ones are fine. Source: RFC 7009.

        GrantRefused when it was given to another client.
        """
        known = await _find(token)
        session = (
            await Session.filter(token_hash=digest(token), kind=BEARER).first() if known is None else known.session
        )
        if session is None:
            return
        if client_id is not None and session.client_id != client_id:
            raise GrantRefused("invalid_grant", "The token was given to another client")
        async with self._shared.db.transaction():
            if await self._sessions.end(session.id, "revoked by its client"):
                data = {"client_id": session.client_id, "user_id": session.user_id}
                await self._shared.record("session.revoked", by=None, target=f"session:{session.id}", data=data)

    async def sweep(self) -> None:
        """Delete the rows of refresh tokens that ended; they go with their sessions otherwise."""
        await RefreshToken.filter(expires_at__lt=self._shared.now()).delete()

    async def _refreshed(
        self, row: Session | None, token_id: int, client_id: str, scope: str | None
    ) -> Grant | GrantRefused:
        """Inside the transaction. A refusal is returned: what it brings about must be committed."""
        user = None if row is None else await User.get_or_none(id=row.user_id)
        token = await RefreshToken.get_or_none(id=token_id)
        if row is None or user is None or token is None or not self._sessions.lives(row, user):
            return GrantRefused("invalid_grant", "The login has ended")
        if row.client_id != client_id:
            return GrantRefused("invalid_grant", "The token was given to another client")
        if token.used_at is not None:
            await self._sessions.end(row.id, "refresh token reused")
            data = {"client_id": row.client_id, "user_id": row.user_id}
            await self._shared.record("token.reuse_detected", by=None, target=f"session:{row.id}", data=data)
            return GrantRefused("invalid_grant", "The refresh token was used before; the login has ended")
        if not set(words(scope or "")) <= set(words(row.scope or "")):
            return GrantRefused("invalid_scope", "The scope goes beyond what was granted")
        return await self._rotated(row, user, token)

    async def _rotated(self, row: Session, user: User, token: RefreshToken) -> Grant:
        now = self._shared.now()
        token.used_at = now
        await token.save(update_fields=["used_at"])
        fresh = new_session_token()
        row.token_hash, row.token_expires_at, row.last_seen_at = digest(fresh), self._token_end(row), now
        await row.save(update_fields=["token_hash", "token_expires_at", "last_seen_at"])
        old = RefreshToken.filter(session_id=row.id).order_by("-id").offset(KEPT_TOKENS - 1).limit(BATCH)
        if ids := [one.id for one in await old]:
            await RefreshToken.filter(id__in=ids).delete()
        # The session itself goes on, and with it what is open under it; only the old token must not be believed.
        self._shared.db.after_commit(self._shared.cache.clear)
        return await self._told(row, user, fresh, True)

    async def _told(self, row: Session, user: User, access_token: str, renewable: bool) -> Grant:
        now = self._shared.now()
        refresh_token = new_refresh_token() if renewable else None
        if refresh_token is not None:
            await RefreshToken.create(
                token_hash=digest(refresh_token), session_id=row.id, created_at=now, expires_at=row.expires_at
            )
        ends: datetime = row.token_expires_at or row.expires_at
        row.user = user
        seconds = round((ends - now).total_seconds())
        return Grant(self._sessions.actor(row), access_token, refresh_token, seconds, row.scope or "")

    def _token_end(self, row: Session) -> datetime:
        settings = self._shared.settings
        seconds = settings.device.token_seconds if row.resource is None else settings.oauth.token_seconds
        return min(self._shared.now() + timedelta(seconds=seconds), row.expires_at)


async def _find(token: str) -> RefreshToken | None:
    if not token.startswith(REFRESH_PREFIX) or len(token) > MAX_TOKEN:
        return None
    return await RefreshToken.filter(token_hash=digest(token)).select_related("session").first()
