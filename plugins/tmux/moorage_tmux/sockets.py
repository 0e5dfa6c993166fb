"""The two WebSockets of the contract: `/ws` for everything, `/ws/terminal/{name}` for one session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from moorage.api import MoorageError, Route, Routes, Socket, UserInfo

from moorage_tmux import keys, messages
from moorage_tmux.claims import claimed_by_other
from moorage_tmux.client import TmuxError, TmuxGone
from moorage_tmux.incoming import Refused, error_text, flag, pane_spec, parse, position, session_name
from moorage_tmux.rights import INPUT, VIEW
from moorage_tmux.service import Terminals
from moorage_tmux.sessions import SessionInfo, resolve
from moorage_tmux.viewers import Viewer
from moorage_tmux.watch import SessionWatch, Subscription

MAX_SUBSCRIPTIONS = 64
CLOSE_HEARTBEAT = 4000
CLOSE_NOT_FOUND = 4004


def routes(terminals: Terminals) -> list[Route]:
    """Both sockets. One who is not signed in is told so by a close code, as the contract says."""
    table = Routes()

    @table.socket("/ws", access=VIEW.name, close_codes={401: 4001})
    async def everything(socket: Socket) -> None:
        await MainConnection(terminals, socket).run()

    @table.socket("/ws/terminal/{name}", access=VIEW.name, close_codes={401: 4001})
    async def terminal(socket: Socket) -> None:
        await TerminalConnection(terminals, socket).run()

    return list(table)


Handler = Callable[[dict[str, Any]], Awaitable[None]]


class Connection:
    """What both sockets have in common: accept, read, dispatch, heartbeat, subscriptions."""

    lists = False

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
        )
        self.subscriptions: dict[tuple[str, str | None], Subscription] = {}
        self.handlers: dict[str, Handler] = {"heartbeat": self.heartbeat, "sendKeys": self.send_keys}
        socket.on_actor_changed = self._actor_changed
        self._alive = 0.0
        self._beats: asyncio.TimerHandle | None = None

    @property
    def user(self) -> UserInfo:
        """Whose it is now."""
        return self._user

    def post(self, text: str) -> None:
        """Send a message; one who lags is sent the present state later instead."""
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
        for subscription in list(self.subscriptions.values()):
            subscription.show()
            self.post(self.terminals.present(subscription.watch.session.key, subscription.watch.name))

    def _actor_changed(self) -> None:
        """The core found out that the user changed: typing asks the new actor, claims may have to go."""
        if self.socket.actor.user is not None:
            self._user = self.socket.actor.user
        self.terminals.check_holder(self._user.id, self.socket.actor.user)

    # Reading.

    async def _take(self, message: str | bytes) -> None:
        self._alive = asyncio.get_running_loop().time()
        data: dict[str, Any] = {}
        try:
            data = parse(message)
            kind = data.get("type")
            handler = self.handlers.get(kind) if isinstance(kind, str) else None
            if handler is None:
                raise Refused("UNKNOWN_TYPE", "Unknown message type")
            await handler(data)
        except (Refused, TmuxError, MoorageError) as error:
            self.post(error_text(error, data))
        except Exception:
            self.terminals.hub.log.exception("message failed", template=self.socket.info.template)
            self.post(messages.error("INTERNAL_ERROR", "Internal server error"))

    async def heartbeat(self, data: dict[str, Any]) -> None:
        """From the first heartbeat on, silence ends the connection. Who never sends one is watched by pings alone."""
        if self._beats is None:
            self._wait_for_beat()

    def _wait_for_beat(self) -> None:
        limit = self.terminals.config.heartbeat_seconds
        left = self._alive + limit - asyncio.get_running_loop().time()
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

    # Typing.

    async def send_keys(self, data: dict[str, Any]) -> None:
        """Type, if the actor may at this moment."""
        raise NotImplementedError

    async def type(self, watch: SessionWatch, pane: str, data: dict[str, Any]) -> None:
        """Type a message's keys into a pane."""
        text = data.get("keys")
        if not isinstance(text, str) or not text:
            raise Refused("INVALID_MESSAGE", "keys must be a text that is not empty")
        typed = keys.to_text(text, raw=flag(data, "raw"))
        await keys.type_into(watch, pane, typed)
        self.terminals.typed.inc(len(typed))
        claim = self.terminals.claims.get(watch.session.key)
        if claim is not None and claim.user.id == self._user.id:
            self.terminals.claims.used(claim)

    def may_type(self) -> bool:
        """Whether the actor of this moment may type at all."""
        return self.terminals.hub.access.can(self.socket.actor, INPUT.name)

    def own_claim(self, key: str) -> bool:
        """Whether the session is claimed by this user."""
        claim = self.terminals.claims.get(key)
        return claim is not None and claim.user.id == self._user.id


class MainConnection(Connection):
    """`/ws`: the list of sessions, any number of subscriptions, claims."""

    lists = True

    def __init__(self, terminals: Terminals, socket: Socket) -> None:
        super().__init__(terminals, socket)
        self.handlers |= {
            "subscribe": self.on_subscribe,
            "unsubscribe": self.on_unsubscribe,
            "claim": self.on_claim,
            "release": self.on_release,
            "listSessions": self.on_list,
        }

    async def opened(self) -> bool:
        """Greet with who the client is and what sessions there are."""
        user = self._user
        self.post(messages.encode({"type": "connected", "userId": user.pid, "role": user.role, "name": user.name}))
        try:
            await self.on_list({})
        except MoorageError as error:
            self.post(messages.error("TMUX_ERROR", error.message))
        return True

    def recovered(self) -> None:
        """The list may have changed meanwhile as well."""
        super().recovered()
        self.terminals.background.spawn(self.on_list({}), "list-again")

    async def on_list(self, data: dict[str, Any]) -> None:
        """Send the list."""
        sessions = await self.terminals.sessions()
        self.post(messages.encode({"type": "sessions", "sessions": sessions}))

    async def on_subscribe(self, data: dict[str, Any]) -> None:
        """Watch a session, from `since` on if that is given and still known."""
        spec, since = pane_spec(data), position(data.get("since"))
        session = await self.terminals.find(session_name(data))
        (await self.subscribe(session, spec)).show(since)

    async def on_unsubscribe(self, data: dict[str, Any]) -> None:
        """Stop watching a session: the given pane, or all of it."""
        name, spec = session_name(data), pane_spec(data)
        for (_, known), subscription in list(self.subscriptions.items()):
            if subscription.watch.name == name and spec in (None, known):
                self.unsubscribe(subscription)

    async def on_claim(self, data: dict[str, Any]) -> None:
        """Claim a session; the answer is the `claimed` that everybody gets."""
        await self.terminals.claim(session_name(data), self.socket.actor)

    async def on_release(self, data: dict[str, Any]) -> None:
        """Release a session; the answer is the `released` that everybody gets."""
        await self.terminals.release(session_name(data), self.socket.actor)

    async def send_keys(self, data: dict[str, Any]) -> None:
        """Needs the right to type, and that nobody else has claimed the session."""
        name, spec = session_name(data), pane_spec(data)
        if not self.may_type():
            raise Refused("FORBIDDEN", "Viewers cannot send keys", sessionId=name)
        watch, pane = await self._target(name, spec)
        claim = self.terminals.claims.get(watch.session.key)
        if claim is not None and claim.user.id != self._user.id:
            raise claimed_by_other(claim, "CLAIM_REQUIRED")
        await self.type(watch, pane, data)

    async def _target(self, name: str, spec: str | None) -> tuple[SessionWatch, str]:
        """Where keys go: the pane that this client sees under that name, else one that tmux is asked for."""
        for (_, known), subscription in self.subscriptions.items():
            if subscription.watch.name == name and known == spec:
                return subscription.watch, subscription.pane
        watch = await self.terminals.watch(await self.terminals.find(name))
        pane = resolve(await watch.panes(), spec)
        if pane is None:
            raise Refused("SESSION_NOT_FOUND", "Pane not found", sessionId=name, pane=spec)
        return watch, pane.id


class TerminalConnection(Connection):
    """`/ws/terminal/{name}[?pane=][&since=]`: one session, and typing only with one's own claim."""

    async def opened(self) -> bool:
        """Subscribe and greet, or say that there is no such session and close."""
        name, query = self.socket.params["name"], self.socket.query
        try:
            session = await self.terminals.find(name)
            since = int(query["since"]) if query.get("since", "").isdecimal() and len(query["since"]) < 20 else None
            subscription = await self.subscribe(session, query.get("pane") or None)
        except (Refused, MoorageError, TmuxError) as error:
            missing = isinstance(error, Refused | TmuxGone) or (isinstance(error, MoorageError) and error.status == 404)
            text = error.message if isinstance(error, Refused | MoorageError) else str(error)
            self.post(messages.error("SESSION_NOT_FOUND" if missing else "TMUX_ERROR", text, sessionId=name))
            await self.socket.close(CLOSE_NOT_FOUND if missing else 1011, text)
            return False
        claim = self.terminals.claims.get(session.key)
        self.post(
            messages.encode(
                {
                    "type": "connected",
                    "sessionId": session.name,
                    "userId": self._user.pid,
                    "role": self.socket.actor.user.role if self.socket.actor.user else self._user.role,
                    "pane": subscription.label,
                    "claim": claim.public() if claim else None,
                }
            )
        )
        subscription.show(since)
        return True

    def lost(self, subscription: Subscription, reason: str) -> None:
        """With its session the connection ends."""
        super().lost(subscription, reason)
        self.socket.close_soon(CLOSE_NOT_FOUND, reason)

    async def send_keys(self, data: dict[str, Any]) -> None:
        """Needs the right to type and one's own claim."""
        subscription = next(iter(self.subscriptions.values()), None)
        if subscription is None:
            raise Refused("SESSION_NOT_FOUND", "Session not found")
        watch, spec = subscription.watch, pane_spec(data)
        if not self.may_type():
            raise Refused("NOT_OPERATOR", "Only operators can send keys")
        if not self.own_claim(watch.session.key):
            raise Refused("NOT_CLAIMED", "You must claim the session before sending keys")
        pane = subscription.pane
        if spec is not None and spec != subscription.label:
            found = resolve(await watch.panes(), spec)
            if found is None:
                raise Refused("SESSION_NOT_FOUND", "Pane not found", pane=spec)
            pane = found.id
        await self.type(watch, pane, data)
