"""The plugin's service: sessions, claims, presence and who is to be told, over one tmux server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Protocol

from moorage.api import Actor, Credential, Hub, Method, NotFound, Topic, Unavailable, UserInfo

from moorage_tmux import messages
from moorage_tmux.background import Background
from moorage_tmux.claims import Claim, Claims
from moorage_tmux.client import Tmux, TmuxError, TmuxGone, shown
from moorage_tmux.config import TmuxConfig
from moorage_tmux.directory import Directory
from moorage_tmux.presence import Presence
from moorage_tmux.rights import CLAIM
from moorage_tmux.sessions import PaneInfo, SessionInfo, list_panes, parse_panes
from moorage_tmux.store import ClaimStore
from moorage_tmux.watch import SessionWatch, WatchPool, WatchSettings

SYSTEM = Actor(None, Credential(Method.SYSTEM, 0, "system"))


class Connection(Protocol):
    """An open socket as the service sees it."""

    def post(self, text: str) -> None:
        """Send a message without waiting."""
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


class Terminals:
    """Built before the plugin starts; `start` and `close` are its life."""

    def __init__(self, hub: Hub, config: TmuxConfig) -> None:
        self.hub, self.config = hub, config
        self.tmux = Tmux(config.tmux_binary, config.socket_name, config.socket_path)
        self.background = Background(hub.tasks)
        settings = WatchSettings(
            timeout=config.command_timeout,
            linger=config.linger_seconds,
            lines=config.scrollback_lines,
            ring_bytes=config.ring_bytes,
            clipboard=config.clipboard,
        )
        self.pool = WatchPool(self.tmux, settings, background=self.background, lives=self._lives)
        self.directory = Directory(
            self.tmux,
            background=self.background,
            timeout=config.command_timeout,
            linger=config.linger_seconds,
            own_pids=self.pool.pids,
            on_change=self._sessions_are,
        )
        self.store = ClaimStore(hub.db, self.background, hub.log)
        self.claims = Claims(
            lease=config.claim_seconds,
            warning=config.claim_warning_seconds,
            grace=config.claim_grace_seconds,
            access=hub.access,
            background=self.background,
            store=self.store,
            told=self,
        )
        self.presence = Presence(self.background, self._present)
        self.connections: set[Connection] = set()
        self._known: dict[str, SessionInfo] = {}
        self._recording: list[asyncio.Task[Any]] = []
        self._unsubscribe: list[Callable[[], None]] = []
        metrics = hub.metrics
        metrics.gauge("sockets", "Open terminal sockets.").set_function(lambda: float(len(self.connections)))
        metrics.gauge("watched_sessions", "Sessions that are being watched.").set_function(
            lambda: float(len(self.pool))
        )
        metrics.gauge("claims", "Sessions that are claimed.").set_function(lambda: float(len(self.claims)))
        self.lagged = metrics.counter("viewers_lagged_total", "Viewers that fell behind and were sent a snapshot.")
        self.typed = metrics.counter("typed_characters_total", "Characters typed into panes.")

    async def start(self) -> None:
        """Take up what was stored, listen for changes of users."""
        self.background.open()
        for row in await self.store.load():
            user = await self.hub.accounts.get_user(row.user_id)
            if user is not None and self._may_hold(user):
                self.claims.restore(
                    Claim(row.session_key, row.session_name, user, _aware(row.claimed_at), _aware(row.expires_at), 0.0)
                )
            else:
                self.store.delete(row.session_key)
        self._hold_for_claims()
        for topic in (Topic.USER_CHANGED, Topic.USER_DELETED):
            self._unsubscribe.append(self.hub.bus.subscribe(topic, self._user_changed))

    async def close(self) -> None:
        """End everything; claims stay stored."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self.claims.close()
        self.presence.close()
        await self.pool.close()
        await self.directory.close()
        await self.store.flush()

    # What views and sockets ask for.

    async def sessions(self) -> list[dict[str, Any]]:
        """All sessions as the contract lists them. Unavailable when tmux cannot be asked."""
        try:
            return self.listed(await self.directory.sessions())
        except TmuxError as error:
            raise unavailable(error) from error

    async def find(self, name: str) -> SessionInfo:
        """The session of that name. NotFound, Unavailable."""
        try:
            session = await self.directory.find(name)
        except TmuxError as error:
            raise unavailable(error) from error
        if session is None:
            raise NotFound("Session not found", details={"code": "SESSION_NOT_FOUND"})
        return session

    async def inspect(self, name: str) -> dict[str, Any]:
        """A session with every window, pane and what it shows. NotFound, Unavailable."""
        session = await self.find(name)
        try:
            panes = parse_panes(await self.directory.call(list_panes(session.id)))
            commands = [f"capture-pane -p -t '{pane.id}'" for pane in panes]
            replies = await self.directory.call(" ; ".join(commands), blocks=len(commands))
        except TmuxGone as error:
            raise NotFound("Session not found", details={"code": "SESSION_NOT_FOUND"}) from error
        except TmuxError as error:
            raise unavailable(error) from error
        contents = [_content(shown(replies, index)) for index in range(len(panes))]
        claim = self.claims.get(session.key)
        return {
            "id": session.name,
            "name": session.name,
            "created": messages.timestamp(session.created),
            "attached": session.attached,
            "windows": _windows(panes, contents),
            "viewers": [_viewer(user) for user in self.presence.users(session.key)],
            "claim": claim.public() if claim else None,
        }

    async def claim(self, name: str, actor: Actor) -> tuple[SessionInfo, Claim]:
        """Claim a session for the actor; it is stored and on record when this returns. NotFound, Forbidden."""
        session = await self.find(name)
        claim = self.claims.claim(session, actor)
        self._hold_for_claims()
        await self._stored()
        return session, claim

    async def release(self, name: str, actor: Actor) -> None:
        """End a session's claim, as above. NotFound, Forbidden."""
        self.claims.release(await self.find(name), actor)
        await self._stored()

    async def _stored(self) -> None:
        """Wait until what was just decided is in the database."""
        recording, self._recording = self._recording, []
        await asyncio.gather(self.store.flush(), *recording)

    async def watch(self, session: SessionInfo) -> SessionWatch:
        """The watch of a session. NotFound when it ended meanwhile, Unavailable."""
        try:
            return await self.pool.acquire(session)
        except TmuxGone as error:
            raise NotFound("Session not found", details={"code": "SESSION_NOT_FOUND"}) from error
        except TmuxError as error:
            raise unavailable(error) from error

    def listed(self, sessions: Iterable[SessionInfo]) -> list[dict[str, Any]]:
        """Sessions as lists show them."""
        return [self._entry(session) for session in sessions]

    def enter(self, connection: Connection) -> None:
        """A socket opened: from now on it is told of changes."""
        self.connections.add(connection)
        self.directory.hold(connection)
        self.claims.connected(connection.user.id)

    def leave(self, connection: Connection) -> None:
        """A socket closed."""
        self.connections.discard(connection)
        self.directory.drop(connection)
        self.claims.disconnected(connection.user.id)

    def tell(self, text: str, key: str | None = None) -> None:
        """Send a message to all who list sessions, and to those who see the session `key`."""
        for connection in list(self.connections):
            if connection.lists or (key is not None and connection.sees(key)):
                connection.post(text)

    def present(self, key: str, name: str) -> str:
        """The presence message of a session."""
        holder = self.claims.get(key)
        users = [
            {
                "id": user.pid,
                "name": user.name or user.username,
                "avatarUrl": user.avatar_url,
                "status": "controlling" if holder is not None and holder.user.id == user.id else "viewing",
            }
            for user in self.presence.users(key)
        ]
        return messages.encode({"type": "presence", "sessionId": name, "users": users})

    # What claims tell.

    def claimed(self, claim: Claim) -> None:
        """Told to everybody: whoever shows a list shows claims."""
        by = {"id": claim.user.pid, "name": claim.user.name or claim.user.username}
        expires = messages.timestamp(claim.expires_at)
        self.tell(
            messages.encode({"type": "claimed", "sessionId": claim.session_name, "by": by, "expiresAt": expires}),
            claim.key,
        )
        self.presence.changed(claim.key)

    def released(self, claim: Claim, reason: str) -> None:
        """Told to everybody."""
        self.tell(messages.encode({"type": "released", "sessionId": claim.session_name, "reason": reason}), claim.key)
        self.presence.changed(claim.key)
        if not len(self.claims):
            self.directory.drop(self.claims)

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
        for connection in list(self.connections):
            if connection.user.id == claim.user.id:
                connection.post(text)

    def record(self, action: str, actor: Actor | None, claim: Claim, data: dict[str, Any]) -> None:
        """Who acts waits for it (`_stored`); address and request are those of the caller's context."""
        target = f"tmux_session:{claim.session_name}"
        write = self.hub.audit.write(action, actor=actor or SYSTEM, target=target, data=data)
        if actor is None:
            self.background.spawn(write, "audit")
        else:
            self._recording.append(self.hub.tasks.spawn(write, "audit"))

    # What the tmux server and the accounts tell.

    async def _lives(self, session: SessionInfo) -> bool:
        return any(other.key == session.key for other in await self.directory.sessions())

    def _sessions_are(self, sessions: list[SessionInfo]) -> None:
        """The list changed: names, claims, and everybody who shows it."""
        before, self._known = self._known, {session.key: session for session in sessions}
        for key, session in self._known.items():
            watch = self.pool.get(key)
            if watch is not None:
                watch.name = session.name
            old = before.get(key)
            if old is not None and old.name != session.name:
                renamed = {"type": "sessionRenamed", "sessionId": old.name, "name": session.name}
                self.tell(messages.encode(renamed), key)
        self.claims.sessions_are(sessions)
        for key in self._known.keys() - before.keys():
            self.tell(messages.encode({"type": "sessionCreated", "session": self._entry(self._known[key])}))
        for key in before.keys() - self._known.keys():
            self.tell(messages.encode({"type": "sessionDestroyed", "sessionId": before[key].name}))
        self.tell(messages.encode({"type": "sessions", "sessions": self.listed(sessions)}))

    def _entry(self, session: SessionInfo) -> dict[str, Any]:
        claim = self.claims.get(session.key)
        return {
            "id": session.name,
            "name": session.name,
            "windows": session.windows,
            "created": messages.timestamp(session.created),
            "attached": session.attached,
            "viewers": [_viewer(user) for user in self.presence.users(session.key)],
            "claim": claim.public() if claim else None,
        }

    def _present(self, key: str) -> None:
        watch = self.pool.get(key)
        session = self._known.get(key)
        name = watch.name if watch is not None else session.name if session is not None else None
        if name is None:
            return
        text = self.present(key, name)
        for connection in list(self.connections):
            if connection.sees(key):
                connection.post(text)

    async def _user_changed(self, data: dict[str, Any]) -> None:
        user_id = data["user_id"]
        if user_id in self.claims.holders():
            with self.hub.db.activate():
                self.check_holder(user_id, await self.hub.accounts.get_user(user_id))

    def check_holder(self, user_id: int, user: UserInfo | None) -> None:
        """A user changed, or is gone: one who may not claim any more holds no claims."""
        if user is None or not self._may_hold(user):
            self.claims.withdraw(user_id)

    def _may_hold(self, user: UserInfo) -> bool:
        return user.active and self.hub.access.can(Actor(user), CLAIM.name)

    def _hold_for_claims(self) -> None:
        """Claims end with their sessions, so sessions are watched while there are claims."""
        if len(self.claims):
            self.directory.hold(self.claims)


def unavailable(error: TmuxError) -> Unavailable:
    """tmux cannot be asked: its words are for the operator and may be shown."""
    return Unavailable(f"tmux cannot be used: {error}", code="TMUX_ERROR")


def _viewer(user: UserInfo) -> dict[str, str]:
    return {"userId": user.pid, "name": user.name or user.username}


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _content(lines: list[str]) -> str:
    """A screen as text, without the blank rest of rows and of the screen."""
    return "\n".join(line.rstrip() for line in lines).rstrip("\n")


def _windows(panes: list[PaneInfo], contents: list[str]) -> list[dict[str, Any]]:
    windows: dict[str, dict[str, Any]] = {}
    for pane, content in zip(panes, contents, strict=True):
        window = windows.setdefault(
            pane.window_id,
            {
                "id": pane.window_id,
                "index": pane.window_index,
                "name": pane.window_name,
                "active": pane.window_active,
                "panes": [],
            },
        )
        window["panes"].append(
            {
                "id": pane.id,
                "index": pane.index,
                "active": pane.active,
                "content": content,
                "width": pane.cols,
                "height": pane.rows,
            }
        )
    return list(windows.values())
