"""Logging in with a password: equal time for unknown users, a growing delay after failures, a fresh session."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NoReturn

from moorage.access import Actor
from moorage.access.ranks import check_reach
from moorage.accounts.actors import COOKIE, user_info
from moorage.accounts.attempts import Attempts, login_keys
from moorage.accounts.models import Session, User
from moorage.accounts.names import refuse
from moorage.accounts.passwords import MAX_PASSWORD_BYTES, Passwords, check_password, too_long
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import ClientInfo, Login, Shared
from moorage.accounts.users import find_row
from moorage.errors import Forbidden, Unauthorized

RECENT = timedelta(minutes=15)
"""How old a session may be that sets a first password."""


class Logins:
    """The way from a name and a password to a session."""

    def __init__(self, shared: Shared, passwords: Passwords, sessions: Sessions, attempts: Attempts) -> None:
        self._shared = shared
        self._passwords = passwords
        self._sessions = sessions
        self._attempts = attempts

    async def login(self, login: str, password: str, client: ClientInfo, *, previous: Actor | None = None) -> Login:
        """Prove a password. `login` is a username or an e-mail address.

        previous: who the same browser was until now; that session ends, so an old cookie is worth nothing.
        Unauthorized (the same for unknown names and wrong passwords; USER_INACTIVE only after the right one),
        TooManyRequests while a delay lasts, Unavailable when too many log in at once.
        """
        if too_long(password):
            refuse("password", f"may have at most {MAX_PASSWORD_BYTES} bytes")
        keys = login_keys(login, client.address)
        # Once before the turn, so that who is delayed takes no turn, and once in it, so that attempts which
        # were sent together are no more than the turns there are.
        await self._attempts.check(keys)
        async with self._passwords.slot():
            counted = await self._attempts.check(keys)
            user = await find_row(login)
            matches, renewed = await self._passwords.verify(password, user.password_hash if user else None)
            delay = 0.0 if matches else await self._attempts.failed(keys)
        if user is None or not matches:
            await self._refuse(user, delay)
        return await self._open(user, renewed, client, keys if counted else (), previous)

    async def logout(self, actor: Actor) -> None:
        """End the actor's session. Nobody, and an API key (which is revoked, not logged out), change nothing."""
        if (session_id := _session_of(actor)) is not None:
            await self.end_session(session_id, by=actor, action="logout", reason="logout")

    async def end_session(
        self, session_id: int, *, by: Actor | None = None, action: str = "session.revoked", reason: str = "revoked"
    ) -> bool:
        """End one session; False when it had ended before. RankRefused for that of somebody higher."""
        async with self._shared.db.transaction():
            row = await Session.filter(id=session_id).select_related("user").first()
            if row is not None and by is not None:
                check_reach(self._shared.access, by, user_info(row.user))
            if not await self._sessions.end(session_id, reason):
                return False
            await self._shared.record(action, by=by, target=f"session:{session_id}")
        return True

    async def end_sessions(self, user_id: int, *, keep: int | None = None, by: Actor | None = None) -> int:
        """End every session of a user but `keep`; how many there were. RankRefused for those of somebody higher."""
        async with self._shared.db.transaction():
            user = await User.get_or_none(id=user_id)
            if user is not None and by is not None:
                check_reach(self._shared.access, by, user_info(user))
            count = await self._sessions.end_all(user_id, "revoked", keep=keep)
            if count:
                data = {"sessions": count}
                await self._shared.record("session.all_revoked", by=by, target=f"user:{user_id}", data=data)
        return count

    async def change_password(self, actor: Actor, current: str | None, new: str, client: ClientInfo) -> Login:
        """Change one's own password: all sessions end, and a fresh one begins. `current` None where there is none yet.

        A password may be set without a current one only right after signing in some other way.
        Forbidden (a wrong one, counted as at login; no session of a person, or too old a one), ValidationFailed,
        TooManyRequests.
        """
        user = await User.get_or_none(id=actor.user.id) if actor.user is not None else None
        credential = actor.credential
        if user is None or credential is None or not credential.of_login:
            raise Forbidden("Sign in with a browser to change the password", code="SESSION_REQUIRED")
        minimum = self._shared.settings.password_min_length
        check_password(new, min_length=minimum, names=(user.username, user.email, user.name))
        keys = login_keys(user.username, client.address)
        await self._attempts.check(keys)
        async with self._passwords.slot():
            counted = await self._attempts.check(keys)
            if user.password_hash is None:
                await self._check_recent(credential.id)
            elif too_long(current or "") or not (await self._passwords.verify(current or "", user.password_hash))[0]:
                await self.wrong_secret(keys, "user.password_refused")
                raise Forbidden("The current password is wrong", code="WRONG_PASSWORD")
            hashed = await self._passwords.hash(new)
        async with self._shared.db.transaction():
            row = await User.filter(id=user.id).select_for_update().first()
            if row is None or not row.active or row.password_hash != user.password_hash:
                raise _wrong()
            row.password_hash, row.updated_at = hashed, self._shared.now()
            await row.save(update_fields=["password_hash", "updated_at"])
            if counted:
                await self._attempts.forget(keys)
            await self._sessions.end_all(row.id, "password changed")
            login = await self._sessions.create(row, client)
            await self._shared.record("user.password_changed", by=login.actor, target=f"user:{row.id}")
            self._shared.user_changed(row.id)
        return login

    async def _check_recent(self, session_id: int) -> None:
        session = await Session.get_or_none(id=session_id)
        # Not a device's, even one with all rights: a password would outlive it.
        recent = session is not None and self._shared.now() - session.created_at <= RECENT
        if session is None or session.kind != COOKIE or not recent:
            raise Forbidden("Sign in again, then set the password", code="SIGN_IN_AGAIN")

    async def wrong_secret(self, keys: Sequence[str], action: str) -> None:
        """Count a wrong secret that belongs to no account (the setup token), and write it down."""
        await self._note_failure(action, None, await self._attempts.failed(keys))

    async def _open(
        self, user: User, renewed: str | None, client: ClientInfo, counted: Sequence[str], previous: Actor | None
    ) -> Login:
        async with self._shared.db.transaction():
            row = await User.filter(id=user.id).select_for_update().first()
            # What was proven may have changed while it was proven: another password, or no such user any more.
            if row is None or row.password_hash != user.password_hash:
                raise _wrong()
            if row.active:
                row.last_login_at = self._shared.now()
                row.password_hash = renewed or row.password_hash
                await row.save(update_fields=["last_login_at", "password_hash"])
                if counted:
                    await self._attempts.forget(counted)
                if previous is not None and (old := _session_of(previous)) is not None:
                    await self._sessions.end(old, "replaced by a new login")
                login = await self._sessions.create(row, client)
                await self._shared.record("login.succeeded", by=login.actor, target=f"user:{user.id}")
                return login
        await self._shared.record("login.refused", by=None, target=f"user:{user.id}", data={"reason": "disabled"})
        raise Unauthorized("This account is disabled", code="USER_INACTIVE")

    async def _refuse(self, user: User | None, delay: float) -> NoReturn:
        # The name that was typed is not written down: it may be a password in the wrong field.
        target = f"user:{user.id}" if user is not None else None
        await self._note_failure("login.failed", target, delay)
        raise _wrong()

    async def _note_failure(self, action: str, target: str | None, delay: float) -> None:
        """Write a failure down, with the delay that it brought; and "login.locked_out" where delays begin.

        The delays after the first only grow: their failures tell of them, one more line each would say nothing new.
        """
        data = {"delay": delay} if delay else None
        async with self._shared.db.transaction():
            await self._shared.record(action, by=None, target=target, data=data)
            if 0 < delay <= self._shared.settings.lockout_base_seconds:
                await self._shared.record("login.locked_out", by=None, target=target, data=data)


def _session_of(actor: Actor) -> int | None:
    credential = actor.credential
    return credential.id if credential is not None and credential.of_session else None


def _wrong() -> Unauthorized:
    return Unauthorized("Invalid username or password", code="INVALID_CREDENTIALS")
