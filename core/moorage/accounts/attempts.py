"""Failed attempts: a delay that grows with each, per account and per address, kept across restarts."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from tortoise.exceptions import IntegrityError

from moorage.accounts.models import AuthAttempt
from moorage.accounts.names import folded
from moorage.accounts.shared import Shared
from moorage.errors import TooManyRequests, Unavailable

ADDRESS_FACTOR = 3
"""An address is allowed so many times the failures of an account: many people may share one."""
MIN_WINDOW = 900.0
"""Seconds without a failure after which the count begins anew, at the least."""


class Attempts:
    """Counts failures under keys. Names are kept as digests: people type passwords into the wrong field.

    Unknown names are counted like known ones, so a delay says nothing about who exists. A right login sets both
    counts back; while a delay lasts, not even the right password is looked at.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._settings = shared.settings
        self._window = timedelta(seconds=max(self._settings.lockout_max_seconds, MIN_WINDOW))

    async def check(self, keys: Sequence[str]) -> bool:
        """TooManyRequests while a delay lasts; else whether there are failures on record."""
        rows = await AuthAttempt.filter(key__in=list(keys))
        now = self._shared.now()
        until = max((row.locked_until for row in rows if row.locked_until is not None), default=now)
        if until > now:
            seconds = math.ceil((until - now).total_seconds())
            raise TooManyRequests("Too many failed attempts; try again later", retry_after=seconds)
        return bool(rows)

    async def failed(self, keys: Sequence[str]) -> float:
        """Count a failure; the seconds of delay that it brought, 0 for none."""
        for _ in range(3):
            try:
                async with self._shared.db.transaction():
                    # In one order everywhere, so that two of these cannot wait for each other.
                    return max([await self._count(key) for key in sorted(keys)])
            except IntegrityError:
                # Another server made the row first.
                continue
        raise Unavailable("Too many logins at once", headers={"Retry-After": "5"})

    async def forget(self, keys: Sequence[str]) -> None:
        """Set the counts back: after a right login, or when an operator sets a new password."""
        await AuthAttempt.filter(key__in=list(keys)).delete()

    async def sweep(self) -> None:
        """Delete counts that would begin anew anyway."""
        now = self._shared.now()
        await AuthAttempt.filter(last_at__lt=now - self._window).delete()

    async def _count(self, key: str) -> float:
        now = self._shared.now()
        row = await AuthAttempt.filter(key=key).select_for_update().first()
        failures = 1 if row is None or row.last_at < now - self._window else row.failures + 1
        delay = self._delay(key, failures)
        locked_until = now + timedelta(seconds=delay) if delay else None
        if row is None:
            await AuthAttempt.create(key=key, failures=failures, last_at=now, locked_until=locked_until)
        else:
            row.failures, row.last_at, row.locked_until = failures, now, _later(row.locked_until, locked_until)
            await row.save(update_fields=["failures", "last_at", "locked_until"])
        return delay

    def _delay(self, key: str, failures: int) -> float:
        threshold = self._settings.lockout_threshold * (ADDRESS_FACTOR if key.startswith("address:") else 1)
        if failures < threshold:
            return 0.0
        doublings = min(failures - threshold, 60)
        return float(min(self._settings.lockout_base_seconds * 2**doublings, self._settings.lockout_max_seconds))


def login_keys(login: str, address: str) -> tuple[str, str]:
    """The keys of a login: the name as typed (folded, digested) and the client's network."""
    return f"login:{_digest(folded(login))}", f"address:{network(address)}"


def network(address: str) -> str:
    """What counts as one client: an IPv4 address, an IPv6 /64; anything else as it is."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    return max((at for at in (first, second) if at is not None), default=None)
