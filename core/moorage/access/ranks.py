"""Ranks: whom an actor may change, and which roles they may give. Rights are compared, not names of roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from moorage.access.actor import Actor, Method, UserInfo
from moorage.access.permissions import ROLES
from moorage.errors import Forbidden, Unauthorized

if TYPE_CHECKING:
    from moorage.access.service import Access

OWNER = ROLES[-1]
Reason = Literal["self", "owner", "peer", "role"]
_TEXTS: dict[Reason, str] = {
    "self": "This cannot be done to your own account",
    "owner": "Only an owner may change an owner",
    "peer": "You may not change a user whose rights are not less than yours",
    "role": "You may not give a role with wider rights than yours",
}


class RankRefused(Forbidden):
    """The actor stands too low, or it is about themselves. `reason` tells the contracts which of their texts to say."""

    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason
        super().__init__(_TEXTS[reason], details={"reason": reason})


def check_target(access: Access, by: Actor, target: UserInfo, *, own: bool = False) -> None:
    """Whether `by` may change `target`. RankRefused, Unauthorized.

    An owner may change everybody; anybody else only users whose rights are truly less than theirs. Oneself is
    nobody's target, unless own=True. The operator at the command line may do all.
    """
    if by.method is Method.SYSTEM:
        return
    if by.user is None:
        raise Unauthorized
    if by.user.id == target.id:
        if not own:
            raise RankRefused("self")
        return
    if by.user.role == OWNER:
        return
    if target.role == OWNER:
        raise RankRefused("owner")
    if not access.held_by_role(target.role) < access.held_by_role(by.user.role):
        raise RankRefused("peer")


def check_role(access: Access, by: Actor, role: str) -> None:
    """Whether `by` may make somebody a `role`: one that holds nothing which they lack. RankRefused, Unauthorized."""
    if by.method is Method.SYSTEM:
        return
    if by.user is None:
        raise Unauthorized
    if by.user.role == OWNER:
        return
    if role == OWNER or not access.held_by_role(role) <= access.held_by_role(by.user.role):
        raise RankRefused("role")
