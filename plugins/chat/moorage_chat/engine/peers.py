"""What servers of one installation tell each other of generations: stop it, somebody watches it.

A generation lives on one server; its events are in the database for the others to read. While a reload replaces the
plugin, its two selves in one process are to each other as two servers are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any
from uuid import uuid4

from moorage.api import Hub

from moorage_chat.engine.live import AWAY_AFTER, Stop
from moorage_chat.engine.running import RunningGenerations
from moorage_chat.store import generations

STOP_SECONDS = 5.0
"""Seconds that are waited for a generation that was told to stop."""
LOOK_EVERY = 0.1
STOP = "chat.stop"
"""{"id": the generation's, "watched": whether also one that somebody watches}."""
KEPT = "chat.kept"
"""{"id": the generation's}: it was not stopped, since somebody watches it."""
WATCH = "chat.watch"
"""{"id": the generation's, "who": the watcher, "left": bool}; while it lasts, more than once in AWAY_AFTER seconds."""


class Peers:
    """Tells the other servers, and hears them."""

    def __init__(self, hub: Hub, running: RunningGenerations) -> None:
        self._hub, self._running = hub, running
        self._asked: dict[str, asyncio.Event] = {}

    def start(self) -> None:
        """In the plugin's start."""
        self._hub.bus.share(STOP, KEPT, WATCH)
        self._hub.bus.subscribe(STOP, self._stop)
        self._hub.bus.subscribe(KEPT, self._kept)
        self._hub.bus.subscribe(WATCH, self._watch)

    def stop(self, id: str) -> None:
        """Let the server that has it stop it."""
        self._hub.bus.publish(STOP, {"id": id, "watched": True})

    @contextmanager
    def asked(self, id: str) -> Iterator[asyncio.Event]:
        """Let the server that has it stop it, unless somebody watches it; what is given is set when it says so."""
        kept = self._asked.setdefault(id, asyncio.Event())
        self._hub.bus.publish(STOP, {"id": id, "watched": False})
        try:
            yield kept
        finally:
            self._asked.pop(id, None)

    async def end_of(self, id: str, kept: asyncio.Event | None = None) -> bool:
        """Wait for the end of one of another server; False when it does not come, or its server says that it goes on.

        A server that says nothing is gone.
        """
        for _ in range(int(STOP_SECONDS / LOOK_EVERY)):
            if await generations.server_of(id) is None:
                return True
            if kept is not None and kept.is_set():
                return False
            await asyncio.sleep(LOOK_EVERY)
        return False

    def watcher(self, id: str) -> Watcher:
        """Somebody here follows a generation of another server."""
        return Watcher(self._hub, id)

    def _stop(self, data: dict[str, Any]) -> None:
        live = self._running.find(data["id"])
        if live is None:
            return
        if data["watched"] or not live.watched:
            live.stop(Stop.CANCELED)
        else:
            self._hub.bus.publish(KEPT, {"id": live.id})

    def _kept(self, data: dict[str, Any]) -> None:
        if (asked := self._asked.get(data["id"])) is not None:
            asked.set()

    def _watch(self, data: dict[str, Any]) -> None:
        live = self._running.find(data["id"])
        if live is not None:
            live.watch_from(data["who"], left=data["left"])


class Watcher:
    """Somebody who follows what another server makes."""

    def __init__(self, hub: Hub, id: str) -> None:
        self._hub, self._id, self._who = hub, id, uuid4().hex
        self._next = 0.0

    def here(self) -> None:
        """Still there: told from time to time."""
        if monotonic() >= self._next:
            self._next = monotonic() + AWAY_AFTER / 3
            self._tell(left=False)

    def left(self) -> None:
        """Gone."""
        self._tell(left=True)

    def _tell(self, *, left: bool) -> None:
        self._hub.bus.publish(WATCH, {"id": self._id, "who": self._who, "left": left})
