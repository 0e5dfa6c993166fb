"""Users: made, found, changed. Names are unique by their folded spelling; one active owner always remains."""

from __future__ import annotations

from tortoise.exceptions import IntegrityError

from moorage.access import Actor, UserInfo
from moorage.access.permissions import ROLES
from moorage.accounts.actors import user_info
from moorage.accounts.attempts import Attempts, login_keys
from moorage.accounts.models import User
from moorage.accounts.names import MAX_KEY, check_email, check_name, check_username, folded, refuse, storable
from moorage.accounts.passwords import Passwords, check_password
from moorage.accounts.secrets import new_pid
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import Shared
from moorage.errors import Conflict, NotFound

OWNER = ROLES[-1]


async def find_row(login: str) -> User | None:
    """The user of a username or e-mail address. Usernames hold no "@", so it is never both."""
    if len(login) > MAX_KEY or not storable(login) or len(key := folded(login)) > MAX_KEY:
        return None
    return await (User.filter(email_key=key) if "@" in key else User.filter(username_key=key)).first()


class Users:
    """The rows of `core_users`."""

    def __init__(self, shared: Shared, passwords: Passwords, sessions: Sessions, attempts: Attempts) -> None:
        self._shared = shared
        self._passwords = passwords
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
        """A new user; password None means that no password opens the account. ValidationFailed, Conflict."""
        row = await self.prepare(username, password=password, email=email, role=role, name=name)
        async with self._shared.db.transaction():
            await self.insert(row)
            data = {"username": row.username, "role": row.role}
            await self._shared.record("user.created", by=by, target=f"user:{row.id}", data=data)
        return user_info(row)

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
            password_hash=await self._hash(password),
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

    async def page(self, *, offset: int = 0, limit: int = 100) -> tuple[list[UserInfo], int]:
        """Users, oldest first, and how many there are in all."""
        rows = await User.all().order_by("id").offset(offset).limit(limit)
        return [user_info(row) for row in rows], await self.count()

    async def count(self) -> int:
        """How many users there are, disabled ones included."""
        return await User.all().count()

    async def set_role(self, user_id: int, role: str, *, by: Actor | None = None) -> UserInfo:
        """Give a user another role; it counts at once, on open sockets too. NotFound, Conflict (last owner)."""
        self._check_role(role)
        async with self._shared.db.transaction():
            row = await self._lock(user_id, losing_owner=role != OWNER)
            before = row.role
            if before == role:
                return user_info(row)
            row.role = role
            data = {"before": before, "role": role}
            await self._changed(row, "role", "user.role_changed", by, data)
        return user_info(row)

    async def set_active(self, user_id: int, active: bool, *, by: Actor | None = None) -> UserInfo:
        """Enable or disable a user. Disabling ends all sessions; keys rest. NotFound, Conflict (last owner)."""
        async with self._shared.db.transaction():
            row = await self._lock(user_id, losing_owner=not active)
            if row.active == active:
                return user_info(row)
            row.active = active
            if not active:
                await self._sessions.end_all(user_id, "user disabled")
            await self._changed(row, "active", "user.enabled" if active else "user.disabled", by)
        return user_info(row)

    async def set_password(self, user_id: int, password: str, *, by: Actor | None = None) -> UserInfo:
        """Set a new password, end all sessions, forget delays after wrong ones. NotFound, ValidationFailed."""
        known = await User.get_or_none(id=user_id)
        if known is None:
            raise NotFound("User not found")
        minimum = self._shared.settings.password_min_length
        check_password(password, min_length=minimum, names=(known.username, known.email, known.name))
        hashed = await self._hash(password)
        async with self._shared.db.transaction():
            row = await self._lock(user_id)
            row.password_hash = hashed
            await self._sessions.end_all(user_id, "password changed")
            names = [name for name in (row.username, row.email) if name is not None]
            await self._attempts.forget([login_keys(name, "")[0] for name in names])
            await self._changed(row, "password_hash", "user.password_changed", by)
        return user_info(row)

    async def end_sessions(self, user_id: int, *, by: Actor | None = None) -> int:
        """End every session of a user; how many there were."""
        async with self._shared.db.transaction():
            count = await self._sessions.end_all(user_id, "revoked")
            if count:
                data = {"sessions": count}
                await self._shared.record("session.all_revoked", by=by, target=f"user:{user_id}", data=data)
        return count

    async def _lock(self, user_id: int, *, losing_owner: bool = False) -> User:
        """The row, locked until the end of the transaction. Conflict when the last active owner would be lost."""
        if losing_owner:
            # All owners are locked, lowest id first: two demotions at once see one another.
            owners = await User.filter(role=OWNER, active=True).order_by("id").select_for_update()
            if [owner.id for owner in owners] == [user_id]:
                raise Conflict("The last active owner cannot be demoted or disabled", code="LAST_OWNER")
        row = await User.filter(id=user_id).select_for_update().first()
        if row is None:
            raise NotFound("User not found")
        return row

    async def _changed(
        self, row: User, field: str, action: str, by: Actor | None, data: dict[str, str] | None = None
    ) -> None:
        """Store one changed field, write it down and tell everybody."""
        row.updated_at = self._shared.now()
        await row.save(update_fields=[field, "updated_at"])
        await self._shared.record(action, by=by, target=f"user:{row.id}", data=data)
        self._shared.user_changed(row.id)

    async def _hash(self, password: str | None) -> str | None:
        if password is None:
            return None
        async with self._passwords.slot():
            return await self._passwords.hash(password)

    def _check_role(self, role: str) -> None:
        if not self._shared.access.is_role(role):
            refuse("role", f"must be one of {', '.join(self._shared.access.roles())}")
