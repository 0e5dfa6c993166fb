"""Ranks: whom an actor may change, and which roles they may give. Rights and places are compared, not names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from moorage.access import patterns
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
    if not within(access, target.role, by.user.role) or within(access, by.user.role, target.role):
        raise RankRefused("peer")


def check_reach(access: Access, by: Actor, target: UserInfo) -> None:
    """Whether `by` may end what another user holds (keys, sessions): theirs who do not stand higher. RankRefused."""
    if by.method is Method.SYSTEM:
        return
    if by.user is None:
        raise Unauthorized
    if by.user.id != target.id and not within(access, target.role, by.user.role):
        raise RankRefused("owner" if target.role == OWNER else "peer")


def check_role(access: Access, by: Actor, role: str) -> None:
    """Whether `by` may make somebody a `role`: one that holds nothing which they lack. RankRefused, Unauthorized.

    A limited credential gives no more than it has: whoever it lets in would otherwise do what it may not.
    """
    if by.method is Method.SYSTEM:
        return
    if by.user is None:
        raise Unauthorized
    if not within(access, role, by.user.role):
        raise RankRefused("role")
    scopes = by.credential.scopes if by.credential is not None else None
    if scopes is None or "*" in scopes:
        return
    rights = access.held_by_role(role)
    if role == OWNER or not rights <= patterns.expand(scopes, rights):
        raise RankRefused("role")


def within(access: Access, role: str, other: str) -> bool:
    """Whether `role` has nothing that `other` has not: of the rights there are, and by its place on the ladder.

    Rights that no plugin declares yet come with the place: without plugins a viewer holds what an operator holds.
    """
    if other == OWNER:
        return True
    held = access.held_by_role
    return role != OWNER and held(role) <= held(other) and access.rung(role) <= access.rung(other)
