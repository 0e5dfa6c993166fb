"""What both WebSockets have in common: accept, read, dispatch, heartbeat, subscriptions, typing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from moorage.api import Actor, MoorageError, Socket, UserInfo

from moorage_tmux import keys, messages
from moorage_tmux.incoming import Refused, error_text, flag, parse, size, too_fast, user_id
from moorage_tmux.pace import CLOSE_FLOOD, Pace
from moorage_tmux.rights import INPUT, PERMISSIONS
from moorage_tmux.service import Terminals
from moorage_tmux.sessions import SessionInfo, resolve
from moorage_tmux.subscription import Subscription
from moorage_tmux.tmux import TmuxError
from moorage_tmux.viewers import Viewer
from moorage_tmux.watch import SessionWatch

MAX_SUBSCRIPTIONS = 64
CLOSE_HEARTBEAT = 4000
CLOSE_TOO_SLOW = 1013

Handler = Callable[[dict[str, Any]], Awaitable[None]]


class Connection:
    """An open socket, from the handshake to its end. Each of the two has its own greeting and its own messages."""

    lists = False
    not_operator = "FORBIDDEN"
    """The code for one who may only watch."""

    def __init__(self, terminals: Terminals, socket: Socket) -> None:
        self.terminals, self.socket = terminals, socket
        user = socket.actor.user
        if user is None:
            raise AssertionError("the gate lets nobody in who is not signed in")
        self._user = user
        self.viewer = Viewer(
            socket,
            limit=terminals.config.viewer_bytes,
            spawn=terminals.background.spawn,
            on_recovered=self.recovered,
            on_lag=terminals.lagged.inc,
            on_given_up=lambda: socket.close_soon(CLOSE_TOO_SLOW, "Too slow"),
        )
        self.pace = Pace(terminals.config.messages_per_second, terminals.config.input_bytes_per_second)
        self.subscriptions: dict[tuple[str, str | None], Subscription] = {}
        self.handlers: dict[str, Handler] = {
            "heartbeat": self.heartbeat,
            "sendKeys": self.send_keys,
            "resize": self.on_resize,
            "claim": self.on_claim,
            "release": self.on_release,
            "requestControl": self.on_request_control,
            "declineControl": self.on_decline_control,
            "handOver": self.on_hand_over,
        }
        socket.on_actor_changed = self._actor_changed
        self._told_rights: dict[str, Any] | None = None
        self._alive = 0.0
        self._busy = False
        self._beats: asyncio.TimerHandle | None = None

    @property
    def user(self) -> UserInfo:
        """Whose it is now."""
        return self._user

    @property
    def actor(self) -> Actor:
        """Who is behind it now."""
        return self.socket.actor

    def post(self, text: str) -> None:
        """Send a message; one who lags is sent it later."""
        self.viewer.tell(text)

    def offer(self, text: str) -> None:
        """Send a message of the present state; one who lags is sent the state of then, by `recovered`."""
        self.viewer.post(text)

    def sees(self, key: str) -> bool:
        """Whether it shows that session."""
        return any(session == key for session, _ in self.subscriptions)

    async def run(self) -> None:
        """From the handshake to the end."""
        await self.socket.accept()
        self.terminals.enter(self)
        try:
            if await self.opened():
                async for message in self.socket:
                    if await self._admitted(message):
                        await self._take(message)
        finally:
            if self._beats is not None:
                self._beats.cancel()
            for subscription in list(self.subscriptions.values()):
                self.unsubscribe(subscription)
            self.terminals.leave(self)

    async def opened(self) -> bool:
        """Greet; False ends the connection."""
        raise NotImplementedError

    def recovered(self) -> None:
        """The viewer caught up after messages were dropped: show everything as it is now."""
        for watch in {subscription.watch for subscription in self.subscriptions.values()}:
            self.offer(watch.layout_message())
        for subscription in list(self.subscriptions.values()):
            subscription.show()
            key, name = subscription.watch.session.key, subscription.watch.name
            self.offer(self.terminals.announce.presence(key, name))
            self.offer(self.terminals.recordings.message(key, name))

    def _actor_changed(self) -> None:
        """The core found out that the user changed: typing asks the new actor, claims may have to go."""
        if self.socket.actor.user is not None:
            self._user = self.socket.actor.user
        self.terminals.check_holder(self._user.id, self.socket.actor.user)
        now = {"role": self._user.role, "permissions": self.permissions()}
        if self._told_rights not in (None, now):
            self._told_rights = now
            self.post(messages.encode({"type": "permissions", **now}))

    def rights(self) -> dict[str, Any]:
        """What the greeting says of the client: who it is, and what it may do at this moment."""
        self._told_rights = {"role": self._user.role, "permissions": self.permissions()}
        return {"userId": self._user.pid, **self._told_rights}

    def permissions(self) -> list[str]:
        """The plugin's permissions that the actor of this moment has."""
        access = self.terminals.hub.access
        return [permission.name for permission in PERMISSIONS if access.can(self.socket.actor, permission.name)]

    # Reading.

    async def _admitted(self, message: str | bytes) -> bool:
        """Whether a message may be handled. One who goes on and on beyond the limit is closed."""
        now = self._alive = asyncio.get_running_loop().time()
        size = len(message) if isinstance(message, bytes) or message.isascii() else len(message.encode())
        wait = self.pace.admit(size, now)
        if wait <= 0:
            return True
        self.terminals.refused.inc()
        if self.pace.flooding(now):
            self.terminals.hub.log.warning("socket closed: it floods", user=self._user.username)
            await self.socket.close(CLOSE_FLOOD, "Too many messages")
            return False
        if self.pace.tells(now):
            self.post(error_text(too_fast(wait), {}))
        await asyncio.sleep(self.pace.pause())
        return False

    async def _take(self, message: str | bytes) -> None:
        data: dict[str, Any] = {}
        self._busy = True
        try:
            data = parse(message)
            kind = data.get("type")
            handler = self.handlers.get(kind) if isinstance(kind, str) else None
            if handler is None or not isinstance(kind, str):
                raise Refused("UNKNOWN_TYPE", "Unknown message type")
            now = asyncio.get_running_loop().time()
            wait = self.pace.charge(kind, now)
            if wait > 0:
                self.terminals.refused.inc()
                if self.pace.tells(now):
                    raise too_fast(wait)
                return
            await handler(data)
        except (Refused, TmuxError, MoorageError) as error:
            self.post(error_text(error, data))
        except Exception:
            self.terminals.hub.log.exception("message failed", template=self.socket.info.template)
            self.post(messages.error("INTERNAL_ERROR", "Internal server error"))
        finally:
            # What took long was our doing: silence begins now.
            self._busy = False
            self._alive = asyncio.get_running_loop().time()

    async def heartbeat(self, data: dict[str, Any]) -> None:
        """From the first heartbeat on, silence ends the connection. Who never sends one is watched by pings alone."""
        if self._beats is None:
            self._wait_for_beat()

    def _wait_for_beat(self) -> None:
        limit = self.terminals.config.heartbeat_seconds
        left = limit if self._busy else self._alive + limit - asyncio.get_running_loop().time()
        if left <= 0:
            self.socket.close_soon(CLOSE_HEARTBEAT, "Heartbeat timeout")
            return
        self._beats = self.terminals.background.later(left, self._wait_for_beat)

    # Watching.

    async def subscribe(self, session: SessionInfo, spec: str | None) -> Subscription:
        """A subscription to a session's pane, the one that there is or a new one; `show` it next."""
        key = (session.key, spec)
        known = self.subscriptions.get(key)
        if known is not None:
            return known
        if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise Refused("TOO_MANY_SUBSCRIPTIONS", f"More than {MAX_SUBSCRIPTIONS} subscriptions on one connection")
        watch = await self.terminals.watch(session)
        pane = resolve(await watch.panes(), spec)
        if pane is None:
            raise Refused("SESSION_NOT_FOUND", "Pane not found", sessionId=session.name, pane=spec)
        subscription = Subscription(
            watch,
            self.viewer,
            pane=pane,
            label=spec if spec is not None else str(pane.index),
            follow=spec is None,
            on_lost=self.lost,
        )
        self.subscriptions[key] = subscription
        watch.add(subscription)
        self.terminals.presence.join(session.key, self._user)
        return subscription

    def tell_of_recording(self, session: SessionInfo) -> None:
        """Whoever begins to watch a session that is recorded learns of it before the screen comes."""
        if self.terminals.recordings.notice(session.key) is not None:
            self.post(self.terminals.recordings.message(session.key, session.name))

    def unsubscribe(self, subscription: Subscription) -> None:
        """Show it no more."""
        for key, known in list(self.subscriptions.items()):
            if known is subscription:
                del self.subscriptions[key]
                subscription.watch.remove(subscription)
                self.terminals.presence.leave(key[0], self._user)

    def lost(self, subscription: Subscription, reason: str) -> None:
        """The session or pane ended."""
        self.unsubscribe(subscription)
        self.post(
            messages.error("SESSION_NOT_FOUND", reason, sessionId=subscription.watch.name, pane=subscription.label)
        )

    # Control.

    async def meant(self, data: dict[str, Any]) -> SessionInfo:
        """The session that a message is about. Refused, NotFound, Unavailable."""
        raise NotImplementedError

    async def on_claim(self, data: dict[str, Any]) -> None:
        """Claim a session; the answer is the `claimed` that everybody gets."""
        await self.terminals.claim(await self.meant(data), self.socket.actor)

    async def on_release(self, data: dict[str, Any]) -> None:
        """Release a session; the answer is the `released` that everybody gets."""
        await self.terminals.release(await self.meant(data), self.socket.actor)

    async def on_request_control(self, data: dict[str, Any]) -> None:
        """Ask the holder for control; the answer is the `controlRequested` that the holder gets as well."""
        self.terminals.handover.request(await self.meant(data), self.socket.actor)

    async def on_decline_control(self, data: dict[str, Any]) -> None:
        """Decline what somebody asked for; both are told."""
        user = user_id(data)
        self.terminals.handover.decline(await self.meant(data), self.socket.actor, user)

    async def on_hand_over(self, data: dict[str, Any]) -> None:
        """Hand the claim over; the answer is the `claimed` that everybody gets."""
        user = user_id(data)
        await self.terminals.hand_over(await self.meant(data), self.socket.actor, user)

    # Driving.

    async def on_resize(self, data: dict[str, Any]) -> None:
        """Give a session's windows a size, with one's own claim; what comes of it is told by `resize`."""
        if not self.may_type():
            raise Refused(self.not_operator, "Only operators can resize sessions")
        session = await self.meant(data)
        if not self.own_claim(session.key):
            raise Refused("NOT_CLAIMED", "You must claim the session before resizing it")
        cols, rows = size(data)
        watch = await self.terminals.watch(session)
        if not self.may_type() or not self.own_claim(session.key):
            raise Refused("NOT_CLAIMED", "You must claim the session before resizing it")
        watch.resize(cols, rows)

    async def send_keys(self, data: dict[str, Any]) -> None:
        """Type, if the actor may at this moment."""
        raise NotImplementedError

    async def type(self, watch: SessionWatch, pane: str, data: dict[str, Any], may: Callable[[], None]) -> None:
        """Type a message's keys into a pane, as long as `may` does not raise."""
        text = data.get("keys")
        if not isinstance(text, str) or not text:
            raise Refused("INVALID_MESSAGE", "keys must be a text that is not empty")
        await self.terminals.type(self.socket.actor, watch, pane, keys.to_text(text, raw=flag(data, "raw")), may)

    def may_type(self) -> bool:
        """Whether the actor of this moment may type at all."""
        return self.terminals.hub.access.can(self.socket.actor, INPUT.name)

    def own_claim(self, key: str) -> bool:
        """Whether the session is claimed by this user."""
        claim = self.terminals.claims.get(key)
        return claim is not None and claim.user.id == self._user.id
