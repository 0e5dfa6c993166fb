"""Who may invite into which role, and when an invite holds."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta

from tortoise.expressions import F, Q

from moorage.access import Actor, Method, patterns
from moorage.access.permissions import ROLES
from moorage.accounts.models import Invite
from moorage.accounts.names import refuse, storable
from moorage.accounts.shared import Shared
from moorage.errors import Forbidden, Unauthorized

VALID = "valid"
MAX_USES = 1_000_000
MAX_AHEAD = timedelta(days=3650)
MAX_NOTE = 200
MANAGE = "core:invite:manage"
ADMIN, OWNER = ROLES[-2:]


class InviteRules:
    """Nobody invites above themselves: the maker's role holds all that the invited role holds.

    Roles with all of an admin's rights are given by owners alone, and the owner's by nobody. That is asked again
    when an invite is redeemed: one whose maker was demoted or disabled since holds no more, until they are what
    they were.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def check(self, by: Actor, role: str, max_uses: int | None, expires_at: datetime | None, note: str | None) -> None:
        """Whether `by` may make such an invite. ValidationFailed, Forbidden."""
        self._check_role(by, role)
        if max_uses is not None and not 1 <= max_uses <= MAX_USES:
            refuse("max_uses", f"must be 1 to {MAX_USES}")
        now = self._shared.now()
        if expires_at is not None and not now < expires_at <= now + MAX_AHEAD:
            refuse("expires_at", f"must lie in the future, at most {MAX_AHEAD.days} days ahead")
        if note is not None:
            _check_note(note)

    def _check_role(self, by: Actor, role: str) -> None:
        access = self._shared.access
        if role == OWNER or not access.is_role(role):
            refuse("role", f"must be one of {', '.join(name for name in access.roles() if name != OWNER)}")
        if by.method is Method.SYSTEM:
            return
        if by.user is None:
            raise Unauthorized
        if (refusal := self.refusal(by, role)) is not None:
            raise Forbidden(refusal, details=None if role == ADMIN else {"role": role})

    def refusal(self, by: Actor, role: str) -> str | None:
        """Why a user, with the credential in use, may not invite into `role`; None when they may."""
        if by.user is None or not self.may_invite(by.user.role, role):
            owners = role == ADMIN
            return "Only owner can create admin invites" if owners else "An invite may not reach further than you do"
        scopes = by.credential.scopes if by.credential is not None else None
        invited = self._shared.access.held_by_role(role)
        if scopes is not None and not invited <= patterns.expand(scopes, list(invited)):
            return "An invite may not reach further than the key in use"
        return None

    def may_invite(self, maker: str, role: str) -> bool:
        """Whether users of the role `maker` may invite into `role`."""
        access, held = self._shared.access, self._shared.access.held_by_role
        if role == OWNER or not access.is_role(role):
            return False
        if maker == OWNER:
            return True
        if MANAGE not in held(maker) or not held(role) <= held(maker) or held(ADMIN) <= held(role):
            return False
        # Rights that no plugin declares yet will come with the place on the ladder.
        return access.rung(role) <= access.rung(maker) and access.rung(role) < ROLES.index(ADMIN)

    def grows(self, before: str, after: str) -> bool:
        """Whether a role holds all that another holds, and more: now, and by its place on the ladder."""
        access = self._shared.access
        held, new = access.held_by_role(before), access.held_by_role(after)
        low, high = access.rung(before), access.rung(after)
        return held <= new and low <= high and (held, low) != (new, high)

    def state(self, row: Invite) -> str:
        """VALID, or why it lets nobody in. The row's maker was read with it."""
        if row.revoked_at is not None or not self._backed(row):
            return "revoked"
        if row.expires_at is not None and row.expires_at <= self._shared.now():
            return "expired"
        if row.max_uses is not None and row.used_count >= row.max_uses:
            return "exhausted"
        return VALID

    def _backed(self, row: Invite) -> bool:
        """Whether whoever made it could make it now."""
        if row.created_by_id is None:
            return row.role != OWNER and self._shared.access.is_role(row.role)
        maker = row.created_by
        return maker is not None and maker.active and self.may_invite(maker.role, row.role)

    def valid(self) -> Q:
        """`state(row) == VALID` as a condition of a query."""
        roles = self._shared.access.roles()
        backed = Q(created_by_id__isnull=True, role__in=[role for role in roles if role != OWNER])
        for maker in roles:
            if invited := [role for role in roles if self.may_invite(maker, role)]:
                backed |= Q(created_by__role=maker, created_by__active=True, role__in=invited)
        free = Q(max_uses__isnull=True) | Q(used_count__lt=F("max_uses"))
        in_time = Q(expires_at__isnull=True) | Q(expires_at__gt=self._shared.now())
        return Q(backed, free, in_time, revoked_at__isnull=True)


def _check_note(note: str) -> None:
    if len(note) > MAX_NOTE:
        refuse("note", f"may have at most {MAX_NOTE} characters")
    if not storable(note) or any(unicodedata.category(char) == "Cc" for char in note):
        refuse("note", "may not hold control characters")
