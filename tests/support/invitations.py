"""Invites over a `desk`: made, used and accepted."""

from __future__ import annotations

from typing import Any

import pytest
from moorage.access import Actor, UserInfo
from moorage.access.actor import Credential, Method
from moorage.accounts import SYSTEM, ClientInfo, Login
from moorage.accounts.invites import InviteInfo

PASSWORD = "correct horse battery"
HOME = ClientInfo("192.0.2.1", "pytest")
BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgres"], indirect=True)


async def invite(desk: Any, by: Actor = SYSTEM, **more: Any) -> tuple[InviteInfo, str]:
    """An invite for one operator, made at the command line, and its code."""
    wanted = {"kind": "code", "role": "operator", "max_uses": 1, "expires_at": None, "note": None, **more}
    made: tuple[InviteInfo, str] = await desk.accounts.invites.create(by=by, **wanted)
    return made


async def register(desk: Any, code: str, username: str | None = "new", **more: Any) -> Login:
    """A new user by an invite."""
    wanted = {"password": PASSWORD, "email": None, "name": None, "client": HOME, **more}
    login: Login = await desk.accounts.registration.register(code, username=username, **wanted)
    return login


async def accept(desk: Any, code: str, actor: Actor) -> tuple[str, Login | None]:
    """An invite used by who is a user already."""
    done: tuple[str, Login | None] = await desk.accounts.registration.accept(code, actor, HOME)
    return done


def with_key(user: UserInfo, scopes: frozenset[str] | None = None) -> Actor:
    """A user as one of their API keys acts."""
    return Actor(user, Credential(Method.API_KEY, 1, "key_1", scopes))
