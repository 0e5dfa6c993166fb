"""Users: prepared, stored, found. Names are unique by their folded spelling."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tortoise.exceptions import IntegrityError
from tortoise.expressions import Q
from tortoise.functions import Count, Max
from tortoise.queryset import QuerySet

from moorage.access import UserInfo
from moorage.accounts.actors import UserDetails, user_details, user_info
from moorage.accounts.models import Session, User
from moorage.accounts.names import MAX_KEY, check_email, check_name, check_username, folded, refuse, storable
from moorage.accounts.passwords import Passwords, check_password
from moorage.accounts.secrets import new_pid
from moorage.accounts.shared import Shared
from moorage.accounts.touches import BATCH
from moorage.errors import Conflict


async def find_row(login: str) -> User | None:
    """The user of a username or e-mail address. Usernames hold no "@", so it is never both."""
    if len(login) > MAX_KEY or not storable(login) or len(key := folded(login)) > MAX_KEY:
        return None
    return await (User.filter(email_key=key) if "@" in key else User.filter(username_key=key)).first()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which users a list shows. roles: any of these; search: part of a username, name or address, however spelled."""

    roles: Collection[str] | None = None
    active: bool | None = None
    search: str | None = None
    user_id: int | None = None
    newest_first: bool = False


EVERYBODY = Wanted()


class Users:
    """The rows of `core_users`."""

    def __init__(self, shared: Shared, passwords: Passwords) -> None:
        self._shared = shared
        self._passwords = passwords

    async def prepare(
        self, username: str, *, password: str | None, email: str | None, role: str, name: str | None
    ) -> User:
        """A checked row that is not stored yet. ValidationFailed names the field."""
        username = check_username(username)
        email = check_email(email) if email is not None else None
        name = check_name(name) if name is not None else username
        self._check_role(role)
        if password is not None:
            check_password(
                password, min_length=self._shared.settings.password_min_length, names=(username, email, name)
            )
        now = self._shared.now()
        return User(
            pid=new_pid("user"),
            username=username,
            username_key=folded(username),
            email=email,
            email_key=folded(email) if email is not None else None,
            name=name,
            role=role,
            password_hash=None if password is None else await self.hash(password),
            created_at=now,
            updated_at=now,
        )

    async def insert(self, row: User) -> None:
        """Store a prepared row. Conflict when the username or address is taken. Inside a transaction."""
        if await User.filter(username_key=row.username_key).exists():
            raise Conflict("This username is taken", code="USERNAME_EXISTS")
        if row.email_key is not None and await User.filter(email_key=row.email_key).exists():
            raise Conflict("This e-mail address is taken", code="EMAIL_EXISTS")
        try:
            await row.save(force_create=True)
        except IntegrityError as error:
            # Somebody was faster by a hair (PostgreSQL), with the name or with the address.
            raise Conflict("This username or e-mail address is taken", code="USERNAME_EXISTS") from error

    async def get(self, user_id: int) -> UserInfo | None:
        """The user with this id."""
        row = await User.get_or_none(id=user_id)
        return None if row is None else user_info(row)

    async def find(self, login: str) -> UserInfo | None:
        """The user with this username or e-mail address."""
        row = await find_row(login)
        return None if row is None else user_info(row)

    async def find_pid(self, pid: str) -> UserInfo | None:
        """The user with this string id."""
        if len(pid) > 32 or not storable(pid):
            return None
        row = await User.get_or_none(pid=pid)
        return None if row is None else user_info(row)

    async def page(
        self, wanted: Wanted | None = None, *, offset: int = 0, limit: int = 100
    ) -> tuple[list[UserDetails], int]:
        """Users, oldest first, and how many there are in all."""
        query = _chosen(wanted or Wanted())
        rows = await query.order_by("-id" if wanted and wanted.newest_first else "id").offset(offset).limit(limit)
        return await self._details(rows), await query.count()

    async def details(self, user_id: int) -> UserDetails | None:
        """One user with all that is known."""
        row = await User.get_or_none(id=user_id)
        return None if row is None else (await self._details([row]))[0]

    async def states(self, ids: Collection[int]) -> dict[int, bool]:
        """Whether each of these users is active; those that are gone are not in it."""
        found: dict[int, bool] = {}
        wanted = sorted(ids)
        for start in range(0, len(wanted), BATCH):
            query = User.filter(id__in=wanted[start : start + BATCH])
            found |= {int(id): bool(active) for id, active in await query.values_list("id", "active")}
        return found

    async def names(self, ids: Collection[int]) -> dict[int, str]:
        """Usernames by id; those that are gone are not in it."""
        found: dict[int, str] = {}
        wanted = sorted(ids)
        for start in range(0, len(wanted), BATCH):
            query = User.filter(id__in=wanted[start : start + BATCH])
            found |= {int(id): str(name) for id, name in await query.values_list("id", "username")}
        return found

    async def labels(self, ids: Collection[int]) -> dict[int, tuple[str, str]]:
        """(pid, username) by id; those that are gone are not in it."""
        found: dict[int, tuple[str, str]] = {}
        wanted = sorted(ids)
        for start in range(0, len(wanted), BATCH):
            query = User.filter(id__in=wanted[start : start + BATCH])
            found |= {
                int(id): (str(pid), str(name)) for id, pid, name in await query.values_list("id", "pid", "username")
            }
        return found

    async def by_role(self, *, active: bool | None = None) -> dict[str, int]:
        """How many users there are of each role (of the active or disabled ones)."""
        query = User.all() if active is None else User.filter(active=active)
        counted = await query.annotate(found=Count("id")).group_by("role").values_list("role", "found")
        return {str(role): int(found) for role, found in counted}

    async def _details(self, rows: Sequence[User]) -> list[UserDetails]:
        seen = await self._last_seen([row.id for row in rows])
        return [user_details(row, seen.get(row.id)) for row in rows]

    async def _last_seen(self, ids: Sequence[int]) -> dict[int, datetime]:
        found: dict[int, datetime] = {}
        for start in range(0, len(ids), BATCH):
            query = Session.filter(user_id__in=ids[start : start + BATCH]).annotate(seen=Max("last_seen_at"))
            for user_id, seen in await query.group_by("user_id").values_list("user_id", "seen"):
                found[user_id] = _aware(seen)
        return found

    async def count(self) -> int:
        """How many users there are, disabled ones included."""
        return await User.all().count()

    async def hash(self, password: str) -> str:
        """The hash of a checked password, when a turn is free. Unavailable when too many wait."""
        async with self._passwords.slot():
            return await self._passwords.hash(password)

    def _check_role(self, role: str) -> None:
        if not self._shared.access.is_role(role):
            refuse("role", f"must be one of {', '.join(self._shared.access.roles())}")


def _chosen(wanted: Wanted) -> QuerySet[User]:
    query = User.all()
    if wanted.roles is not None:
        # PostgreSQL cannot even be asked for what it cannot store.
        query = query.filter(role__in=[role for role in wanted.roles if storable(role)] or [""])
    if wanted.active is not None:
        query = query.filter(active=wanted.active)
    if wanted.user_id is not None:
        query = query.filter(id=wanted.user_id)
    if wanted.search:
        text, key = wanted.search[:MAX_KEY], folded(wanted.search)[:MAX_KEY]
        if not storable(text):
            return query.filter(id=0)
        query = query.filter(Q(username_key__contains=key) | Q(email_key__contains=key) | Q(name__icontains=text))
    return query


def _aware(at: datetime | str) -> datetime:
    # SQLite has no type for times: what an aggregate gives is the stored text.
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
