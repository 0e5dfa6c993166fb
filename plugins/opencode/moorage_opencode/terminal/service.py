"""All open terminals: how many a session has, and what ends them besides their clients."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from moorage.api import Exec, Hub, Socket, TooManyRequests

from moorage_opencode.config import OpenCodeConfig
from moorage_opencode.rights import TERMINAL
from moorage_opencode.sessions import CHANGED, Sessions
from moorage_opencode.states import Status
from moorage_opencode.terminal.viewer import Terminal

CLOSE_SECONDS = 10.0


class Terminals:
    """Opens terminals and keeps them. `start` before the first."""

    def __init__(self, hub: Hub, config: OpenCodeConfig, sessions: Sessions) -> None:
        self.hub, self.sessions, self.shell = hub, sessions, config.shell
        self._limit = config.terminals
        self._open: dict[str, set[Terminal]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listen to what becomes of sessions."""
        self.hub.bus.subscribe(CHANGED, self._changed)

    async def close(self) -> None:
        """Wait for the programs that are being ended. The sockets are closed already."""
        if self._ending:
            await asyncio.wait(self._ending, timeout=CLOSE_SECONDS)

    def count(self, pid: str) -> int:
        """Open terminals of a session."""
        return len(self._open.get(pid, ()))

    async def open(self, socket: Socket, pid: str) -> None:
        """Serve a terminal until its end.

        NotFound, Forbidden, Unavailable and TooManyRequests before it is accepted.
        """
        live = self.sessions.live(socket.actor, pid, TERMINAL)
        if live.status in (Status.STOPPING, Status.FAILED):
            live = await self.sessions.running(live)  # Says why it cannot be.
        if self.count(live.pid) >= self._limit:
            raise TooManyRequests(f"The session has {self._limit} terminals open, and may not have more", retry_after=5)
        terminal = Terminal(self, socket, live)
        terminals = self._open.setdefault(live.pid, set())
        terminals.add(terminal)
        try:
            target = f"opencode_session:{live.pid}"
            await self.hub.audit.write("opencode.terminal_opened", actor=socket.actor, target=target)
            await terminal.run()
        finally:
            terminals.discard(terminal)
            if not terminals:
                self._open.pop(live.pid, None)

    async def end(self, program: Exec) -> None:
        """End a program, whatever becomes of the caller."""
        ending = asyncio.get_running_loop().create_task(self._end(program))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)

    async def _end(self, program: Exec) -> None:
        try:
            await program.close()
        except Exception:
            self.hub.log.exception("a terminal's program would not end")

    def _changed(self, data: dict[str, Any]) -> None:
        for terminal in list(self._open.get(str(data.get("id")), ())):
            with suppress(RuntimeError):  # A loop that is closing.
                terminal.session_changed(str(data.get("status")), data.get("error"))
