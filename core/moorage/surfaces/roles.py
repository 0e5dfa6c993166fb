"""Contracts that know two roles: what "admin" and "user" stand for when they are asked for and when they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from moorage.accounts.administration import UNSET, Unset
from moorage.dialects import OCTO

if TYPE_CHECKING:
    from moorage.access import UserInfo
    from moorage.accounts import Accounts

TwoRoles = Literal["admin", "user"]
STANDS_FOR: dict[str, str] = {"admin": "admin", "user": "operator"}


def role_change(asked: str | None, user: UserInfo) -> str | Unset:
    """The role to give to whoever shall be "admin" or "user"; UNSET where they are that already, an owner for one."""
    if asked is None or OCTO.role(user.role) == asked:
        return UNSET
    return STANDS_FOR[asked]


async def roles_behind(accounts: Accounts, shown: str | None) -> list[str] | None:
    """The roles of present users that are shown as "admin" or "user"; None for all."""
    if shown is None:
        return None
    return [role for role in await accounts.users.by_role() if OCTO.role(role) == shown]
