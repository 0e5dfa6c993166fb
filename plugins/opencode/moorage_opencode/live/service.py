"""All sockets of `/api/ws` and all bridges: who hears of which session, and when a bridge is needed."""

from __future__ import annotations

import asyncio
from typing import Any

from moorage.api import Hub, Socket

from moorage_opencode.background import Background
from moorage_opencode.live import messages
from moorage_opencode.live.bridge import Bridge
from moorage_opencode.live.connection import Connection
from moorage_opencode.opencode import OpenCode
from moorage_opencode.sessions import CHANGED, Sessions

PING_SECONDS = 30.0
LINGER_SECONDS = 5.0
"""How long a bridge outlives its last subscriber: a page that is loaded again finds it."""
PING = messages.encode({"type": "ping"})


class Events:
    """The live events of sessions. `start` before the first socket; `close` after the last."""

    ping_seconds = PING_SECONDS

    def __init__(self, hub: Hub, sessions: Sessions, opencode: OpenCode) -> None:
        self.hub, self.sessions, self.opencode = hub, sessions, opencode
        self._connections: dict[int, set[Connection]] = {}
        self._bridges: dict[str, Bridge] = {}
        self._lingering: dict[str, asyncio.TimerHandle] = {}
        self.background = Background(hub.tasks)

    def start(self) -> None:
        """Listen to what becomes of sessions, and keep sockets awake."""
        self.background.open()
        self.hub.bus.subscribe(CHANGED, self._changed)
        self.background.spawn(self._beat(), "events-ping")

    async def close(self) -> None:
        """Let go of all bridges."""
        for timer in self._lingering.values():
            timer.cancel()
        for bridge in self._bridges.values():
            bridge.close()

    async def serve(self, socket: Socket) -> None:
        """Serve one socket until its end."""
        connection = Connection(self, socket)
        mine = self._connections.setdefault(connection.user_id, set())
        mine.add(connection)
        try:
            await connection.run()
        finally:
            mine.discard(connection)
            if not mine and self._connections.get(connection.user_id) is mine:
                del self._connections[connection.user_id]

    def subscribe(self, connection: Connection, session_id: str) -> Bridge:
        """Show a session's events on a connection."""
        if (timer := self._lingering.pop(session_id, None)) is not None:
            timer.cancel()
        bridge = self._bridges.get(session_id)
        if bridge is None:
            bridge = self._bridges[session_id] = Bridge(self.background, self.opencode, session_id)
            bridge.open()
        bridge.subscribers.add(connection)
        bridge.session_changed()  # With nobody to show anything to, it waited.
        return bridge

    def unsubscribe(self, connection: Connection, bridge: Bridge) -> None:
        """Show them no more."""
        bridge.subscribers.discard(connection)
        session_id = bridge.session_id
        if not bridge.subscribers and self._bridges.get(session_id) is bridge and session_id not in self._lingering:
            loop = asyncio.get_running_loop()
            self._lingering[session_id] = loop.call_later(LINGER_SECONDS, self._drop, bridge)

    def bridges(self) -> int:
        """How many there are."""
        return len(self._bridges)

    def _drop(self, bridge: Bridge) -> None:
        self._lingering.pop(bridge.session_id, None)
        if not bridge.subscribers and self._bridges.get(bridge.session_id) is bridge:
            del self._bridges[bridge.session_id]
            bridge.close()

    def _changed(self, data: dict[str, Any]) -> None:
        """A session is in another state: its owner hears of it on all sockets, and whoever subscribed."""
        session_id, status = str(data["id"]), str(data["status"])
        bridge = self._bridges.get(session_id)
        subscribed = {item for item in bridge.subscribers if isinstance(item, Connection)} if bridge else set()
        deleted = status == "deleted"
        message = {"type": "session_deleted" if deleted else "session_updated", "session_id": session_id}
        if not deleted:
            message |= {"status": status, "workspace_path": str(data["workspace_path"])}
            if data.get("error"):
                message["error_message"] = str(data["error"])
        text = messages.encode(message)
        for connection in self._connections.get(data["user_id"], set()) | subscribed:
            connection.show(session_id, text)
        if deleted:
            for connection in subscribed:
                connection.lost(session_id)
        if bridge is not None:
            bridge.session_changed()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.ping_seconds)
            for connections in list(self._connections.values()):
                for connection in list(connections):
                    connection.beat(PING, self.ping_seconds)
