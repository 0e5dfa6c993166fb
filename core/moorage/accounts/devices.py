"""Device logins (RFC 8628): codes asked for, looked at, approved, polled.

A code is pending until somebody who is signed in decides. Whoever looks at it first while signed in has claimed it:
nobody else decides after that. A poll that ends the wait takes the row away, so each code is worth one session.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q

from moorage.access import Actor, Method, UserInfo
from moorage.accounts.attempts import network
from moorage.accounts.grants import Grant, GrantRefused, Grants
from moorage.accounts.guesses import Guesses
from moorage.accounts.models import DeviceCode, User
from moorage.accounts.scopes import IDENTITY_SCOPES, MAX_WORDS, words
from moorage.accounts.secrets import DEVICE_PREFIX, MAX_TOKEN, digest, new_device_code
from moorage.accounts.shared import ClientInfo, Shared
from moorage.errors import Forbidden, TooManyRequests, Unauthorized, Unavailable

PENDING, APPROVED, DENIED = "pending", "approved", "denied"
APPROVE = "core:device:approve"
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come out; nothing that looks like something else. Source: RFC 8628, 6.1."""
CODE_LENGTH = 8
WRONG_CODES = 5
MAX_PENDING = 20
"""Codes that wait at once for clients of one network."""
TOLERANCE = timedelta(seconds=0.25)
EARLY_POLLS, MORE_SECONDS, MAX_INTERVAL = 3, 5, 60
KEEP_EXPIRED = timedelta(minutes=10)
"""How long a client that polls on is told that its code has expired."""


@dataclass(frozen=True, slots=True)
class DeviceStart:
    """A fresh code. `user_code` as it is shown, with its dash."""

    device_code: str
    user_code: str
    expires_in: int
    interval: int

    def __repr__(self) -> str:
        return "DeviceStart()"


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A code that was looked at. mine: the actor has claimed it, and may see who asks."""

    user_code: str
    status: str
    client_id: str
    scope: str
    address: str
    user_agent: str
    created_at: datetime
    expires_at: datetime
    mine: bool


class Devices:
    """The rows of `core_device_codes`."""

    def __init__(self, shared: Shared, grants: Grants) -> None:
        self._shared = shared
        self._settings = shared.settings.device
        self._grants = grants
        self._guesses = Guesses(shared, "device", allowed=WRONG_CODES)

    async def begin(self, client_id: str, scope: str, client: ClientInfo) -> DeviceStart:
        """A code for a program that wants to be let in. GrantRefused, TooManyRequests."""
        self._check_client(client_id)
        granted = self._scope(scope)
        for _ in range(5):
            code, user_code = new_device_code(), "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
            try:
                async with self._shared.db.transaction():
                    await self._check_pending(client.address)
                    await self._insert(code, user_code, client_id, granted, client)
            except IntegrityError:
                # Another program waits with this user code.
                continue
            return DeviceStart(code, _shown(user_code), self._settings.code_seconds, self._settings.interval)
        raise Unavailable("No free code was found; try again")

    async def look(self, user_code: str, actor: Actor, address: str) -> DeviceInfo:
        """What a user code stands for. Somebody signed in who may decide about it claims it, if nobody has.

        GrantRefused for a wrong or expired one; TooManyRequests after too many wrong ones.
        """
        row = await self._find(user_code, actor, address)
        if actor.user is not None and self._may_decide(actor):
            claimed = DeviceCode.filter(id=row.id, status=PENDING, user_id__isnull=True)
            if await claimed.update(user_id=actor.user.id):
                row.user_id = actor.user.id
        mine = actor.user is not None and row.user_id == actor.user.id
        return _info(row, mine)

    async def decide(self, user_code: str, *, approve: bool, actor: Actor, address: str) -> None:
        """Let the program in as the actor, or turn it away. Also without a claim, which this then is.

        The gate has refused what another site may have caused. Forbidden for anything but the login session of a
        user with all of its rights, and for a code that somebody else has claimed; GrantRefused, TooManyRequests.
        """
        user = decider(actor)
        self._shared.access.require(actor, APPROVE)
        row = await self._find(user_code, actor, address)
        async with self._shared.db.transaction():
            open_ = DeviceCode.filter(Q(user_id=user.id) | Q(user_id__isnull=True), id=row.id, status=PENDING)
            if await open_.update(status=APPROVED if approve else DENIED, user_id=user.id):
                data = {"client_id": row.client_id, "scope": row.scope, "address": _readable(row.address)}
                action = "device.approved" if approve else "device.denied"
                await self._shared.record(action, by=actor, target=f"device:{row.id}", data=data)
                return
        now = await DeviceCode.get_or_none(id=row.id)
        if now is not None and now.status == PENDING:
            raise Forbidden("Somebody else is deciding about this device", code="ACCESS_DENIED")
        raise GrantRefused("invalid_request", "Device code already processed")

    async def poll(self, device_code: str, client_id: str, client: ClientInfo) -> Grant:
        """The tokens, once they were approved. GrantRefused says what else is the case, or what to wait for."""
        self._check_client(client_id)
        known = await self._waiting(device_code)
        if known is None:
            raise GrantRefused("invalid_grant", "Invalid device code")
        if known.client_id != client_id:
            raise GrantRefused("invalid_grant", "Client ID mismatch")
        async with self._shared.db.transaction():
            user = None
            if known.status == APPROVED:
                # The user first, as everything that changes users takes it.
                user = await User.filter(id=known.user_id).select_for_update().first()
            row = await DeviceCode.filter(id=known.id).select_for_update().first()
            # Approved since it was read: the next poll says so.
            overtaken = row is not None and row.status == APPROVED != known.status
            answer = await self._answer(row, user, client, overtaken)
        if isinstance(answer, GrantRefused):
            raise answer
        return answer

    async def refresh(self, token: str, client_id: str, scope: str | None) -> Grant:
        """See `Grants.refresh`; of a client that may log in at all."""
        self._check_client(client_id)
        return await self._grants.refresh(token, client_id, scope)

    async def sweep(self) -> None:
        """Delete the rows of codes that expired a while ago."""
        await DeviceCode.filter(expires_at__lt=self._shared.now() - KEEP_EXPIRED).delete()

    # -- polling ----------------------------------------------------------------------------------------------

    async def _answer(
        self, row: DeviceCode | None, user: User | None, client: ClientInfo, overtaken: bool
    ) -> Grant | GrantRefused:
        """Inside the transaction. A refusal is returned: what it writes must be committed."""
        now = self._shared.now()
        if row is None:
            return GrantRefused("invalid_grant", "Invalid device code")
        if now >= row.expires_at:
            await row.delete()
            return GrantRefused("expired_token", "Device code has expired")
        if row.last_poll_at is not None and now - row.last_poll_at < timedelta(seconds=row.interval) - TOLERANCE:
            await _slow_down(row)
            return GrantRefused("slow_down", "Polling too frequently")
        if row.status == PENDING or overtaken:
            row.last_poll_at = now
            await row.save(update_fields=["last_poll_at"])
            return GrantRefused("authorization_pending", "Authorization pending")
        taken = await DeviceCode.filter(id=row.id, status=row.status).delete()
        if not taken or row.status == DENIED:
            return GrantRefused(*("access_denied", "Access denied") if taken else ("invalid_grant", "Already used"))
        return await self._redeemed(row, user, client)

    async def _redeemed(self, row: DeviceCode, user: User | None, client: ClientInfo) -> Grant | GrantRefused:
        if user is None or not user.active:
            return GrantRefused("access_denied", "The account of whoever approved it is disabled")
        user.last_login_at = self._shared.now()
        await user.save(update_fields=["last_login_at"])
        grant = await self._grants.open(user, client, row.client_id, row.scope)
        data = {"by": "device", "client_id": row.client_id, "scope": row.scope}
        await self._shared.record("login.succeeded", by=grant.actor, target=f"user:{user.id}", data=data)
        return grant

    async def _waiting(self, device_code: str) -> DeviceCode | None:
        if not device_code.startswith(DEVICE_PREFIX) or len(device_code) > MAX_TOKEN:
            return None
        return await DeviceCode.filter(device_hash=digest(device_code)).first()

    # -- deciding ---------------------------------------------------------------------------------------------

    async def _find(self, user_code: str, actor: Actor, address: str) -> DeviceCode:
        user_id = actor.user.id if actor.user is not None else None
        await self._guesses.check(address, user_id)
        code = "".join(char for char in user_code if char.isascii() and char.isalnum()).upper()
        row = await DeviceCode.filter(user_code=code).first() if len(code) == CODE_LENGTH else None
        if row is None:
            await self._guesses.wrong(address, user_id)
            raise GrantRefused("invalid_request", "Invalid user code")
        if self._shared.now() >= row.expires_at:
            raise GrantRefused("expired_token", "User code has expired")
        return row

    def _may_decide(self, actor: Actor) -> bool:
        return _is_login(actor) and self._shared.access.can(actor, APPROVE)

    # -- asking -----------------------------------------------------------------------------------------------

    def _check_client(self, client_id: str) -> None:
        if self._settings.clients and client_id not in self._settings.clients:
            raise GrantRefused("invalid_client", "Unknown client")

    def _scope(self, scope: str) -> str:
        found = words(scope)
        if len(found) > MAX_WORDS:
            raise GrantRefused("invalid_scope", f"At most {MAX_WORDS} scopes can be asked for")
        for word in found:
            if word not in IDENTITY_SCOPES and not self._shared.access.known(word):
                raise GrantRefused("invalid_scope", f"Unknown scope: {word[:100]}")
        return " ".join(found)

    async def _check_pending(self, address: str) -> None:
        waiting = DeviceCode.filter(status=PENDING, expires_at__gt=self._shared.now())
        if await waiting.filter(_same_network(address)).count() >= MAX_PENDING:
            raise TooManyRequests("Too many devices wait for approval; try again later")

    async def _insert(self, code: str, user_code: str, client_id: str, scope: str, client: ClientInfo) -> None:
        now = self._shared.now()
        await DeviceCode.create(
            device_hash=digest(code),
            user_code=user_code,
            client_id=client_id,
            scope=scope,
            interval=self._settings.interval,
            address=_stored(client.address),
            user_agent=client.user_agent[:256],
            created_at=now,
            expires_at=now + timedelta(seconds=self._settings.code_seconds),
        )


async def _slow_down(row: DeviceCode) -> None:
    """Count an early poll. The clock stays where it is; who goes on like this is asked for longer pauses."""
    row.early_polls += 1
    if row.early_polls >= EARLY_POLLS:
        row.early_polls, row.interval = 0, min(MAX_INTERVAL, row.interval + MORE_SECONDS)
    await row.save(update_fields=["early_polls", "interval"])


def decider(actor: Actor) -> UserInfo:
    """The user who lets something in as themselves: by their own login, with all of their rights.

    Unauthorized, Forbidden.
    """
    if actor.user is None:
        raise Unauthorized
    if not _is_login(actor):
        # A token must not make further ones that outlive it, nor one with more rights than it has.
        raise Forbidden("Sign in with a password or at a provider to decide about this", code="SESSION_REQUIRED")
    return actor.user


def _is_login(actor: Actor) -> bool:
    credential = actor.credential
    if credential is None or credential.scopes is not None:
        return False
    # A JWT may stand for a device's session; the one in a browser's cookie, for that browser's.
    by_cookie = credential.method is Method.JWT and credential.csrf is not None
    return by_cookie or credential.method is Method.SESSION


def _info(row: DeviceCode, mine: bool) -> DeviceInfo:
    return DeviceInfo(
        user_code=_shown(row.user_code),
        status=row.status,
        client_id=row.client_id,
        scope=row.scope,
        address=_readable(row.address),
        user_agent=row.user_agent,
        created_at=row.created_at,
        expires_at=row.expires_at,
        mine=mine,
    )


def _shown(user_code: str) -> str:
    return f"{user_code[:4]}-{user_code[4:]}"


def _stored(address: str) -> str:
    """An IPv6 address in full, so that those of one network begin alike."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    return found.exploded


def _same_network(address: str) -> Q:
    """The stored addresses of a client's network, which of IPv4 is the address alone. Source: `attempts.network`."""
    known = network(address).partition("/")
    if known[1]:
        return Q(address__startswith=IPv6Address(known[0]).exploded[:20])
    return Q(address=_stored(address))


def _readable(stored: str) -> str:
    try:
        return str(ip_address(stored))
    except ValueError:
        return stored
