"""Signing keys: made at first use, sealed at rest, rotated, and read again often enough to hear of other processes."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from moorage.access import Actor
from moorage.accounts.models import SigningKey
from moorage.accounts.names import storable
from moorage.accounts.sealing import WrongSecret
from moorage.accounts.shared import SYSTEM, Shared
from moorage.errors import NotFound, Unavailable

log = structlog.get_logger("moorage.accounts")

ALGORITHM = "ES256"
KEEP_ENDED = timedelta(days=30)
"""How long the row of a key is kept that verifies no more."""
_ADVISORY_LOCK = 0x6D6F6F7273696E


@dataclass(frozen=True, slots=True)
class SigningKeyInfo:
    """A signing key without its secret. `state` is "signs", "verifies" or "ended"; usable: our secret opens it."""

    kid: str
    algorithm: str
    state: str
    usable: bool
    created_at: datetime
    retired_at: datetime | None
    verify_until: datetime | None


@dataclass(frozen=True, slots=True)
class _Key:
    """One row and its key, None where it cannot be opened."""

    row: SigningKey
    key: ECKey | None

    def verifies(self, now: datetime) -> bool:
        """Whether what it signed is believed."""
        return self.row.retired_at is None or (self.row.verify_until is not None and now < self.row.verify_until)


@dataclass(slots=True)
class _Ring:
    """The keys as they were when reading them began; newest first."""

    read_at: float = float("-inf")
    keys: dict[str, _Key] = field(default_factory=dict)


class SigningKeys:
    """The rows of `core_signing_keys`.

    The newest that is not retired signs. A retired one verifies until the last token that it signed has ended. The
    rows are kept in memory for a quarter of `session_cache_seconds`, so that what another process does to them bites
    hardly later than what it does to a session.

    A key that was sealed with another secret is logged and left out; when no other is left to sign, a new one is
    made. Tokens of the lost key fail until the secret is put back.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._ring = _Ring()
        self._reading = asyncio.Lock()

    async def signer(self) -> tuple[str, ECKey]:
        """The key to sign with and its kid; the first one is made now."""
        for attempt in (self._recent, self._make_first):
            for kid, known in (await attempt()).keys.items():
                if known.key is not None and known.row.retired_at is None:
                    return kid, known.key
        raise Unavailable("No signing key could be made")

    async def verifier(self, kid: str) -> ECKey | None:
        """The key that tokens with this kid are verified with; None for one that is unknown or has ended.

        An unknown one may have been made by another process a moment ago: the rows are read once more.
        """
        asked = monotonic()
        ring = await self._recent()
        if kid not in ring.keys:
            ring = await self._read(asked)
        known = ring.keys.get(kid)
        return known.key if known is not None and known.verifies(self._shared.now()) else None

    async def believed(self) -> frozenset[str]:
        """The kids whose tokens are believed, as the database has it now."""
        ring, now = await self._read(monotonic()), self._shared.now()
        return frozenset(kid for kid, known in ring.keys.items() if known.key is not None and known.verifies(now))

    async def public(self) -> list[dict[str, Any]]:
        """The public keys (JWK, RFC 7517) that tokens of now may be signed with, the newest first."""
        ring, now = await self._recent(), self._shared.now()
        return [
            known.key.as_dict(private=False)
            for known in ring.keys.values()
            if known.key is not None and known.verifies(now)
        ]

    async def listed(self) -> list[SigningKeyInfo]:
        """All that are stored, the newest first."""
        ring = await self._read(monotonic())
        return [self._info(known) for known in ring.keys.values()]

    async def rotate(self, *, by: Actor | None = None) -> SigningKeyInfo:
        """A new key signs from now on. The one before verifies until the last token that it signed can have ended."""
        async with self._shared.db.transaction():
            await self._lock()
            now = self._shared.now()
            until = now + timedelta(seconds=self._shared.settings.jwt_seconds)
            retired = await SigningKey.filter(retired_at__isnull=True).order_by("id")
            await SigningKey.filter(retired_at__isnull=True).update(retired_at=now, verify_until=until)
            row = await self._insert()
            data = {"retired": [old.kid for old in retired]}
            await self._shared.record("signing_key.rotated", by=by, target=f"signing_key:{row.kid}", data=data)
            self._shared.db.after_commit(self._forget)
        return self._info(self._opened(row))

    async def revoke(self, kid: str, *, by: Actor | None = None) -> None:
        """End a key and all tokens that it signed, at once. NotFound for an unknown one."""
        async with self._shared.db.transaction():
            await self._lock()
            # Tortoise refuses to look for what is longer than the column.
            known = len(kid) <= 64 and storable(kid)
            row = await SigningKey.filter(kid=kid).select_for_update().first() if known else None
            if row is None:
                raise NotFound("There is no such signing key")
            now = self._shared.now()
            if not _Key(row, None).verifies(now):
                return
            row.retired_at, row.verify_until = row.retired_at or now, now
            await row.save(update_fields=["retired_at", "verify_until"])
            await self._shared.record("signing_key.revoked", by=by, target=f"signing_key:{kid}")
            self._shared.db.after_commit(self._forget)

    async def sweep(self) -> None:
        """Delete the rows of keys that verify no more since a while."""
        await SigningKey.filter(verify_until__lt=self._shared.now() - KEEP_ENDED).delete()

    async def _recent(self) -> _Ring:
        return await self._read(monotonic() - self._shared.settings.session_cache_seconds / 4)

    async def _read(self, since: float) -> _Ring:
        """The keys as the database has them, read at `since` or later. Whoever comes meanwhile shares one reading."""
        if self._ring.read_at >= since:
            return self._ring
        async with self._reading:
            if self._ring.read_at < since:
                ring = _Ring(monotonic())
                for row in await SigningKey.filter(algorithm=ALGORITHM).order_by("-id"):
                    old = self._ring.keys.get(row.kid)
                    same = old is not None and old.row.key_sealed == row.key_sealed
                    ring.keys[row.kid] = _Key(row, old.key) if same and old is not None else self._opened(row)
                self._ring = ring
            return self._ring

    async def _make_first(self) -> _Ring:
        async with self._shared.db.transaction():
            await self._lock()
            # Another process may have made it since we looked.
            rows = await SigningKey.filter(algorithm=ALGORITHM, retired_at__isnull=True)
            if all(self._opened(row).key is None for row in rows):
                row = await self._insert()
                await self._shared.record("signing_key.created", by=SYSTEM, target=f"signing_key:{row.kid}")
        return await self._read(monotonic())

    async def _insert(self) -> SigningKey:
        kid = secrets.token_hex(8)
        key = ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": ALGORITHM})
        sealed = self._shared.seal.seal(json.dumps(key.as_dict(private=True)))
        now = self._shared.now()
        return await SigningKey.create(kid=kid, algorithm=ALGORITHM, key_sealed=sealed, created_at=now)

    async def _lock(self) -> None:
        """Only one process at a time changes keys. Inside a transaction; on SQLite that is enough."""
        db = self._shared.db
        if db.dialect == "postgres":
            await db.connection().execute_query(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")

    def _opened(self, row: SigningKey) -> _Key:
        try:
            return _Key(row, ECKey.import_key(json.loads(self._shared.seal.open(row.key_sealed))))
        except WrongSecret:
            reason = "it was sealed with another secret (accounts.secret_key, or data_dir/secret.key)"
        except (JoseError, ValueError):
            reason = "what is stored is no key"
        log.error("a signing key cannot be used: its tokens are refused", kid=row.kid, reason=reason)
        return _Key(row, None)

    def _info(self, known: _Key) -> SigningKeyInfo:
        row = known.row
        state = "signs" if row.retired_at is None else "verifies" if known.verifies(self._shared.now()) else "ended"
        usable = known.key is not None
        return SigningKeyInfo(row.kid, row.algorithm, state, usable, row.created_at, row.retired_at, row.verify_until)

    def _forget(self) -> None:
        self._ring.read_at = float("-inf")
        self._shared.cache.clear()
