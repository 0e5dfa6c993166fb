"""What one user may do to another: make, change, disable, delete. The rules of rank hold, and one owner remains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q

from moorage.access import Actor, UserInfo
from moorage.access.ranks import OWNER, check_role, check_target
from moorage.accounts.actors import user_info
from moorage.accounts.attempts import Attempts, login_keys
from moorage.accounts.invites import revoke_of
from moorage.accounts.models import User
from moorage.accounts.names import check_email, check_name, check_username, folded, refuse, storable
from moorage.accounts.passwords import check_password
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import Shared
from moorage.accounts.users import Users
from moorage.context import current_actor
from moorage.errors import Conflict, Forbidden, NotFound
from moorage.events import Topic

MANAGE, PROFILES = "core:user:manage", "core:user:update:any"
MAX_SETTINGS = 65_536
MAX_URL = 2048


class Unset:
    """The type of UNSET."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()
"""A field that is left as it is (None empties one)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is to be changed about a user; all of it or nothing."""

    username: str | Unset = UNSET
    name: str | Unset = UNSET
    email: str | Unset | None = UNSET
    avatar_url: str | Unset | None = UNSET
    settings: str | Unset | None = UNSET
    nexusgate_user_id: str | Unset | None = UNSET
    role: str | Unset = UNSET
    active: bool | Unset = UNSET
    password: str | Unset = UNSET

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        every = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in every if not isinstance(value, Unset)}


class Administration:
    """Changes to the rows of `core_users`. `by` None is whoever makes the current request."""

    def __init__(self, shared: Shared, users: Users, sessions: Sessions, attempts: Attempts) -> None:
        self._shared = shared
        self._users = users
        self._sessions = sessions
        self._attempts = attempts

    async def create(
        self,
        username: str,
        *,
        password: str | None,
        email: str | None = None,
        role: str = "operator",
        name: str | None = None,
        by: Actor | None = None,
    ) -> UserInfo:
        """A new user; password None means that no password opens the account.

        ValidationFailed, Conflict (the name or address is taken), RankRefused (a role above one's own).
        """
        by = by or current_actor()
        if self._shared.access.is_role(role):
            check_role(self._shared.access, by, role)
        row = await self._users.prepare(username, password=password, email=email, role=role, name=name)
        async with self._shared.db.transaction():
            if by.user is not None:
                now = _now(by, await User.filter(id=by.user.id).select_for_update())
                check_role(self._shared.access, now, role)
                self._check_still(by, now, MANAGE)
            await self._users.insert(row)
            data = {"username": row.username, "role": row.role}
            await self._shared.record("user.created", by=by, target=f"user:{row.id}", data=data)
        return user_info(row)

    async def change(self, user_id: int, changes: Changes, *, by: Actor | None = None) -> UserInfo:
        """Change a user; it counts at once, on open sockets too. All sessions end with a new password or disabling.

        NotFound, ValidationFailed, Conflict (taken names, the last owner), RankRefused. Oneself may change only the
        profile (name, avatar, settings): the rest has ways of its own, or is for somebody else to do.
        """
        by = by or current_actor()
        given = changes.given()
        await self._check(user_id, given)
        hashed = await self._users.hash(given["password"]) if "password" in given else None
        async with self._shared.db.transaction():
            losing = ("role" in given and given["role"] != OWNER) or given.get("active") is False
            row, now = await self._lock(user_id, by, losing_owner=losing, profile=given.keys() <= _PROFILE)
            if given.keys() & _WAYS_IN:
                check_role(self._shared.access, now, row.role)
            if "role" in given and given["role"] != row.role:
                check_role(self._shared.access, now, given["role"])
            if hashed is not None:
                row.password_hash = hashed
            await self._apply(row, given, by)
        return user_info(row)

    async def delete(self, user_id: int, *, by: Actor | None = None) -> None:
        """Delete a user with sessions, keys and identities; their invites end. Plugins hear `Topic.USER_DELETED`.

        NotFound, Conflict (the last owner), RankRefused.
        """
        by = by or current_actor()
        async with self._shared.db.transaction():
            row, _ = await self._lock(user_id, by, losing_owner=True)
            data = {"username": row.username, "role": row.role}
            await revoke_of(row.id, self._shared.now())
            await row.delete()
            await self._shared.record("user.deleted", by=by, target=f"user:{row.id}", data=data)
            told = {"user_id": row.id, "pid": row.pid}
            self._shared.db.after_commit(lambda: self._shared.bus.publish(Topic.USER_DELETED, told))

    async def _check(self, user_id: int, given: dict[str, Any]) -> None:
        """Bring the fields into their stored form. Before the transaction: hashing takes its time."""
        known = await User.get_or_none(id=user_id)
        if known is None:
            raise NotFound("User not found")
        for field, check in _CHECKS.items():
            if given.get(field) is not None:
                given[field] = check(given[field])
        if "role" in given and not self._shared.access.is_role(given["role"]):
            refuse("role", f"must be one of {', '.join(self._shared.access.roles())}")
        if "password" in given:
            names = [given.get(key) or getattr(known, key) for key in ("username", "email", "name")]
            check_password(given["password"], min_length=self._shared.settings.password_min_length, names=names)

    async def _lock(
        self, user_id: int, by: Actor, *, losing_owner: bool = False, profile: bool = False
    ) -> tuple[User, Actor]:
        """The row, locked until the end of the transaction, and the actor of now, once the rules of rank are kept.

        All rows that matter are locked in one order, lowest id first: of two who demote each other at the same
        moment one sees what the other did. Conflict when the last active owner would be lost. profile: no more than
        that is changed, which everybody may do to their own.
        """
        wanted = Q(id__in=[user_id] if by.user is None else [user_id, by.user.id])
        if losing_owner:
            wanted |= Q(role=OWNER, active=True)
        rows = await User.filter(wanted).order_by("id").select_for_update()
        row = next((row for row in rows if row.id == user_id), None)
        if row is None:
            raise NotFound("User not found")
        now = _now(by, rows)
        check_target(self._shared.access, now, user_info(row), own=profile)
        if now.user is None or now.user.id != user_id:
            self._check_still(by, now, PROFILES if profile else MANAGE)
        if losing_owner and [other.id for other in rows if other.role == OWNER and other.active] == [user_id]:
            raise Conflict("The last active owner cannot be demoted, disabled or deleted", code="LAST_OWNER")
        return row, now

    def _check_still(self, by: Actor, now: Actor, needed: str) -> None:
        """Forbidden for an actor whose role changed since the request began, and lacks the permission for it now."""
        changed = now.user is not None and by.user is not None and now.user.role != by.user.role
        if changed and not self._shared.access.holds(now, needed):
            raise Forbidden(f"You need the permission {needed}", details={"required": needed})

    async def _apply(self, row: User, given: dict[str, Any], by: Actor) -> None:
        """Store what differs, write it down and tell everybody."""
        before = {field: getattr(row, field) for field in given if field != "password"}
        changed = sorted(field for field, old in before.items() if given[field] != old)
        if not changed and "password" not in given:
            return
        for field in changed:
            setattr(row, field, given[field])
        await self._unique(row, changed)
        row.updated_at = self._shared.now()
        try:
            await row.save()
        except IntegrityError as error:
            raise Conflict("This username or e-mail address is taken", code="USERNAME_EXISTS") from error
        target = f"user:{row.id}"
        if "role" in changed:
            data = {"before": before["role"], "role": row.role}
            await self._shared.record("user.role_changed", by=by, target=target, data=data)
        if "active" in changed:
            await self._shared.record("user.enabled" if row.active else "user.disabled", by=by, target=target)
        if "password" in given:
            await self._shared.record("user.password_changed", by=by, target=target)
            names = [name for name in (row.username, row.email) if name is not None]
            await self._attempts.forget([login_keys(name, "")[0] for name in names])
        if rest := [field for field in changed if field not in ("role", "active")]:
            await self._shared.record("user.updated", by=by, target=target, data={"fields": rest})
        if "password" in given or ("active" in changed and not row.active):
            await self._sessions.end_all(row.id, "password changed" if "password" in given else "user disabled")
        self._shared.user_changed(row.id)

    async def _unique(self, row: User, changed: Sequence[str]) -> None:
        """Names that are looked up by their folded spelling, and told apart by it. Conflict."""
        others = User.exclude(id=row.id)
        if "username" in changed:
            row.username_key = folded(row.username)
            if await others.filter(username_key=row.username_key).exists():
                raise Conflict("This username is taken", code="USERNAME_EXISTS")
        if "email" in changed:
            row.email_key = folded(row.email) if row.email else None
            if row.email_key is not None and await others.filter(email_key=row.email_key).exists():
                raise Conflict("This e-mail address is taken", code="EMAIL_EXISTS")
        linked = row.nexusgate_user_id if "nexusgate_user_id" in changed else None
        if linked is not None and await others.filter(nexusgate_user_id=linked).exists():
            raise Conflict("Another user is linked to this NEXUSGATE id", code="NEXUSGATE_ID_EXISTS")


def _now(by: Actor, rows: Sequence[User]) -> Actor:
    """The actor with the role of this moment: it may have changed since the request began."""
    if by.user is None:
        return by
    row = next((row for row in rows if row.id == by.user.id and row.active), None)
    return Actor(user_info(row) if row is not None else None, by.credential)


def _avatar(url: str) -> str:
    plain = storable(url) and len(url) <= MAX_URL and url.isprintable() and " " not in url
    try:
        parts = urlsplit(url) if plain else None
    except ValueError:  # Brackets without an IPv6 address, letters that hide a delimiter.
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc:
        refuse("avatar_url", f"must be an http or https address of at most {MAX_URL} characters")
    return url


def _settings(text: str) -> str:
    if len(text) > MAX_SETTINGS or not storable(text):
        refuse("settings", f"must be text of at most {MAX_SETTINGS} characters")
    return text


def _nexusgate(text: str) -> str:
    if not 1 <= len(text) <= 36 or not text.isascii() or not all(char.isalnum() or char == "-" for char in text):
        refuse("nexusgate_user_id", "must be an id of at most 36 letters, digits and dashes")
    return text


_PROFILE = {"name", "avatar_url", "settings"}
_WAYS_IN = {"username", "email", "password", "nexusgate_user_id"}
"""Whoever sets these can sign in as the user."""
_CHECKS = {
    "username": check_username,
    "email": check_email,
    "name": check_name,
    "avatar_url": _avatar,
    "settings": _settings,
    "nexusgate_user_id": _nexusgate,
}
