"""Invites: made, listed, revoked, redeemed; one table behind three spellings."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from tortoise.exceptions import IntegrityError
from tortoise.expressions import F, Q

from moorage.access import Actor, UserInfo
from moorage.accounts.actors import user_info
from moorage.accounts.attempts import Attempts, network
from moorage.accounts.invite_rules import VALID, InviteRules
from moorage.accounts.models import Invite, InviteUse
from moorage.accounts.names import refuse, storable
from moorage.accounts.sealing import WrongSecret
from moorage.accounts.secrets import MAX_TOKEN, digest, new_pid
from moorage.accounts.shared import Shared
from moorage.context import current_actor
from moorage.errors import BadRequest, Conflict, NotFound

CODE, LINK = "code", "link"
"""Kinds: a code is typed and shown again in lists; a link's token is told once, when it is made."""
MAX_BATCH = 100

_OWN_CODE = re.compile(r"[A-Za-z0-9_-]{4,64}")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 signs that nobody takes for one another."""
_TEXTS = {
    "not_found": "Invite code not found",
    "revoked": "Invite code has been revoked",
    "expired": "Invite code has expired",
    "exhausted": "Invite code has been fully used",
}


class InviteRefused(BadRequest):
    """This invite lets nobody in. `reason`: not_found, revoked, expired or exhausted; also in the details."""

    code = "INVALID_INVITE"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(_TEXTS[reason], details={"reason": reason})


@dataclass(frozen=True, slots=True)
class InviteInfo:
    """An invite as those who manage them see it.

    code: of kind "code" only; None where the secret that sealed it is another one now, and for who makes the current
    request and may not make such an invite. created_by: None for
    the operator at the command line, and for a user who is no more. state: "valid" or the reason of a refusal, when
    it was read; "revoked" also while its maker may not make it (see `InviteRules`).
    """

    id: int
    pid: str
    kind: str
    code: str | None
    role: str
    note: str | None
    max_uses: int | None
    used_count: int
    created_by: UserInfo | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    state: str

    def __repr__(self) -> str:
        return f"InviteInfo({self.pid}, {self.state})"


@dataclass(frozen=True, slots=True)
class InvitedUser:
    """Who came in by an invite, and when."""

    user: UserInfo
    at: datetime


class Invites:
    """The rows of `core_invites`. Who may invite whom is in `InviteRules`."""

    def __init__(self, shared: Shared, attempts: Attempts) -> None:
        self._shared = shared
        self._attempts = attempts
        self.rules = InviteRules(shared)

    # -- made and managed ---------------------------------------------------------------------------------------

    async def create(
        self,
        *,
        kind: str,
        role: str,
        max_uses: int | None,
        expires_at: datetime | None,
        note: str | None,
        code: str | None = None,
        by: Actor | None = None,
    ) -> tuple[InviteInfo, str]:
        """A new invite, and its code or token (a link's is told only now). max_uses None: as many as want.

        code: of one's own, for kind "code". ValidationFailed, Forbidden (role), Conflict (the code is taken).
        """
        by = by or current_actor()
        if code is not None and not (kind == CODE and _OWN_CODE.fullmatch(code)):
            refuse("code", "must have 4 to 64 characters of A-Z, a-z, 0-9, _ and -")
        self.rules.check(by, role, max_uses, expires_at, note)
        text = code or (_random(12) if kind == CODE else secrets.token_urlsafe(16))
        async with self._shared.db.transaction():
            row = await self._insert(kind, text, role, max_uses, expires_at, note, by)
        return await self.get(row.id), text

    async def create_batch(
        self,
        count: int,
        *,
        prefix: str | None,
        role: str,
        max_uses: int | None,
        expires_at: datetime | None,
        note: str | None,
        by: Actor | None = None,
    ) -> list[InviteInfo]:
        """So many codes, all or none: `PREFIX-xxxxxxxx`, or without a prefix. Errors as of `create`."""
        by = by or current_actor()
        if not 1 <= count <= MAX_BATCH:
            refuse("count", f"must be 1 to {MAX_BATCH}")
        if prefix is not None and not _PREFIX.fullmatch(prefix):
            refuse("prefix", "must have 1 to 32 characters of A-Z, a-z, 0-9, _ and -")
        self.rules.check(by, role, max_uses, expires_at, note)
        async with self._shared.db.transaction():
            rows = []
            for _ in range(count):
                text = f"{prefix}-{_random(8)}" if prefix is not None else _random(12)
                rows.append(await self._insert(CODE, text, role, max_uses, expires_at, note, by))
        made = Invite.filter(id__in=[row.id for row in rows]).select_related("created_by").order_by("id")
        return [self._info(row) for row in await made]

    async def page(
        self, *, created_by: str | None = None, valid: bool | None = None, offset: int = 0, limit: int = 100
    ) -> tuple[list[InviteInfo], int]:
        """Invites, newest first, and how many there are in all. created_by: the string id of their maker."""
        query = Invite.all().select_related("created_by")
        if created_by is not None:
            if len(created_by) > 32 or not storable(created_by):
                return [], 0
            query = query.filter(created_by__pid=created_by)
        if valid is not None:
            query = query.filter(self.rules.valid() if valid else ~self.rules.valid())
        rows = await query.order_by("-id").offset(offset).limit(limit)
        return [self._info(row) for row in rows], await query.count()

    async def stats(self) -> tuple[int, int]:
        """How many there are, and how many of them let somebody in now."""
        return await Invite.all().count(), await Invite.filter(self.rules.valid()).count()

    async def get(self, key: int | str) -> InviteInfo:
        """The invite with this id or string id. NotFound."""
        return self._info(await self._row(key))

    async def find(self, code: str) -> InviteInfo | None:
        """The invite with this code or token, whatever its state."""
        row = await self._by_code(code)
        return None if row is None else self._info(row)

    async def invited(self, invite_id: int, *, limit: int = 100) -> list[InvitedUser]:
        """Who came in by it, first ones first."""
        rows = await InviteUse.filter(invite_id=invite_id).select_related("user").order_by("id").limit(limit)
        return [InvitedUser(user_info(row.user), row.at) for row in rows]

    async def revoke(self, key: int | str, *, by: Actor | None = None) -> bool:
        """It lets nobody in any more; False when that was so before. NotFound."""
        row = await self._row(key)
        async with self._shared.db.transaction():
            if not await Invite.filter(id=row.id, revoked_at__isnull=True).update(revoked_at=self._shared.now()):
                return False
            await self._shared.record("invite.revoked", by=by, target=f"invite:{row.id}", data=_data(row))
        return True

    async def delete(self, key: int | str, *, by: Actor | None = None) -> None:
        """Remove it, and the record of who came by it; those users stay. NotFound."""
        row = await self._row(key)
        async with self._shared.db.transaction():
            if not await Invite.filter(id=row.id).delete():
                raise _missing()
            await self._shared.record("invite.deleted", by=by, target=f"invite:{row.id}", data=_data(row))

    # -- redeemed -----------------------------------------------------------------------------------------------

    async def check(self, code: str) -> InviteInfo:
        """What a code is worth now: look at `state`. An unknown one has the id 0. Callers bound the guessing."""
        row = await self._by_code(code)
        if row is None:
            now = self._shared.now()
            return InviteInfo(0, "", "", None, "", None, None, 0, None, now, None, None, "not_found")
        return self._info(row)

    async def probe(self, code: str, address: str) -> InviteInfo:
        """As `check`, for strangers: unknown codes are counted for their address. TooManyRequests after many."""
        keys = [f"address:invite:{network(address)}"[:80]]
        await self._attempts.check(keys)
        info = await self.check(code)
        if info.state == "not_found":
            await self._attempts.failed(keys)
        return info

    async def admit(self, code: str, address: str) -> InviteInfo:
        """As `probe`, and InviteRefused (written down, without the code) for an invite that is not valid."""
        info = await self.probe(code, address)
        if info.state != VALID:
            await self.note_refusal(info.state, info.id)
            raise InviteRefused(info.state)
        return info

    async def note_refusal(self, reason: str, invite_id: int = 0) -> None:
        """Write down that somebody was not let in. Outside of the transaction that was undone for it."""
        target = f"invite:{invite_id}" if invite_id else None
        await self._shared.record("invite.refused", by=None, target=target, data={"reason": reason})

    async def take(self, code: str) -> Invite:
        """Count one use. InviteRefused. Inside the transaction that makes the user: one undone gives the use back."""
        row = await self._by_code(code)
        if row is None:
            raise InviteRefused("not_found")
        if (state := self.rules.state(row)) != VALID:
            raise InviteRefused(state)
        # What was read may be old; what counts is whether this statement still finds it so (PostgreSQL waits here
        # for whoever is before us, and looks again).
        free = Q(max_uses__isnull=True) | Q(used_count__lt=F("max_uses"))
        in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=self._shared.now())
        held = Invite.filter(free, in_time, id=row.id, revoked_at__isnull=True)
        if not await held.update(used_count=F("used_count") + 1):
            row = await Invite.filter(id=row.id).select_related("created_by").first()
            state = "not_found" if row is None else self.rules.state(row)
            raise InviteRefused(state if state != VALID else "exhausted")
        return row

    async def note_use(self, invite: Invite, user_id: int, *, by: Actor | None = None) -> None:
        """Write down who used it. Conflict when this user did before. Inside the transaction of `take`."""
        try:
            await InviteUse.create(invite_id=invite.id, user_id=user_id, at=self._shared.now())
        except IntegrityError as error:
            raise Conflict("This user came in by this invite before", code="INVITE_USED") from error
        await self._shared.record("invite.redeemed", by=by, target=f"invite:{invite.id}", data={"user_id": user_id})

    async def used_by(self, invite_id: int, user_id: int) -> bool:
        """Whether this user came in by it before."""
        return await InviteUse.filter(invite_id=invite_id, user_id=user_id).exists()

    # -- how ----------------------------------------------------------------------------------------------------

    async def _insert(
        self,
        kind: str,
        text: str,
        role: str,
        max_uses: int | None,
        expires_at: datetime | None,
        note: str | None,
        by: Actor,
    ) -> Invite:
        try:
            row = await Invite.create(
                pid=new_pid("inv"),
                kind=kind,
                code_hash=self._hash(kind, text),
                code_sealed=self._shared.seal.seal(text) if kind == CODE else None,
                role=role,
                note=note,
                max_uses=max_uses,
                created_by_id=by.user.id if by.user is not None else None,
                created_at=self._shared.now(),
                expires_at=expires_at,
            )
        except IntegrityError as error:
            raise Conflict("This invite code is taken", code="INVITE_EXISTS") from error
        await self._shared.record("invite.created", by=by, target=f"invite:{row.id}", data=_data(row))
        return row

    async def _row(self, key: int | str) -> Invite:
        # Tortoise refuses to look for what is longer than the column.
        if isinstance(key, str) and (len(key) > 32 or not storable(key)):
            raise _missing()
        query = Invite.filter(id=key) if isinstance(key, int) else Invite.filter(pid=key)
        row = await query.select_related("created_by").first()
        if row is None:
            raise _missing()
        return row

    async def _by_code(self, code: str) -> Invite | None:
        if len(code) > MAX_TOKEN:
            return None
        exact = Q(kind=LINK, code_hash=self._hash(LINK, code))
        folded = Q(kind=CODE, code_hash=self._hash(CODE, code.strip()))
        return await Invite.filter(exact | folded).select_related("created_by").first()

    def _hash(self, kind: str, text: str) -> str:
        """A code as it is stored, in any spelling. A link's token has 128 random bits and is exact."""
        return self._shared.seal.code_digest(text.upper()) if kind == CODE else digest(text)

    def _info(self, row: Invite) -> InviteInfo:
        return InviteInfo(
            id=row.id,
            pid=row.pid,
            kind=row.kind,
            code=self._opened(row),
            role=row.role,
            note=row.note,
            max_uses=row.max_uses,
            used_count=row.used_count,
            created_by=user_info(row.created_by) if row.created_by is not None else None,
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            state=self.rules.state(row),
        )

    def _opened(self, row: Invite) -> str | None:
        # A code is worth its role: who may not give that must not be shown it.
        by = current_actor()
        if row.code_sealed is None or (by.user is not None and self.rules.refusal(by, row.role) is not None):
            return None
        try:
            return self._shared.seal.open(row.code_sealed)
        except WrongSecret:
            return None


async def revoke_of(user_id: int, at: datetime) -> int:
    """Revoke all that a user made, because the user goes; how many. Inside a transaction.

    A row whose maker is deleted looks like one of the command line, which nobody's demotion ends.
    """
    return await Invite.filter(created_by_id=user_id, revoked_at__isnull=True).update(revoked_at=at)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _data(row: Invite) -> dict[str, object]:
    return {"kind": row.kind, "role": row.role, "max_uses": row.max_uses}


def _missing() -> NotFound:
    return NotFound("Invite not found")
