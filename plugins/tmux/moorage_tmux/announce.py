"""Who is connected, and what they are told: claims, presence, sessions that come and go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from moorage.api import Actor, Credential, Method, PreparedText, UserInfo

from moorage_tmux import messages
from moorage_tmux.claims import Claim
from moorage_tmux.sessions import SessionInfo

if TYPE_CHECKING:
    from moorage_tmux.service import Terminals

SYSTEM = Actor(None, Credential(Method.SYSTEM, 0, "system"))


class Connection(Protocol):
    """An open socket as the service sees it."""

    def post(self, text: str) -> None:
        """Send a message without waiting."""
        ...

    def offer(self, text: str) -> None:
        """The same for what is sent anew to one who missed it."""
        ...

    def sees(self, key: str) -> bool:
        """Whether it shows that session."""
        ...

    @property
    def lists(self) -> bool:
        """Whether it wants to know of all sessions."""
        ...

    @property
    def user(self) -> UserInfo:
        """Whose it is."""
        ...

    @property
    def actor(self) -> Actor:
        """Who is behind it now: the user, within the bounds of the credential."""
        ...


class Announcements:
    """Turns what happens into messages for those whom it concerns. None of its methods waits."""

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals
        self.connections: set[Connection] = set()
        self._known: dict[str, SessionInfo] = {}
        self._recording: set[asyncio.Task[Any]] = set()

    def tell(self, text: str, key: str | None = None) -> None:
        """Send a message to all who list sessions, and to those who see the session `key`."""
        text = PreparedText(text)
        for connection in list(self.connections):
            if connection.lists or (key is not None and connection.sees(key)):
                connection.post(text)

    @property
    def present(self) -> list[Connection]:
        """All open sockets."""
        return list(self.connections)

    def tell_user(self, text: str, user_id: int, key: str | None = None) -> None:
        """Send a message to a user's connections: to those that list sessions, or show the session `key`, or to all."""
        for connection in list(self.connections):
            if connection.user.id == user_id and (key is None or connection.lists or connection.sees(key)):
                connection.post(text)

    # Presence.

    def presence(self, key: str, name: str) -> str:
        """The presence message of a session."""
        holder = self._terminals.claims.get(key)
        users = [
            {
                **messages.person(user),
                "avatarUrl": user.avatar_url,
                "status": "controlling" if holder is not None and holder.user.id == user.id else "viewing",
            }
            for user in self._terminals.presence.users(key)
        ]
        return messages.encode({"type": "presence", "sessionId": name, "users": users})

    def presence_changed(self, key: str) -> None:
        """Told to those who see the session."""
        watch = self._terminals.pool.get(key)
        session = self._known.get(key)
        name = watch.name if watch is not None else session.name if session is not None else None
        if name is None:
            return
        text = PreparedText(self.presence(key, name))
        for connection in list(self.connections):
            if connection.sees(key):
                connection.offer(text)

    # What claims tell (`claims.Told`).

    def claimed(self, claim: Claim, reason: str, previous: UserInfo | None = None) -> None:
        """Told to everybody: whoever shows a list shows claims. reason: "claimed", "renewed", "handed_over"."""
        message = {
            "type": "claimed",
            "sessionId": claim.session_name,
            "by": messages.person(claim.user),
            "expiresAt": messages.timestamp(claim.expires_at),
        }
        if previous is not None:
            message["previous"] = messages.person(previous)
        self.tell(messages.encode(message), claim.key)
        self._terminals.listeners.claim_changed(claim, reason)
        if reason != "renewed":
            self._terminals.handover.forget(claim.key)
            self._terminals.presence.changed(claim.key)
            self._terminals.recordings.mark(claim.key, f"{messages.display_name(claim.user)} took control")

    def released(self, claim: Claim, reason: str) -> None:
        """Told to everybody."""
        self.tell(messages.encode({"type": "released", "sessionId": claim.session_name, "reason": reason}), claim.key)
        self._terminals.listeners.claim_changed(claim, reason, ended=True)
        self._terminals.handover.forget(claim.key)
        self._terminals.presence.changed(claim.key)
        self._terminals.recordings.mark(claim.key, f"{messages.display_name(claim.user)} lost control ({reason})")
        self._terminals.hold_for_claims()

    def expiring(self, claim: Claim, seconds: int) -> None:
        """Told to the holder alone."""
        text = messages.encode(
            {
                "type": "claimExpiring",
                "sessionId": claim.session_name,
                "expiresAt": messages.timestamp(claim.expires_at),
                "secondsLeft": seconds,
            }
        )
        self.tell_user(text, claim.user.id, claim.key)

    def record(self, action: str, actor: Actor | None, claim: Claim, data: dict[str, Any]) -> None:
        """A claim's change, for the audit log; actor None is the server itself."""
        self.audit(action, actor, claim.session_name, data)

    def audit(self, action: str, actor: Actor | None, session_name: str, data: dict[str, Any]) -> None:
        """Who acts waits for it (`stored`); address and request are those of the caller's context."""
        hub = self._terminals.hub
        write = hub.audit.write(action, actor=actor or SYSTEM, target=f"tmux_session:{session_name}", data=data)
        if actor is None:
            self._terminals.background.spawn(write, "audit")
        else:
            task = hub.tasks.spawn(write, "audit")
            self._recording.add(task)
            task.add_done_callback(self._recording.discard)

    async def stored(self) -> None:
        """Wait until what was just audited is in the database."""
        await asyncio.gather(*self._recording)

    # What the tmux server tells.

    def sessions_are(self, sessions: list[SessionInfo]) -> None:
        """The list changed: names, claims, and everybody who shows it."""
        terminals = self._terminals
        before, self._known = self._known, {session.key: session for session in sessions}
        for key, session in self._known.items():
            watch = terminals.pool.get(key)
            if watch is not None and watch.name != session.name:
                watch.renamed(session)
            old = before.get(key)
            if old is not None and old.name != session.name:
                renamed = {"type": "sessionRenamed", "sessionId": old.name, "name": session.name}
                self.tell(messages.encode(renamed), key)
        terminals.listeners.sessions_are(self._known)
        terminals.claims.sessions_are(sessions)
        terminals.recordings.sessions_are(sessions)
        for key in self._known.keys() - before.keys():
            self.tell(messages.encode({"type": "sessionCreated", "session": terminals.entry(self._known[key])}))
            terminals.listeners.created(self._known[key])
        for key in before.keys() - self._known.keys():
            self.tell(messages.encode({"type": "sessionDestroyed", "sessionId": before[key].name}))
            terminals.listeners.destroyed(before[key])
        text = PreparedText(
            messages.encode({"type": "sessions", "sessions": [terminals.entry(each) for each in sessions]})
        )
        for connection in list(self.connections):
            if connection.lists:
                connection.offer(text)
