"""The two WebSockets of the contract: `/ws` for everything, `/ws/terminal/{name}` for one session."""

from __future__ import annotations

import shlex
from typing import Any

from moorage.api import MoorageError, Route, Routes, Socket

from moorage_tmux import messages
from moorage_tmux.connection import Connection
from moorage_tmux.incoming import Refused, pane_spec, position, session_name
from moorage_tmux.refusals import told
from moorage_tmux.rights import CREATE, VIEW
from moorage_tmux.service import Terminals
from moorage_tmux.sessions import SessionInfo, resolve, window_size
from moorage_tmux.subscription import Subscription
from moorage_tmux.tmux import Tmux, TmuxError, TmuxGone
from moorage_tmux.watch import SessionWatch

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


def _by_hand(tmux: Tmux) -> str:
    """What starts a session in a shell on this machine."""
    return shlex.join([tmux.binary, *tmux.socket(), "new", "-s", "main"])


class MainConnection(Connection):
    """`/ws`: the list of sessions, any number of subscriptions, claims."""

    def __init__(self, terminals: Terminals, socket: Socket) -> None:
        super().__init__(terminals, socket)
        self.handlers |= {
            "subscribe": self.on_subscribe,
            "unsubscribe": self.on_unsubscribe,
            "listSessions": self.on_list,
        }

    async def opened(self) -> bool:
        """Greet with who the client is and what sessions there are."""
        rights = self.rights()
        # For those who may start sessions: how to do it on the server itself.
        may_start = CREATE.name in rights["permissions"]
        start = {"command": _by_hand(self.terminals.tmux)} if may_start else {}
        self.post(messages.encode({"type": "connected", **rights, "name": self._user.name, **start}))
        try:
            await self.on_list({})
        except MoorageError as error:
            self.post(messages.error("TMUX_ERROR", error.message))
        # Not before: of what changes while tmux is asked the list tells.
        self.lists = True
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
        seen = self.sees(session.key)
        subscription = await self.subscribe(session, spec)
        if not seen:
            self.post(subscription.watch.layout_message())
            self.tell_of_recording(session)
        subscription.show(since)

    async def on_unsubscribe(self, data: dict[str, Any]) -> None:
        """Stop watching a session: the given pane, or all of it."""
        name, spec = session_name(data), pane_spec(data)
        for (_, known), subscription in list(self.subscriptions.items()):
            if subscription.watch.name == name and spec in (None, known):
                self.unsubscribe(subscription)

    async def meant(self, data: dict[str, Any]) -> SessionInfo:
        """The session of the name that the message gives."""
        return await self.terminals.find(session_name(data))

    async def send_keys(self, data: dict[str, Any]) -> None:
        """Needs the right to type, and that nobody else has claimed the session."""
        name, spec = session_name(data), pane_spec(data)
        if not self.may_type():
            raise Refused("FORBIDDEN", "Viewers cannot send keys", sessionId=name)
        watch, pane = await self._target(name, spec)

        def may() -> None:
            if not self.may_type():
                raise Refused("FORBIDDEN", "Viewers cannot send keys", sessionId=name)
            self.terminals.claims.check_free(watch.session.key, self.actor)

        await self.type(watch, pane, data, may)

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

    not_operator = "NOT_OPERATOR"

    async def opened(self) -> bool:
        """Subscribe and greet, or say that there is no such session and close."""
        name, query = self.socket.params["name"], self.socket.query
        try:
            session = await self.terminals.find(name)
            since = int(query["since"]) if query.get("since", "").isdecimal() and len(query["since"]) < 20 else None
            subscription = await self.subscribe(session, query.get("pane") or None)
        except (Refused, MoorageError, TmuxError) as error:
            missing = isinstance(error, Refused | TmuxGone) or (isinstance(error, MoorageError) and error.status == 404)
            text = error.message if isinstance(error, Refused | MoorageError) else told(error)
            self.post(messages.error("SESSION_NOT_FOUND" if missing else "TMUX_ERROR", text, sessionId=name))
            await self.socket.close(CLOSE_NOT_FOUND if missing else 1011, text)
            return False
        claim = self.terminals.claims.get(session.key)
        cols, rows = window_size(subscription.watch.layout) or (None, None)
        self.post(
            messages.encode(
                {
                    "type": "connected",
                    "sessionId": session.name,
                    **self.rights(),
                    "pane": subscription.label,
                    "claim": claim.public() if claim else None,
                    "recording": self.terminals.recordings.notice(session.key),
                    "cols": cols,
                    "rows": rows,
                }
            )
        )
        self.post(subscription.watch.layout_message())
        self.tell_of_recording(session)
        subscription.show(since)
        return True

    async def meant(self, data: dict[str, Any]) -> SessionInfo:
        """The one session of this socket, whatever its name is by now."""
        subscription = next(iter(self.subscriptions.values()), None)
        if subscription is None:
            raise Refused("SESSION_NOT_FOUND", "Session not found")
        watch = subscription.watch
        if data.get("sessionId") not in (None, watch.name, watch.session.id, self.socket.params["name"]):
            raise Refused("INVALID_MESSAGE", "This socket is about another session", sessionId=watch.name)
        return await self.terminals.find_again(watch.session)

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

        def may() -> None:
            if not self.may_type():
                raise Refused(self.not_operator, "Only operators can send keys")
            if not self.own_claim(watch.session.key):
                raise Refused("NOT_CLAIMED", "You must claim the session before sending keys")

        may()
        pane = subscription.pane
        if spec is not None and spec != subscription.label:
            found = resolve(await watch.panes(), spec)
            if found is None:
                raise Refused("SESSION_NOT_FOUND", "Pane not found", pane=spec)
            pane = found.id
        await self.type(watch, pane, data, may)
