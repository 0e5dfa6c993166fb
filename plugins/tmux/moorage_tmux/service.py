"""The plugin's service: sessions, claims, presence and who is to be told, over one tmux server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from moorage.api import Actor, Hub, Topic, Unavailable, UserInfo

from moorage_tmux import describe, keys, messages
from moorage_tmux.announce import Announcements, Connection
from moorage_tmux.background import Background
from moorage_tmux.chrote import Chrote
from moorage_tmux.claims import Claim, Claims
from moorage_tmux.client import shown
from moorage_tmux.config import TmuxConfig
from moorage_tmux.directory import Directory
from moorage_tmux.guards import Guards, InputRefused, titled
from moorage_tmux.handover import Handover
from moorage_tmux.history import History
from moorage_tmux.listeners import Listeners
from moorage_tmux.manage import Management
from moorage_tmux.models import aware
from moorage_tmux.pool import WatchPool
from moorage_tmux.presence import Presence
from moorage_tmux.protocol import Reply
from moorage_tmux.recording.recordings import Recordings
from moorage_tmux.refusals import asking, no_pane, no_session
from moorage_tmux.rights import CLAIM
from moorage_tmux.sessions import PaneInfo, SessionInfo, list_panes, parse_panes, resolve
from moorage_tmux.store import ClaimStore
from moorage_tmux.tmux import Tmux
from moorage_tmux.watch import SessionWatch, WatchSettings

HOLDERS_SECONDS = 2.0
"""How often it is looked whether holders of claims may still hold them."""


class Terminals:
    """Built before the plugin starts; `start` and `close` are its life."""

    def __init__(self, hub: Hub, config: TmuxConfig) -> None:
        self.hub, self.config = hub, config
        self.tmux = Tmux(config.tmux_binary, config.socket_name, config.socket_path)
        self.background = Background(hub.tasks)
        self.announce = Announcements(self)
        self.guards = Guards(hub)
        self.listeners = Listeners(hub, self.background)
        settings = WatchSettings(
            timeout=config.command_timeout,
            linger=config.linger_seconds,
            lines=config.scrollback_lines,
            ring_bytes=config.ring_bytes,
            clipboard=config.clipboard,
            guard=self.guards.pane,
        )
        self.pool = WatchPool(self.tmux, settings, background=self.background, lives=self._lives)
        self.directory = Directory(
            self.tmux,
            background=self.background,
            timeout=config.command_timeout,
            linger=config.linger_seconds,
            own_pids=self.pool.pids,
            on_change=self.announce.sessions_are,
        )
        self.store = ClaimStore(hub.db, self.background, hub.log, self.tmux.where())
        self.claims = Claims(
            lease=config.claim_seconds,
            warning=config.claim_warning_seconds,
            grace=config.claim_grace_seconds,
            access=hub.access,
            background=self.background,
            store=self.store,
            told=self.announce,
        )
        self.handover = Handover(self.claims, access=hub.access, tells=lambda: self.announce)
        self.presence = Presence(self.background, self.announce.presence_changed)
        self.recordings = Recordings(self)
        self.history = History(self)
        url = config.chrote_url
        self.chrote = Chrote(str(url), config.chrote_timeout, self.guards) if url is not None else None
        self.manage = Management(self)
        self._holders_timer: asyncio.TimerHandle | None = None
        self._unsubscribe: list[Callable[[], None]] = []
        metrics = hub.metrics
        metrics.gauge("sockets", "Open terminal sockets.").set_function(lambda: float(len(self.announce.connections)))
        metrics.gauge("watched_sessions", "Sessions that are being watched.").set_function(
            lambda: float(len(self.pool))
        )
        metrics.gauge("claims", "Sessions that are claimed.").set_function(lambda: float(len(self.claims)))
        self.lagged = metrics.counter("viewers_lagged_total", "Viewers that fell behind and were sent a snapshot.")
        self.refused = metrics.counter("messages_refused_total", "Messages of sockets that came too fast.")
        self.typed = metrics.counter("typed_characters_total", "Characters typed into panes.")

    async def start(self) -> None:
        """Take up what was stored, listen for changes of users."""
        self.background.open()
        for row in await self.store.load():
            user = await self.hub.accounts.get_user(row.user_id)
            if user is not None and self._may_hold(user):
                self.claims.restore(
                    Claim(row.session_key, row.session_name, user, aware(row.claimed_at), aware(row.expires_at), 0.0)
                )
            else:
                self.store.delete(row.session_key)
        self.hold_for_claims()
        await self.recordings.start()
        for topic in (Topic.USER_CHANGED, Topic.USER_DELETED):
            self._unsubscribe.append(self.hub.bus.subscribe(topic, self._user_changed))
        self._unsubscribe.append(self.hub.bus.subscribe(Topic.PLUGIN_CHANGED, self._plugin_changed))
        self.guards.start()
        self._hold_for_listeners()

    async def close(self) -> None:
        """End everything; claims stay stored."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        if self._holders_timer is not None:
            self._holders_timer.cancel()
        self.claims.close()
        self.presence.close()
        await self.recordings.close()
        await self.pool.close()
        await self.directory.close()
        if self.chrote is not None:
            await self.chrote.close()
        await self.store.close()

    # What views and sockets ask for.

    async def sessions(self) -> list[dict[str, Any]]:
        """All sessions as the contract lists them. Unavailable when tmux cannot be asked."""
        with asking():
            return [self.entry(session) for session in await self.directory.sessions()]

    async def find(self, name: str) -> SessionInfo:
        """The session of that name. NotFound, Unavailable."""
        with asking():
            session = await self.directory.find(name)
        if session is None:
            raise no_session()
        return session

    async def pane(self, name: str, spec: str | None) -> tuple[SessionInfo, PaneInfo]:
        """A session and the pane that is meant, see `sessions.resolve`. NotFound, Unavailable."""
        session = await self.find(name)
        with asking():
            panes = parse_panes(await self.directory.call(list_panes(session.id)))
        pane = resolve(panes, spec)
        if pane is None:
            raise no_pane(spec)
        return session, pane

    async def inspect(self, name: str) -> dict[str, Any]:
        """A session with every window, pane and what it shows. NotFound, Unavailable."""
        session = await self.find(name)
        with asking():
            panes = parse_panes(await self.directory.call(list_panes(session.id)))
            contents = [
                self.guards.whole(session, pane.id, describe.content(lines))
                for pane, lines in zip(panes, await self._screens(session, panes), strict=True)
            ]
        claim = self.claims.get(session.key)
        return {
            "id": session.name,
            "name": session.name,
            "created": messages.timestamp(session.created),
            "attached": session.attached,
            "windows": describe.windows(titled(self.guards.pane, session, panes), contents),
            "viewers": [describe.viewer(user) for user in self.presence.users(session.key)],
            "claim": claim.public() if claim else None,
            "recording": self.recordings.notice(session.key),
        }

    async def _screens(self, session: SessionInfo, panes: list[PaneInfo]) -> list[list[str]]:
        """What stands in the panes. tmux says first how many rows that are: some may imitate the end of its answer."""
        heights: dict[str, int] = {}

        def rows(replies: list[Reply]) -> int:
            if len(replies) == 1:
                heights.update((pane, int(height)) for pane, height in map(str.split, shown(replies)))
            return heights.get(panes[len(replies) - 1].id, 0)

        commands = [
            f"list-panes -s -t '{session.id}' -F '#{{pane_id}} #{{pane_height}}'",
            *(f"capture-pane -p -t '{pane.id}'" for pane in panes),
        ]
        replies = await self.directory.call(" ; ".join(commands), blocks=len(commands), rows=rows)
        return [shown(replies, index) for index in range(1, len(commands))]

    async def find_again(self, session: SessionInfo) -> SessionInfo:
        """A session as it is now, whatever its name was. NotFound when it has ended; Unavailable."""
        with asking():
            sessions = await self.directory.sessions()
        for each in sessions:
            if each.key == session.key:
                return each
        raise no_session()

    async def claim(self, which: str | SessionInfo, actor: Actor) -> tuple[SessionInfo, Claim]:
        """Claim a session for the actor; it is stored and on record when this returns. NotFound, Forbidden."""
        session = await self.find(which) if isinstance(which, str) else which
        before = self.claims.get(session.key)
        claim = self.claims.claim(session, actor)
        self.hold_for_claims()
        await self.stored(claim if claim is not before else None)
        return session, claim

    async def release(self, which: str | SessionInfo, actor: Actor) -> None:
        """End a session's claim, as above. NotFound, Forbidden."""
        self.claims.release(await self.find(which) if isinstance(which, str) else which, actor)
        await self.stored()

    async def hand_over(self, session: SessionInfo, actor: Actor, pid: str) -> Claim:
        """Make the actor's claim the user's `pid`, as above. Conflict, NotFound, Forbidden."""
        claim = self.handover.hand_over(session, actor, pid)
        await self.stored(claim)
        return claim

    async def stored(self, claim: Claim | None = None) -> None:
        """Wait until what was just decided is in the database. Unavailable when that fails; then `claim` ends."""
        done = await asyncio.gather(self.store.flush(), self.announce.stored(), return_exceptions=True)
        failure = next((result for result in done if isinstance(result, Exception)), None)
        if failure is not None:
            if claim is not None:
                self.claims.undo(claim)
            raise Unavailable("This could not be stored", code="STORE_ERROR") from failure

    async def watch(self, session: SessionInfo) -> SessionWatch:
        """The watch of a session. NotFound when it ended meanwhile, Unavailable."""
        with asking():
            return await self.pool.acquire(session)

    async def type(self, actor: Actor, watch: SessionWatch, pane: str, text: str, may: Callable[[], None]) -> None:
        """Type a text (see `keys.to_text`) for an actor who may; it is in tmux when this returns.

        `may` raises when they may not; it is asked first, and again before each part of a long text.
        The one way in: plugins may veto it (InputRefused), it is counted, and the actor's own claim is renewed.
        TmuxError.
        """
        may()
        reason = self.guards.veto(actor, watch.session, pane, text)
        if reason is not None:
            raise InputRefused(reason)
        await keys.type_into(watch, pane, text, may)
        self.typed.inc(len(text))
        claim = self.claims.get(watch.session.key)
        if claim is not None and actor.user is not None and claim.user.id == actor.user.id:
            self.claims.used(claim)

    def entry(self, session: SessionInfo) -> dict[str, Any]:
        """A session as lists show it."""
        return describe.entry(
            session,
            self.presence.users(session.key),
            self.claims.get(session.key),
            self.recordings.notice(session.key),
        )

    def enter(self, connection: Connection) -> None:
        """A socket opened: from now on it is told of changes."""
        self.announce.connections.add(connection)
        self.directory.hold(connection)
        self.claims.connected(connection.user.id)

    def leave(self, connection: Connection) -> None:
        """A socket closed."""
        self.announce.connections.discard(connection)
        self.directory.drop(connection)
        self.claims.disconnected(connection.user.id)

    # What the tmux server and the accounts tell.

    async def _lives(self, session: SessionInfo) -> bool:
        return any(other.key == session.key for other in await self.directory.sessions())

    async def _user_changed(self, data: dict[str, Any]) -> None:
        user_id = data["user_id"]
        if user_id in self.claims.holders():
            with self.hub.db.activate():
                self.check_holder(user_id, await self.hub.accounts.get_user(user_id))

    def _plugin_changed(self, data: dict[str, Any]) -> None:
        """A plugin came, went or was made anew: what it filters and what it wants to know may be different now."""
        self.listeners.plugin_changed(data["name"])
        self._hold_for_listeners()
        if self.guards.changed(data["name"]):
            for watch in self.pool.watches():
                watch.filter_anew()

    def _hold_for_listeners(self) -> None:
        if self.listeners.want_sessions:
            self.directory.hold(self.listeners)
        else:
            self.directory.drop(self.listeners)

    def check_holder(self, user_id: int, user: UserInfo | None) -> None:
        """A user changed, or is gone: one who may not claim any more holds no claims."""
        if user is None or not self._may_hold(user):
            self.claims.withdraw(user_id)
        else:
            self.claims.known_as(user)

    def _may_hold(self, user: UserInfo) -> bool:
        return user.active and self.hub.access.can(Actor(user), CLAIM.name)

    def hold_for_claims(self) -> None:
        """Claims end with their sessions and their holders' rights, so both are watched while there are claims."""
        if len(self.claims):
            self.directory.hold(self.claims)
            if self._holders_timer is None:
                self._holders_timer = self.background.later(HOLDERS_SECONDS, self._look_at_holders)
        else:
            self.directory.drop(self.claims)

    def _look_at_holders(self) -> None:
        self._holders_timer = None
        if len(self.claims):
            self.background.spawn(self._check_holders(), "claim-holders")
            self.hold_for_claims()

    async def _check_holders(self) -> None:
        """What changes outside of this server (`moorage users`, other servers, settings) comes without an event."""
        with contextlib.suppress(Exception), self.hub.db.activate():  # A database that is away is told of elsewhere.
            for user_id in self.claims.holders():
                self.check_holder(user_id, await self.hub.accounts.get_user(user_id))
