"""Registration: a new user by an invite, in one transaction; and an invite accepted by who is a user already."""

from __future__ import annotations

import unicodedata

from moorage.access import Actor
from moorage.accounts.invites import InviteRefused, Invites
from moorage.accounts.models import User
from moorage.accounts.names import MAX_USERNAME, folded, mixed
from moorage.accounts.secrets import new_pid
from moorage.accounts.sessions import Sessions
from moorage.accounts.shared import ClientInfo, Login, Shared
from moorage.accounts.users import Users
from moorage.errors import Conflict, Forbidden, Unauthorized, Unavailable

NUMBERED = 20
"""Names that are tried as ann, ann2, ann3 … before a random ending is taken."""


class Registration:
    """The way in for new users. The first thing that is looked at is the invite: without one, nothing is told."""

    def __init__(self, shared: Shared, users: Users, sessions: Sessions, invites: Invites) -> None:
        self._shared = shared
        self._users = users
        self._sessions = sessions
        self._invites = invites

    async def register(
        self,
        invite_code: str,
        *,
        username: str | None,
        password: str,
        email: str | None,
        name: str | None,
        client: ClientInfo,
        previous: Actor | None = None,
    ) -> Login:
        """Make a user with the invite's role and log them in.

        username None: made of the e-mail address, and unique. previous: who the same browser was; that session ends.
        InviteRefused, TooManyRequests (after guesses), ValidationFailed, Conflict (the name or address is taken),
        Unavailable. Whatever fails, the invite is as good as before.
        """
        invite = await self._invites.admit(invite_code, client.address)
        wanted = username if username is not None else username_of(email or "")
        # Hashing takes its time, so it comes before the transaction.
        row = await self._users.prepare(wanted, password=password, email=email, role=invite.role, name=name)
        for _ in range(3):
            try:
                return await self._insert(invite_code, row, username is None, client, previous)
            except InviteRefused as refused:
                await self._invites.note_refusal(refused.reason, invite.id)
                raise
            except Conflict as conflict:
                # Somebody took the name that was made up here, by a hair.
                if username is not None or conflict.error_code != "USERNAME_EXISTS":
                    raise
        raise Unavailable("No free username was found; try again")

    async def accept(self, invite_code: str, actor: Actor, client: ClientInfo) -> tuple[str, Login | None]:
        """Use an invite as somebody who is a user: the role that they have then, and a fresh session if it grew.

        A role is raised to one that holds all of the old one and more, and never lowered. One use is counted per
        user: who came in by it before is told their role, and nothing changes. A browser's session is replaced when
        the role changes; it has the token that may do more, and the old one ends. InviteRefused, TooManyRequests;
        Forbidden for API keys and limited credentials, which must not raise the user that they are a part of.
        """
        credential = actor.credential
        if actor.user is None or credential is None:
            raise Unauthorized
        if not credential.of_session or credential.scopes is not None:
            raise Forbidden("An invite is accepted by somebody who is signed in, not by a key")
        user_id = actor.user.id
        known = await self._invites.probe(invite_code, client.address)
        try:
            async with self._shared.db.transaction():
                row = await User.filter(id=user_id).select_for_update().first()
                if row is None or not row.active:
                    raise Unauthorized
                if known.id and await self._invites.used_by(known.id, user_id):
                    return row.role, None
                # The user's row comes before the invite's everywhere, so that no two wait for each other.
                invite = await self._invites.take(invite_code)
                await self._invites.note_use(invite, user_id)
                login = await self._raise(row, invite.role, actor, client)
        except InviteRefused as refused:
            await self._invites.note_refusal(refused.reason, known.id)
            raise
        return row.role, login

    async def _insert(
        self, invite_code: str, row: User, any_name: bool, client: ClientInfo, previous: Actor | None
    ) -> Login:
        async with self._shared.db.transaction():
            invite = await self._invites.take(invite_code)
            row.role = invite.role
            row.last_login_at = self._shared.now()
            if any_name:
                row.username = await free_username(row.username)
                row.username_key = folded(row.username)
            await self._users.insert(row)
            if previous is not None and previous.credential is not None and previous.credential.of_session:
                await self._sessions.end(previous.credential.id, "replaced by a new login")
            login = await self._sessions.create(row, client)
            data = {"username": row.username, "role": row.role, "invite_id": invite.id}
            await self._shared.record("user.created", by=login.actor, target=f"user:{row.id}", data=data)
            await self._invites.note_use(invite, row.id, by=login.actor)
        return login

    async def _raise(self, row: User, role: str, actor: Actor, client: ClientInfo) -> Login | None:
        before = row.role
        if not self._invites.rules.grows(before, role):
            return None
        row.role, row.updated_at = role, self._shared.now()
        await row.save(update_fields=["role", "updated_at"])
        data = {"before": before, "role": role}
        await self._shared.record("user.role_changed", by=actor, target=f"user:{row.id}", data=data)
        self._shared.user_changed(row.id)
        credential = actor.credential
        # Only a browser takes a new token; a program goes on with the one that it has.
        if credential is None or credential.csrf is None:
            return None
        if not await self._sessions.end(credential.id, "replaced after a change of role"):
            # Logged out in the same moment: that must not be undone by a fresh session.
            raise Unauthorized
        return await self._sessions.create(row, client)


def username_of(text: str) -> str:
    """A valid username near to a text, such as the part of an e-mail address before the @."""
    near = unicodedata.normalize("NFKC", text.rpartition("@")[0] or text)
    kept = "".join(char for char in near if char.isalnum() or char in "._-").lstrip("._-")
    if mixed(kept):
        kept = "".join(char for char in kept if char.isascii()).lstrip("._-")
    return kept[: MAX_USERNAME - 16] or "user"


async def free_username(wanted: str) -> str:
    """`wanted`, or that with a number behind it, that nobody has now."""
    for number in range(1, NUMBERED):
        name = wanted if number == 1 else f"{wanted}{number}"
        if not await User.filter(username_key=folded(name)).exists():
            return name
    return f"{wanted}-{new_pid('u')[2:10]}"
