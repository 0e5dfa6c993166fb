"""One socket of `/api/ws`: read, dispatched, and never waited for."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from moorage.api import BadRequest, MoorageError, PreparedText, Socket, SocketClosed, parse_json

from moorage_opencode.live import messages
from moorage_opencode.live.bridge import Bridge
from moorage_opencode.live.commands import COMMANDS, Command
from moorage_opencode.rights import CODE

if TYPE_CHECKING:
    from moorage_opencode.live.service import Events
    from moorage_opencode.sessions import Live

MAX_SUBSCRIPTIONS = 50
MAX_WAITING = 32
"""Commands of one session that may wait for those before them."""
SLOW_SECONDS = 60.0
MISSED_PINGS = 3
CLOSE_SILENT, CLOSE_SLOW = 4000, 1013
DROPPED = "EVENTS_DROPPED"
NOT_SUBSCRIBED = "Not subscribed to session"
_CONNECTED = messages.encode({"type": "connected"})
_PING = messages.encode({"type": "ping"})


class Connection:
    """From the handshake to the end.

    A client that does not keep up is sent nothing more until it has taken what waits for it; then it is told so by an
    `error` for each session, and how that session is now.
    """

    def __init__(self, events: Events, socket: Socket) -> None:
        self._events, self.socket = events, socket
        user = socket.actor.user
        if user is None:
            raise AssertionError("the gate lets nobody in who is not signed in")
        self.user_id = user.id
        self.subscriptions: dict[str, Bridge] = {}
        self._waiting: dict[str, deque[tuple[Command, dict[str, Any]]]] = {}
        self._lags = False
        self._heard = 0.0
        self._answers_pings = False
        socket.on_actor_changed = self._recheck

    async def run(self) -> None:
        """Greet, then take commands until the end."""
        await self.socket.accept()
        self.socket.post(_CONNECTED)
        self.socket.post(_PING)
        try:
            async for message in self.socket:
                self._heard = asyncio.get_running_loop().time()
                if isinstance(message, str):  # The contract has nothing in bytes.
                    self._take(message)
                    await self._breathe()
        finally:
            self._waiting.clear()
            for session_id in list(self.subscriptions):
                self._unsubscribe(session_id)

    # To the client.

    def show(self, session_id: str, text: PreparedText) -> None:
        """Send a message of a session; never waits."""
        if not self._lags and not self.socket.post(text):
            self._lag()

    def tell_error(self, text: str, session_id: str | None = None) -> None:
        """Send an `error`."""
        self.show("", messages.error(text, session_id))

    def beat(self, ping: PreparedText, seconds: float) -> None:
        """Send a ping. Who answered one before, and then none of three, is gone.

        Who never answers any is watched by the protocol's own pings alone.
        """
        silent = asyncio.get_running_loop().time() - self._heard
        if self._answers_pings and silent > seconds * MISSED_PINGS:
            self.socket.close_soon(CLOSE_SILENT, "No pong")
        else:
            self.show("", ping)

    def _lag(self) -> None:
        if not self.socket.closed:
            self._lags = True
            with suppress(MoorageError):  # The server is shutting down.
                self._events.background.spawn(self._catch_up(), "events-catch-up")

    async def _catch_up(self) -> None:
        try:
            await self.socket.wait_drained(SLOW_SECONDS)
        except TimeoutError:
            self.socket.close_soon(CLOSE_SLOW, "Too slow")
            return
        self._lags = False
        text = "Events were dropped, because the client did not keep up: get_messages shows what came"
        for session_id, bridge in list(self.subscriptions.items()):
            self.show(session_id, messages.error(text, session_id, DROPPED))
            self.show_state(session_id, bridge)

    def show_state(self, session_id: str, bridge: Bridge) -> None:
        """Tell how a session is now."""
        try:
            live = self.session(session_id)
        except MoorageError as error:
            self.tell_error(error.message, session_id)
            return
        updated = {
            "type": "session_updated",
            "session_id": session_id,
            "status": str(live.status),
            "workspace_path": str(live.workspace),
        }
        if bridge.conversation.id is not None:
            updated["opencode_session_id"] = bridge.conversation.id
        self.show(session_id, messages.encode(updated))
        for text in bridge.present():
            self.show(session_id, text)

    # Subscriptions.

    def session(self, session_id: str) -> Live:
        """The session, if the user of this moment may follow it. NotFound, Forbidden."""
        return self._events.sessions.live(self.socket.actor, session_id, CODE)

    def lost(self, session_id: str) -> None:
        """The session is gone, or the right to it."""
        self._waiting.pop(session_id, None)
        self._unsubscribe(session_id)

    def _unsubscribe(self, session_id: str) -> None:
        bridge = self.subscriptions.pop(session_id, None)
        if bridge is not None:
            self._events.unsubscribe(self, bridge)

    def _recheck(self) -> None:
        """The actor was replaced: what it may not follow any more ends."""
        for session_id in list(self.subscriptions):
            try:
                self.session(session_id)
            except MoorageError as error:
                self.lost(session_id)
                self.tell_error(error.message, session_id)

    # From the client.

    def _take(self, text: str) -> None:
        session_id: str | None = None
        try:
            data = parse_json(text)
            if not isinstance(data, dict) or not isinstance(kind := data.get("type"), str):
                raise BadRequest("A message is a JSON object with a type")
            if kind == "pong":
                self._answers_pings = True
                return
            session_id = _session_id(data)
            self._dispatch(kind, session_id, data)
        except MoorageError as error:
            self.tell_error(error.message, session_id)

    def _dispatch(self, kind: str, session_id: str, data: dict[str, Any]) -> None:
        if kind == "subscribe":
            self._subscribe(session_id)
        elif kind == "unsubscribe":
            self.lost(session_id)
        elif (command := COMMANDS.get(kind)) is None:
            raise BadRequest(f"Unknown message type {kind[:64]!r}")
        elif session_id not in self.subscriptions:
            raise BadRequest(NOT_SUBSCRIBED)
        else:
            self._queue(session_id, command, data)

    def _subscribe(self, session_id: str) -> None:
        live = self.session(session_id)
        bridge = self.subscriptions.get(live.pid)
        if bridge is None:
            if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
                raise BadRequest(f"More than {MAX_SUBSCRIPTIONS} subscriptions on one connection")
            bridge = self.subscriptions[live.pid] = self._events.subscribe(self, live.pid)
        self.show_state(live.pid, bridge)

    def _queue(self, session_id: str, command: Command, data: dict[str, Any]) -> None:
        """In order for each session; none waits for those of another, nor does the socket."""
        waiting = self._waiting.get(session_id)
        if waiting is not None:
            if len(waiting) >= MAX_WAITING:
                raise BadRequest("Too many commands at once: this one was dropped")
            waiting.append((command, data))
            return
        self._waiting[session_id] = waiting = deque([(command, data)])
        self._events.background.spawn(self._work(session_id, waiting), "events-commands")

    async def _work(self, session_id: str, waiting: deque[tuple[Command, dict[str, Any]]]) -> None:
        while waiting and self._waiting.get(session_id) is waiting:
            command, data = waiting.popleft()
            try:
                await command(self, self.subscriptions[session_id], data)
            except MoorageError as error:
                self.tell_error(error.message, session_id)
            except SocketClosed:
                return
            except Exception:
                self._events.hub.log.exception("command failed", type=data.get("type"), session=session_id)
                self.tell_error("Internal server error", session_id)
        if self._waiting.get(session_id) is waiting:
            del self._waiting[session_id]

    async def _breathe(self) -> None:
        """Who sends commands without end must not keep the others from their turn, nor gather answers unread."""
        if self.socket.pending:
            with suppress(TimeoutError):
                await self.socket.wait_drained(1.0)
        else:
            await asyncio.sleep(0)

    # For commands.

    async def reachable(self, session_id: str, *, resume: bool) -> Live:
        """The session, once its OpenCode can be reached; a stopped one is resumed if `resume` says so."""
        live = await self._events.sessions.running(self.session(session_id), resume=resume)
        self.session(session_id)  # It may have taken a minute.
        self._events.sessions.touch(live)
        return live

    @property
    def events(self) -> Events:
        """Whose socket it is."""
        return self._events


def _session_id(data: dict[str, Any]) -> str:
    session_id = data.get("session_id")
    if not isinstance(session_id, str) or not session_id:
        raise BadRequest("session_id must be a text that is not empty")
    return session_id
