"""Letting programs in at resources: a request is shown, decided about, and a code changed for tokens."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from moorage.access import Actor
from moorage.accounts.authorization.clients import Client, Clients, Registered
from moorage.accounts.authorization.requests import OFFLINE, Asked, Find, check
from moorage.accounts.devices import Devices, decider
from moorage.accounts.grants import Grant, GrantRefused, Grants, Terms
from moorage.accounts.models import OAuthCode, Session, User
from moorage.accounts.secrets import CODE_PREFIX, MAX_TOKEN, digest, new_code
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import ClientInfo, Shared
from moorage.errors import NotFound

APPROVE = "core:client:approve"
CODE_SECONDS = 60
REMEMBER = timedelta(days=1)
"""How long a code is known after its end, to see one that comes back."""
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class Authorization:
    """Requests, the rows of `core_oauth_codes`, and the tokens of logins at resources."""

    def __init__(self, shared: Shared, sessions: Sessions, grants: Grants, devices: Devices) -> None:
        self._shared = shared
        self._sessions, self._grants, self._devices = sessions, grants, devices
        self.clients = Clients(shared)

    @property
    def enabled(self) -> bool:
        """Whether programs can be let in at all."""
        return self._shared.settings.oauth.enabled

    async def check(self, pairs: Sequence[tuple[str, str]], find: Find, issuer: str) -> Asked:
        """A request, from the parameters of its query. NotFound, PageRefused, AnswerRefused."""
        self._check_enabled()
        return await check(pairs, self.clients, find, issuer)

    async def register(self, data: Mapping[str, Any], info: ClientInfo) -> Registered:
        """See `Clients.register`. NotFound when that is off."""
        self._check_enabled()
        if not self._shared.settings.oauth.register_clients:
            raise NotFound("Programs cannot register themselves here: ask the operator for a client id")
        return await self.clients.register(data, info)

    def may_decide(self, actor: Actor, asked: Asked) -> tuple[str, ...]:
        """Which of the scopes would be granted: those that the actor has a right to. Unauthorized, Forbidden."""
        decider(actor)
        self._shared.access.require(actor, APPROVE)
        return tuple(scope for scope in asked.scope if self._shared.access.holds(actor, scope))

    async def approve(self, asked: Asked, actor: Actor) -> str:
        """Let the program in as the actor. Where the browser goes with the code.

        The gate has refused what another site may have caused. Unauthorized, Forbidden, AnswerRefused.
        """
        user, granted = decider(actor), self.may_decide(actor, asked)
        if not granted:
            raise asked.refuse("access_denied", "The user has none of the rights that were asked for")
        assert actor.credential is not None
        code, now = new_code(), self._shared.now()
        scope = " ".join((*granted, OFFLINE) if asked.offline else granted)
        async with self._shared.db.transaction():
            await OAuthCode.create(
                code_hash=digest(code),
                client_id=asked.client.id,
                client_name=asked.client.name[:128],
                redirect_uri=asked.redirect_uri,
                challenge=asked.challenge,
                resource=asked.resource.uri,
                scope=scope,
                renewable=asked.client.renewable,
                user_id=user.id,
                approved_in_id=actor.credential.id,
                created_at=now,
                expires_at=now + timedelta(seconds=CODE_SECONDS),
            )
            await self.clients.used(asked.client)
            await self._decided("client.approved", asked, actor, scope)
        return asked.answer(code=code)

    async def deny(self, asked: Asked, actor: Actor) -> str:
        """Turn the program away. Where the browser goes to tell it. Unauthorized, Forbidden."""
        decider(actor)
        async with self._shared.db.transaction():
            await self._decided("client.denied", asked, actor, " ".join(asked.scope))
        return asked.refuse("access_denied", "The user said no").url

    async def prove(self, client_id: str, secret: str | None) -> Client | None:
        """The client, if it is one and has shown that; None for an id of a device's choice. GrantRefused."""
        client = await self.clients.known(client_id) if self.enabled else None
        if client is not None:
            self.clients.prove(client, secret)
        elif secret:
            raise GrantRefused("invalid_client", "The client is not known by this name and secret")
        return client

    async def redeem(
        self, code: str, client: Client, redirect_uri: str, verifier: str, resource: str | None, info: ClientInfo
    ) -> Grant:
        """The tokens for a code, once. resource: as the client spells it, or None. GrantRefused.

        A code that comes back ends the login that it gave.
        """
        known = await _find(code)
        if known is None:
            raise GrantRefused("invalid_grant", "Invalid code")
        async with self._shared.db.transaction():
            # The user first, as everything that changes users takes it.
            user = await User.filter(id=known.user_id).select_for_update().first()
            row = await OAuthCode.filter(id=known.id).select_for_update().first()
            answer = await self._redeemed(row, user, client, redirect_uri, verifier, resource, info)
        if isinstance(answer, GrantRefused):
            raise answer
        return answer

    async def refresh(
        self, token: str, client: Client | None, client_id: str, scope: str | None, resource: str | None
    ) -> Grant:
        """Fresh tokens, of a login at a resource or of a device. See `Grants.refresh`. GrantRefused."""
        bound = await self._grants.resource_of(token)
        if bound is None:
            return await self._devices.refresh(token, client_id, scope)
        if client is None:
            raise GrantRefused("invalid_client", "Unknown client")
        if resource is not None and resource != bound:
            raise GrantRefused("invalid_target", "The token was given for another resource")
        return await self._grants.refresh(token, client_id, scope, bound=True)

    async def sweep(self) -> None:
        """Delete codes that ended a while ago, and clients that nobody uses."""
        await OAuthCode.filter(expires_at__lt=self._shared.now() - REMEMBER).delete()
        await self.clients.sweep()

    async def _redeemed(
        self,
        row: OAuthCode | None,
        user: User | None,
        client: Client,
        redirect_uri: str,
        verifier: str,
        resource: str | None,
        info: ClientInfo,
    ) -> Grant | GrantRefused:
        """Inside the transaction. A refusal is returned: what it brings about must be committed."""
        now = self._shared.now()
        if row is None or row.client_id != client.id:
            return GrantRefused("invalid_grant", "The code was given to another client")
        if row.used_at is not None:
            return await self._came_back(row)
        if now >= row.expires_at:
            return GrantRefused("invalid_grant", "The code has expired")
        # From here on it is used up: whoever shows it with something wrong is not who asked for it, or makes errors.
        row.used_at = now
        await row.save(update_fields=["used_at"])
        if redirect_uri != row.redirect_uri:
            return GrantRefused("invalid_grant", "redirect_uri is not that of the request")
        if not _fits(verifier, row.challenge):
            return GrantRefused("invalid_grant", "code_verifier does not fit the request")
        if resource is not None and resource != row.resource:
            return GrantRefused("invalid_target", "resource is not that of the request")
        session = await Session.get_or_none(id=row.approved_in_id)
        if user is None or session is None or not self._sessions.lives(session, user):
            return GrantRefused("invalid_grant", "Whoever allowed it has signed out since")
        return await self._given(row, user, info)

    async def _given(self, row: OAuthCode, user: User, info: ClientInfo) -> Grant:
        terms = Terms(row.client_name, row.resource, row.renewable)
        grant = await self._grants.open(user, info, row.client_id, row.scope, terms)
        assert grant.actor.credential is not None
        row.gave = grant.actor.credential.id
        await row.save(update_fields=["gave"])
        data = {"by": "client", "client_id": row.client_id, "scope": row.scope, "resource": row.resource}
        await self._shared.record("login.succeeded", by=grant.actor, target=f"user:{user.id}", data=data)
        return grant

    async def _came_back(self, row: OAuthCode) -> GrantRefused:
        if row.gave is not None:
            await self._sessions.end(row.gave, "authorization code reused")
        data = {"client_id": row.client_id, "user_id": row.user_id, "kind": "code"}
        target = None if row.gave is None else f"session:{row.gave}"
        await self._shared.record("token.reuse_detected", by=None, target=target, data=data)
        return GrantRefused("invalid_grant", "The code was used before; what it gave has ended")

    async def _decided(self, action: str, asked: Asked, actor: Actor, scope: str) -> None:
        data = {
            "client_id": asked.client.id,
            "name": asked.client.name,
            "redirect_uri": asked.redirect_uri,
            "resource": asked.resource.uri,
            "scope": scope,
        }
        await self._shared.record(action, by=actor, target=f"client:{asked.client.id}", data=data)

    def _check_enabled(self) -> None:
        if not self.enabled:
            raise NotFound("Programs cannot be let in here; use an API key")


async def _find(code: str) -> OAuthCode | None:
    if not code.startswith(CODE_PREFIX) or len(code) > MAX_TOKEN:
        return None
    return await OAuthCode.filter(code_hash=digest(code)).first()


def _fits(verifier: str, challenge: str) -> bool:
    """PKCE, S256. Source: RFC 7636, 4.6."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    made = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(made, challenge)
