"""API keys: made, listed, revoked, and what their scopes may hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from tortoise.exceptions import IntegrityError

from moorage.access import Actor, Method, patterns
from moorage.access.permissions import ANY
from moorage.access.ranks import check_reach, within
from moorage.accounts.actors import KeyInfo, key_actor, key_info, user_info
from moorage.accounts.models import ApiKey, User
from moorage.accounts.names import check_name, refuse, storable
from moorage.accounts.secrets import NewKey, digest, new_api_key, new_pid
from moorage.accounts.shared import Shared
from moorage.accounts.touches import BATCH, WRITE_EVERY, Touches
from moorage.context import current_actor
from moorage.errors import Conflict, Forbidden, NotFound, Unauthorized, Unavailable

MAX_PER_USER = 100
MAX_SCOPES = 64
KEEP_REVOKED = timedelta(days=30)
"""How long the row of a revoked key is kept."""


class Keys:
    """The rows of `core_api_keys`."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.touches = Touches(WRITE_EVERY)

    async def create(
        self,
        owner_id: int,
        name: str,
        *,
        scopes: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        by: Actor | None = None,
    ) -> tuple[KeyInfo, str]:
        """A new key and its secret, which is told only now.

        scopes: permissions or patterns, None for all of the owner's rights. A key never reaches further than the
        credential that makes it: not in scopes, not in time, and not to a user with wider rights.
        NotFound for an unknown owner, ValidationFailed, Forbidden, Conflict (too many keys, a disabled owner).
        """
        by = by or current_actor()
        name = check_name(name)
        granted = self._scopes(scopes, by)
        expires_at = self._expiry(expires_at, by)
        for _ in range(5):
            key = new_api_key()
            try:
                async with self._shared.db.transaction():
                    owner = await self._owner(owner_id, by)
                    if await ApiKey.filter(user_id=owner_id, revoked_at__isnull=True).count() >= MAX_PER_USER:
                        raise Conflict(f"A user may have {MAX_PER_USER} keys; revoke one first", code="TOO_MANY_KEYS")
                    row = await self._insert(owner, name, key, granted, expires_at)
                    data = {"user_id": owner.id, "name": name, "prefix": row.prefix, "scopes": granted}
                    await self._shared.record("key.created", by=by, target=f"api_key:{row.id}", data=data)
                return key_info(row, None), key.secret
            except IntegrityError:
                # The public part has 32 bits: it may be taken.
                continue
        raise Unavailable("No free key was found; try again")

    async def get(self, key_id: int) -> KeyInfo | None:
        """One key that was not revoked."""
        row = await ApiKey.get_or_none(id=key_id, revoked_at__isnull=True)
        return None if row is None else self._info(row)

    async def find(self, text: str) -> KeyInfo | None:
        """The key with this id, string id or prefix, unless it was revoked."""
        if text.isascii() and text.isdigit() and len(text) < 10:
            return await self.get(int(text))
        # Tortoise refuses to look for what is longer than the column.
        column, length = ("pid", 32) if text.startswith("key_") else ("prefix", 16)
        if len(text) > length or not storable(text):
            return None
        row = await ApiKey.filter(revoked_at__isnull=True, **{column: text}).first()
        return None if row is None else self._info(row)

    async def page(self, *, user_id: int | None = None, offset: int = 0, limit: int = 100) -> tuple[list[KeyInfo], int]:
        """Keys that were not revoked, oldest first (of one user), and how many there are in all."""
        query = ApiKey.filter(revoked_at__isnull=True)
        if user_id is not None:
            query = query.filter(user_id=user_id)
        rows = await query.order_by("id").offset(offset).limit(limit)
        return [self._info(row) for row in rows], await query.count()

    async def revoke(self, key_id: int, *, by: Actor | None = None) -> None:
        """The key holds no more, at once. NotFound when there is none, or it was revoked before; RankRefused."""
        by = by or current_actor()
        async with self._shared.db.transaction():
            row = await ApiKey.filter(id=key_id, revoked_at__isnull=True).select_for_update().first()
            owner = await User.get_or_none(id=row.user_id) if row is not None else None
            if row is None or owner is None:
                raise NotFound("API key not found")
            check_reach(self._shared.access, by, user_info(owner))
            row.revoked_at = self._shared.now()
            await row.save(update_fields=["revoked_at"])
            data = {"user_id": row.user_id, "name": row.name, "prefix": row.prefix}
            await self._shared.record("key.revoked", by=by, target=f"api_key:{row.id}", data=data)
            self._shared.revoked(Method.API_KEY, row.id, row.user_id)

    async def load(self, token: str, *, touch: bool = True) -> Actor | None:
        """The actor of a key, read from the database; None when it does not hold. touch: it is a use."""
        row = await ApiKey.filter(key_hash=digest(token)).select_related("user").first()
        if row is None or not self._holds(row):
            return None
        if touch:
            self.touches.note(row.id, row.last_used_at, self._shared.now())
        return key_actor(row, row.user)

    async def fresh(self, ids: Iterable[int]) -> dict[int, Actor]:
        """The actors of those of the keys that still hold, by id."""
        found: dict[int, Actor] = {}
        wanted = list(ids)
        for start in range(0, len(wanted), BATCH):
            rows = await ApiKey.filter(id__in=wanted[start : start + BATCH]).select_related("user")
            found |= {row.id: key_actor(row, row.user) for row in rows if self._holds(row)}
        return found

    async def flush(self) -> None:
        """Write when keys were last used."""
        for ids, at in self.touches.take():
            await ApiKey.filter(id__in=ids).update(last_used_at=at)

    async def sweep(self) -> None:
        """Delete the rows of keys that were revoked a while ago."""
        await ApiKey.filter(revoked_at__lt=self._shared.now() - KEEP_REVOKED).delete()

    def _holds(self, row: ApiKey) -> bool:
        in_time = row.expires_at is None or self._shared.now() < row.expires_at
        return row.revoked_at is None and row.user.active and in_time

    def _info(self, row: ApiKey) -> KeyInfo:
        return key_info(row, self.touches.latest(row.id, row.last_used_at))

    async def _insert(
        self, owner: User, name: str, key: NewKey, scopes: list[str] | None, expires_at: datetime | None
    ) -> ApiKey:
        return await ApiKey.create(
            pid=new_pid("key"),
            user=owner,
            name=name,
            prefix=key.prefix,
            key_hash=key.digest,
            scopes=scopes,
            created_at=self._shared.now(),
            expires_at=expires_at,
        )

    async def _owner(self, owner_id: int, by: Actor) -> User:
        """The key's owner, locked, once it is sure that both are there still and the maker may. See `create`."""
        maker_id = by.user.id if by.user is not None else owner_id
        # In one order everywhere, so that two of these cannot wait for each other.
        locked = await User.filter(id__in=[owner_id, maker_id]).order_by("id").select_for_update()
        rows = {row.id: row for row in locked}
        if by.method is not Method.SYSTEM and (by.user is None or maker_id not in rows):
            raise Unauthorized
        if (owner := rows.get(owner_id)) is None:
            raise NotFound("Target user not found")
        if not owner.active:
            raise Conflict("The user is disabled", code="USER_INACTIVE")
        if maker_id != owner_id and not within(self._shared.access, owner.role, rows[maker_id].role):
            raise Forbidden("A key may not reach further than you do: that user has wider rights than you")
        return owner

    def _scopes(self, wanted: Sequence[str] | None, by: Actor) -> list[str] | None:
        limits = by.credential.scopes if by.credential is not None else None
        if wanted is None:
            return None if limits is None else sorted(limits)
        scopes = sorted(set(wanted))
        if not 1 <= len(scopes) <= MAX_SCOPES:
            refuse("scopes", f"must have 1 to {MAX_SCOPES} entries; leave it out for all of the owner's rights")
        for scope in scopes:
            if not self._shared.access.known(scope):
                refuse("scopes", f"names no known permission: {scope[:100]!r}")
            if limits is not None and not any(_covers(limit, scope) for limit in limits):
                raise Forbidden(f"The key in use does not reach {scope!r}", details={"required": scope})
        return scopes

    def _expiry(self, wanted: datetime | None, by: Actor) -> datetime | None:
        if wanted is not None and wanted <= self._shared.now():
            refuse("expires_at", "must lie in the future")
        # A person's session ends by itself and its keys go on, by design; a key, or what a program was lent by a
        # device login, must not outlive itself by a copy.
        credential = by.credential
        lent = credential is not None and (
            by.method in (Method.API_KEY, Method.BEARER) or credential.scopes is not None
        )
        end = credential.expires_at if credential is not None and lent else None
        return min((at for at in (wanted, end) if at is not None), default=None)


def _covers(limit: str, scope: str) -> bool:
    """Whether all that `scope` names, now or with later plugins, is named by `limit` as well."""
    # What reaches everybody's objects reaches one's own.
    return patterns.matches(limit, scope) or (scope.count(":") == 2 and patterns.matches(limit, scope + ANY))
