"""Logging in at a provider, from leaving to coming back; and the identities that somebody has."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog

from moorage.access import Actor
from moorage.accounts.invites import Invites
from moorage.accounts.oauth.flows import Flow, Flows
from moorage.accounts.oauth.identities import Found, Identities, IdentityInfo
from moorage.accounts.oauth.profile import Profile, Proof
from moorage.accounts.oauth.redirects import target, with_error
from moorage.accounts.oauth.refusals import ProviderDown, Refused
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import ClientInfo, Login, Shared
from moorage.accounts.users import Users
from moorage.config.settings import ProviderSettings
from moorage.errors import Conflict, Forbidden, NotFound, TooManyRequests, Unavailable

if TYPE_CHECKING:
    from moorage.accounts.oauth.providers import Provider

log = structlog.get_logger("moorage.oauth")

KINDS = {"github": "GitHub", "google": "Google"}
ACCOUNT_PAGE = "/console/account"
MAX_CODE = 4096


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the cookie by which it is known again."""

    url: str
    browser: str

    def __repr__(self) -> str:
        return "Begun(…)"


@dataclass(frozen=True, slots=True)
class Done:
    """Where the browser goes now; a login when it is somebody's. `error` is the code of a refusal."""

    location: str
    login: Login | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """Where a client asks to be sent. What is not a path here, or at a trusted origin, counts as not said."""

    next: str | None = None
    new_next: str | None = None
    error_next: str | None = None


class OAuthLogins:
    """The providers of the configuration. Their machinery, authlib among it, is imported at the first login there."""

    def __init__(
        self,
        shared: Shared,
        users: Users,
        sessions: Sessions,
        invites: Invites,
        *,
        trusted_origins: Iterable[str] = (),
    ) -> None:
        self._shared, self._sessions, self._invites = shared, sessions, invites
        self._flows = Flows(shared)
        self._trusted = tuple(trusted_origins)
        self._made: dict[str, Provider] = {}
        self._identities = Identities(shared, users, invites)

    def providers(self) -> list[tuple[str, str]]:
        """(name, label) of each, in the order of the configuration."""
        found = self._shared.settings.providers
        return [(name, one.label or KINDS.get(name, name.capitalize())) for name, one in found.items()]

    async def begin(
        self,
        name: str,
        base: str,
        wishes: Wishes,
        *,
        invite: str | None = None,
        link: Actor | None = None,
    ) -> Begun:
        """Prepare a login at a provider; with `link`, the linking of an identity to that actor's user.

        base: our origin and mount prefix as the browser sees them. NotFound, Unavailable (no such
        provider), ProviderDown, Forbidden (a key, or a limited credential, links nothing).
        """
        settings = self._settings(name)
        user_id: int | None = None
        if link is not None:
            credential = link.credential
            if link.user is None or credential is None or not credential.of_session or credential.scopes is not None:
                raise Forbidden("Sign in with a browser to link an account", code="SESSION_REQUIRED")
            user_id = link.user.id
        flow = self._flow(name, base, wishes, invite, user_id)
        provider = await self._provider(name, settings)
        state, browser = await self._flows.keep(name, flow)
        try:
            url = await provider.authorize_url(_proof(flow), state)
        except Refused as refused:
            log.warning("provider failed", provider=name, reason=refused.reason)
            raise ProviderDown(f"{dict(self.providers())[name]} cannot be reached now") from refused
        return Begun(url, browser)

    async def finish(
        self,
        name: str,
        answer: dict[str, str],
        browser: str,
        client: ClientInfo,
        *,
        previous: Actor | None = None,
    ) -> Done:
        """Log in whoever came back. answer: the query (code, state, error, iss); browser: the cookie.

        previous: who the same browser was; that session ends. NotFound, Unavailable: no such provider. Whatever else
        goes wrong is a location with `?error=CODE`.
        """
        settings = self._settings(name)
        back = "/"
        try:
            flow = await self._flows.take(name, answer.get("state", ""), browser)
            back = flow.error_next
            provider = await self._provider(name, settings)
            if (error := answer.get("error")) is not None:
                # CHROTE's page knows a login that was broken off at the provider by this code.
                broken_off = error == "access_denied"
                raise Refused("invalid_state" if broken_off else "oauth_failed", "the provider refused the login")
            await provider.check_issuer(answer.get("iss"))
            code = answer.get("code", "")
            if not 0 < len(code) <= MAX_CODE:
                raise Refused("invalid_state", "the answer holds no code")
            profile = await provider.profile(code, _proof(flow), self._shared.now())
            if flow.link_user_id is not None:
                await self._link(name, settings, profile, flow.link_user_id, previous)
                return Done(flow.next)
            return await self._login(name, settings, profile, flow, client, previous)
        except Refused as refused:
            log.warning("login at a provider failed", provider=name, code=refused.code, reason=refused.reason)
            data = {"provider": name, "reason": refused.code}
            await self._shared.record("login.failed", by=None, data=data)
            return Done(with_error(back, refused.code), error=refused.code)

    async def identities(self, user_id: int) -> list[IdentityInfo]:
        """A user's identities, oldest first."""
        return await self._identities.of(user_id)

    async def unlink(self, user_id: int, pid: str, *, by: Actor | None = None) -> None:
        """See `Identities.unlink`."""
        async with self._shared.db.transaction():
            await self._identities.unlink(user_id, pid, by=by)

    async def sweep(self) -> None:
        """Delete logins that were never finished."""
        await self._flows.sweep()

    # -- how ----------------------------------------------------------------------------------------------------

    def _flow(self, name: str, base: str, wishes: Wishes, invite: str | None, user_id: int | None) -> Flow:
        home = ACCOUNT_PAGE if user_id is not None else "/"
        chosen = [target(text, _origin(base), self._trusted) for text in (wishes.next, wishes.error_next)]
        return Flow(
            verifier=secrets.token_urlsafe(48),
            nonce=secrets.token_urlsafe(32),
            redirect_uri=f"{base}/api/auth/{name}/callback",
            invite=invite or None,
            next=chosen[0] or home,
            new_next=target(wishes.new_next, _origin(base), self._trusted),
            error_next=chosen[1] or home,
            link_user_id=user_id,
        )

    async def _login(
        self,
        name: str,
        settings: ProviderSettings,
        profile: Profile,
        flow: Flow,
        client: ClientInfo,
        previous: Actor | None,
    ) -> Done:
        if flow.invite is not None:
            await self._count_guess(flow.invite, client.address)
        for _ in range(3):
            try:
                async with self._shared.db.transaction():
                    found = await self._identities.resolve(name, settings, profile, flow.invite)
                    login = await self._open(name, found, client, previous)
            except Conflict:
                # Somebody took the name or the identity by a hair; a second look finds what they made.
                continue
            return Done((flow.new_next if found.created else None) or flow.next, login)
        raise Refused("user_creation_failed", "others took the names")

    async def _open(self, name: str, found: Found, client: ClientInfo, previous: Actor | None) -> Login:
        user = found.user
        user.last_login_at = self._shared.now()
        await user.save(update_fields=["last_login_at"])
        if previous is not None and previous.credential is not None and previous.credential.of_session:
            await self._sessions.end(previous.credential.id, "replaced by a new login")
        login = await self._sessions.create(user, client)
        place = f"user:{user.id}"
        if found.created:
            data = {"username": user.username, "role": user.role, "provider": name}
            more = {"invite_id": found.invite.id} if found.invite is not None else {}
            await self._shared.record("user.created", by=login.actor, target=place, data={**data, **more})
        if found.invite is not None:
            await self._invites.note_use(found.invite, user.id, by=login.actor)
        if found.linked:
            await self._shared.record("identity.linked", by=login.actor, target=place, data={"provider": name})
        await self._shared.record("login.succeeded", by=login.actor, target=place, data={"provider": name})
        return login

    async def _link(
        self, name: str, settings: ProviderSettings, profile: Profile, user_id: int, previous: Actor | None
    ) -> None:
        # Whoever began may have left, and somebody else may sit there.
        if previous is None or previous.user is None or previous.user.id != user_id:
            raise Refused("invalid_state", "whoever began to link is signed in no more")
        try:
            async with self._shared.db.transaction():
                found = await self._identities.link(name, settings, profile, user_id)
                if found.linked:
                    data = {"provider": name}
                    await self._shared.record("identity.linked", by=previous, target=f"user:{user_id}", data=data)
        except Conflict as error:
            raise Refused("identity_taken") from error

    async def _count_guess(self, invite: str, address: str) -> None:
        """Unknown invites are counted for their address, as at registration."""
        try:
            await self._invites.probe(invite, address)
        except TooManyRequests as error:
            raise Refused("rate_limited", "too many wrong invites") from error

    def _settings(self, name: str) -> ProviderSettings:
        settings = self._shared.settings.providers.get(name)
        if settings is None:
            if name in KINDS:
                raise Unavailable(f"{KINDS[name]} OAuth is not configured", code="PROVIDER_NOT_CONFIGURED")
            raise NotFound("There is no such provider")
        return settings

    async def _provider(self, name: str, settings: ProviderSettings) -> Provider:
        if (known := self._made.get(name)) is None:
            # A slow import the first time; nobody else waits for it.
            made = await asyncio.to_thread(_make, settings)
            known = self._made.setdefault(name, made)
        return known


def _make(settings: ProviderSettings) -> Provider:
    from moorage.accounts.oauth.providers import make

    return make(settings)


def _proof(flow: Flow) -> Proof:
    return Proof(flow.verifier, flow.nonce, flow.redirect_uri)


def _origin(base: str) -> str:
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}".lower()
