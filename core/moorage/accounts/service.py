"""Accounts: the one door to users, logins, sessions, keys and the first owner."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic

from moorage.access import Actor, Credential, Method, UserInfo
from moorage.access.service import Access
from moorage.accounts.actors import KeyInfo, SessionInfo
from moorage.accounts.administration import Administration, Changes
from moorage.accounts.attempts import Attempts
from moorage.accounts.authorization import Authorization
from moorage.accounts.cache import CredentialCache
from moorage.accounts.devices import Devices
from moorage.accounts.grants import Grants
from moorage.accounts.guesses import Guesses
from moorage.accounts.introspection import Introspection
from moorage.accounts.invites import Invites
from moorage.accounts.keys import Keys
from moorage.accounts.logins import Logins
from moorage.accounts.oauth import OAuthLogins
from moorage.accounts.passes import Passes
from moorage.accounts.passwords import Passwords
from moorage.accounts.registration import Registration
from moorage.accounts.sealing import PluginSeal, Seal, load_secret
from moorage.accounts.secrets import KEY_PREFIX, MAX_TOKEN, SESSION_PREFIX, digest_bytes
from moorage.accounts.sessions import Sessions
from moorage.accounts.setup import Setup
from moorage.accounts.shared import ClientInfo, Clock, Login, Shared
from moorage.accounts.tokens import JWT_PREFIX, MAX_JWT, Tokens
from moorage.accounts.users import Users
from moorage.config.settings import AccountsSettings
from moorage.db import Database
from moorage.errors import Unauthorized
from moorage.events import EventBus, Topic
from moorage.observe.audit import Audit

SWEEP_EVERY = 20.0
"""Seconds between two calls of `sweep` that its caller should aim for."""
CLEAN_EVERY = 300.0
"""Seconds between two removals of old rows."""

WRONG_TOKENS = 20
"""Wrong tokens in addresses, of one network in ten minutes."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Accounts:
    """All of accounts. Methods that read or write run inside of the database's `activate()`, as requests do.

    In the methods below, `by` is who does it, for the audit log: None takes the current request's actor, `SYSTEM`
    is the operator at the command line. Changes are told on the bus (`Topic.USER_CHANGED`,
    `Topic.CREDENTIAL_REVOKED`) after they were committed.
    """

    def __init__(
        self,
        settings: AccountsSettings,
        db: Database,
        audit: Audit,
        bus: EventBus,
        data_dir: Path,
        access: Access,
        *,
        issuer: str = "moorage",
        trusted_origins: Sequence[str] = (),
        now: Clock = _utc_now,
    ) -> None:
        self.settings = settings
        ttl = min(settings.session_cache_seconds, settings.session_idle_seconds / 4)
        self._cache = CredentialCache(ttl)
        self._looking: dict[bytes, asyncio.Event] = {}
        secret = settings.secret_key.get_secret_value() if settings.secret_key is not None else None
        secret = load_secret(secret, data_dir)
        self.sealing = partial(PluginSeal, secret)
        """What seals the texts of the plugin of a name."""
        seal = Seal(secret)
        self._shared = shared = Shared(settings, db, audit, bus, access, self._cache, seal, now)
        self._passwords = Passwords(settings)
        self._attempts = Attempts(shared)
        self._path_guesses = Guesses(shared, "path", allowed=WRONG_TOKENS)
        self._sessions = Sessions(shared)
        self._keys = Keys(shared)
        self.users = self._users = Users(shared, self._passwords)
        self.administration = Administration(shared, self._users, self._sessions, self._attempts)
        self._logins = Logins(shared, self._passwords, self._sessions, self._attempts)
        self._setup = Setup(shared, data_dir, self._users, self._sessions, self._attempts, self._logins)
        self.invites = Invites(shared, self._attempts)
        self.registration = Registration(shared, self._users, self._sessions, self.invites)
        self.grants = Grants(shared, self._sessions)
        self.devices = Devices(shared, self.grants)
        self.authorization = Authorization(shared, self._sessions, self.grants, self.devices)
        self.tokens = Tokens(shared, self._sessions, issuer)
        self.introspection = Introspection(shared, self._sessions, self._keys, self.tokens)
        self.oauth = OAuthLogins(shared, self._users, self._sessions, self.invites, trusted_origins=trusted_origins)
        self.passes = Passes(self.revalidate, ttl)
        self._cleaned = monotonic()
        topics = (Topic.USER_CHANGED, Topic.USER_DELETED, Topic.CREDENTIAL_REVOKED, Topic.BACKPLANE_RESTORED)
        self._unsubscribe = [bus.subscribe(topic, self._forget) for topic in topics]

    # -- who is it --------------------------------------------------------------------------------------------

    def cached(self, token: str) -> Actor | None:
        """The actor of a token that was proven a moment ago (`session_cache_seconds`); None says nothing."""
        return self._cache.get(token)

    async def authenticate(self, token: str) -> Actor | None:
        """The actor of a session token, a JWT or an API key; None when it does not hold. Reads the database."""
        if len(token) > (MAX_JWT if token.startswith(JWT_PREFIX) else MAX_TOKEN):
            return None
        key = digest_bytes(token)
        if (other := self._looking.get(key)) is not None:
            # A busy session is forgotten under many requests at once: one of them asks for all.
            await other.wait()
            if (actor := self._cache.get(token)) is not None:
                return actor
        mine = self._looking[key] = asyncio.Event()
        try:
            return await self._look_up(token)
        finally:
            if self._looking.get(key) is mine:
                del self._looking[key]
            mine.set()

    async def _look_up(self, token: str) -> Actor | None:
        for _ in range(3):
            generation = self._cache.generation
            actor = await self._load(token)
            # Overtaken by a revocation while reading: what was read may be what was revoked.
            if generation == self._cache.generation:
                if actor is not None:
                    self._cache.put(token, actor, generation=generation, now=self._shared.now())
                return actor
        return await self._load(token)

    async def authenticate_in_path(self, token: str, address: str) -> Actor:
        """The actor of a device login's access token that stood in an address. Nothing else is taken there.

        Unauthorized; TooManyRequests after too many wrong ones from a network.
        """
        await self._path_guesses.check(address)
        actor = self.cached(token) or await self.authenticate(token)
        bound = actor is not None and actor.credential is not None and actor.credential.resource is not None
        if actor is None or actor.method is not Method.BEARER or bound:
            await self._path_guesses.wrong(address)
            raise Unauthorized("Invalid token")
        return actor

    async def revalidate(self, actors: Iterable[Actor]) -> list[tuple[Actor, Actor | None]]:
        """What changed about actors with something open: (as it was, as it is now or None), unchanged ones left out.

        One query per kind of credential and 500 actors. Sees changes that other processes made.
        """
        with self._shared.db.activate():
            asked = [(actor, actor.credential) for actor in set(actors) if actor.credential is not None]
            sessions = await self._sessions.fresh({c.id for _, c in asked if c.of_session})
            keys = await self._keys.fresh({c.id for _, c in asked if c.method is Method.API_KEY})
            kids = await self.tokens.keys.believed() if any(c.kid for _, c in asked) else frozenset[str]()
        changes: list[tuple[Actor, Actor | None]] = []
        for actor, credential in asked:
            if credential.method is Method.SYSTEM:
                continue
            fresh = (sessions if credential.of_session else keys).get(credential.id)
            if credential.kid is not None and credential.kid not in kids:
                fresh = None
            if fresh is not None and fresh.credential is not None:
                fresh = _shown_as(fresh, fresh.credential, credential, self._shared.now())
            if fresh != actor:
                changes.append((actor, fresh))
        if changes:
            # Requests must not be believed longer than the sockets that are closed by this.
            self._cache.clear()
        return changes

    # -- logging in and out -----------------------------------------------------------------------------------

    async def login(self, login: str, password: str, client: ClientInfo, *, previous: Actor | None = None) -> Login:
        """See `Logins.login`."""
        return await self._logins.login(login, password, client, previous=previous)

    async def logout(self, actor: Actor) -> None:
        """See `Logins.logout`."""
        await self._logins.logout(actor)

    async def revoke_session(self, session_id: int, *, by: Actor | None = None) -> bool:
        """End one session; False when it had ended before."""
        return await self._logins.end_session(session_id, by=by)

    async def revoke_all(self, user_id: int, *, keep: int | None = None, by: Actor | None = None) -> int:
        """End every session of a user but `keep`; how many there were."""
        return await self._logins.end_sessions(user_id, keep=keep, by=by)

    async def change_password(self, actor: Actor, current: str | None, new: str, client: ClientInfo) -> Login:
        """See `Logins.change_password`."""
        return await self._logins.change_password(actor, current, new, client)

    async def list_sessions(self, user_id: int) -> list[SessionInfo]:
        """See `Sessions.page`."""
        return await self._sessions.page(user_id)

    async def latest_sessions(
        self, user_id: int | None = None, *, offset: int = 0, limit: int = 100
    ) -> tuple[list[tuple[SessionInfo, UserInfo]], int]:
        """See `Sessions.latest`."""
        return await self._sessions.latest(user_id, offset=offset, limit=limit)

    async def find_session(self, pid: str) -> SessionInfo | None:
        """See `Sessions.find`."""
        return await self._sessions.find(pid)

    async def issue_setup_token(self) -> str | None:
        """See `Setup.issue`."""
        return await self._setup.issue()

    async def redeem_setup(
        self, token: str, username: str, password: str, client: ClientInfo, *, email: str | None = None
    ) -> Login:
        """See `Setup.redeem`."""
        return await self._setup.redeem(token, username, password, client, email=email)

    # -- users ------------------------------------------------------------------------------------------------

    async def create_user(
        self,
        username: str,
        *,
        password: str | None,
        email: str | None = None,
        role: str = "operator",
        name: str | None = None,
        by: Actor | None = None,
    ) -> UserInfo:
        """See `Administration.create`. The first user ends the setup."""
        user = await self.administration.create(username, password=password, email=email, role=role, name=name, by=by)
        self._setup.finish()
        return user

    async def get_user(self, user_id: int) -> UserInfo | None:
        """The user with this id."""
        return await self._users.get(user_id)

    async def find_user(self, login: str) -> UserInfo | None:
        """The user with this username or e-mail address, however it is capitalised."""
        return await self._users.find(login)

    async def list_users(self, *, offset: int = 0, limit: int = 100) -> tuple[list[UserInfo], int]:
        """Users, oldest first, and how many there are in all."""
        found, total = await self._users.page(offset=offset, limit=limit)
        return [details.user for details in found], total

    async def count_users(self) -> int:
        """How many users there are, disabled ones included."""
        return await self._users.count()

    async def set_role(self, user_id: int, role: str, *, by: Actor | None = None) -> UserInfo:
        """Give a user another role. See `Administration.change`."""
        return await self.administration.change(user_id, Changes(role=role), by=by)

    async def set_active(self, user_id: int, active: bool, *, by: Actor | None = None) -> UserInfo:
        """Enable or disable a user; API keys rest while disabled. See `Administration.change`."""
        return await self.administration.change(user_id, Changes(active=active), by=by)

    async def set_password(self, user_id: int, password: str, *, by: Actor | None = None) -> UserInfo:
        """Set a new password. See `Administration.change`."""
        return await self.administration.change(user_id, Changes(password=password), by=by)

    async def delete_user(self, user_id: int, *, by: Actor | None = None) -> None:
        """See `Administration.delete`."""
        await self.administration.delete(user_id, by=by)

    # -- keys -------------------------------------------------------------------------------------------------

    async def create_key(
        self,
        owner_id: int,
        name: str,
        *,
        scopes: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        by: Actor | None = None,
    ) -> tuple[KeyInfo, str]:
        """See `Keys.create`."""
        return await self._keys.create(owner_id, name, scopes=scopes, expires_at=expires_at, by=by)

    async def get_key(self, key_id: int) -> KeyInfo | None:
        """One key that was not revoked."""
        return await self._keys.get(key_id)

    async def find_key(self, text: str) -> KeyInfo | None:
        """The key with this id, string id or prefix, unless it was revoked."""
        return await self._keys.find(text)

    async def list_keys(
        self, *, user_id: int | None = None, offset: int = 0, limit: int = 100
    ) -> tuple[list[KeyInfo], int]:
        """Keys that were not revoked, oldest first (of one user), and how many there are in all."""
        return await self._keys.page(user_id=user_id, offset=offset, limit=limit)

    async def revoke_key(self, key_id: int, *, by: Actor | None = None) -> None:
        """See `Keys.revoke`."""
        await self._keys.revoke(key_id, by=by)

    # -- housekeeping -----------------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Write last uses, and now and then delete old rows. Call it about every `SWEEP_EVERY` seconds."""
        with self._shared.db.activate():
            await self._sessions.flush()
            await self._keys.flush()
            self._cache.prune()
            if monotonic() - self._cleaned >= CLEAN_EVERY:
                self._cleaned = monotonic()
                await self.clean()

    async def clean(self) -> None:
        """Delete the rows of what ended a while ago."""
        await self._sessions.sweep()
        await self.grants.sweep()
        await self.devices.sweep()
        await self.authorization.sweep()
        await self._keys.sweep()
        await self.tokens.keys.sweep()
        await self._attempts.sweep()
        await self.oauth.sweep()

    async def close(self) -> None:
        """Write what is pending, end the hashing threads, leave the bus. Before the database closes."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._passwords.close()
        with self._shared.db.activate():
            await self._sessions.flush()
            await self._keys.flush()

    async def _load(self, token: str) -> Actor | None:
        if token.startswith(KEY_PREFIX):
            return await self._keys.load(token)
        if token.startswith(JWT_PREFIX):
            return await self.tokens.load(token)
        return await self._sessions.load(token) if token.startswith(SESSION_PREFIX) else None

    def _forget(self, data: dict[str, object]) -> None:
        self._cache.clear()
        self.passes.forget()


def _shown_as(fresh: Actor, row: Credential, shown: Credential, now: datetime) -> Actor | None:
    """The actor of a row as that of the credential that was shown for it; None when that has ended by itself."""
    ends = min((at for at in (row.expires_at, shown.expires_at) if at is not None), default=None)
    if shown.method is not Method.JWT:
        ends = row.expires_at
    elif ends is not None and ends <= now:
        return None
    return replace(fresh, credential=replace(row, method=shown.method, csrf=shown.csrf, expires_at=ends, kid=shown.kid))
