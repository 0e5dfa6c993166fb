"""One open terminal: a WebSocket on the one side, a program in the session's workspace on the other."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from moorage.api import Exec, Hub, MoorageError, Socket, SocketClosed, TerminalSize

from moorage_opencode.rights import TERMINAL
from moorage_opencode.terminal import protocol
from moorage_opencode.terminal.program import Input
from moorage_opencode.terminal.protocol import Frame, Kind

if TYPE_CHECKING:
    from moorage_opencode.sessions import Live, Sessions

FIRST_FRAME_SECONDS = 10.0
PROBE_SECONDS = 5.0
END_SECONDS = 10.0
LAST_WORDS_SECONDS = 30.0
DRAIN_SECONDS = 0.25
"""Of a program that has ended, output is shown until none came for so long."""
LOST = 255
"""Stands for the exit code of a program of which nobody tells how it ended."""
ASKED_SIZE = TerminalSize(120, 40)
"""Of the contract's clients until they say theirs; ttyd's begin with 80 by 24."""

ENDED, GOING_AWAY, PROTOCOL_ERROR, FAILED, RESTARTS, TRY_AGAIN = 1000, 1001, 1002, 1011, 1012, 1013
FORBIDDEN = 4003
_FALLBACK = 'command -v "$1" >/dev/null 2>&1 && exec "$@"; exec sh'


class Owner(Protocol):
    """What a terminal needs of who keeps all of them."""

    hub: Hub
    sessions: Sessions
    shell: str

    async def end(self, program: Exec) -> None:
        """End a program, whatever becomes of the caller."""
        ...


class Terminal:
    """An open terminal, from the handshake to the end of its program, of its client or of their right."""

    def __init__(self, owner: Owner, socket: Socket, live: Live) -> None:
        self._owner, self.socket, self.live = owner, socket, live
        self.native = protocol.SUBPROTOCOL in socket.subprotocols
        self._input = Input(TerminalSize() if self.native else ASKED_SIZE)
        self._begun, self._flowing = asyncio.Event(), asyncio.Event()
        self._flowing.set()
        self._shown = 0
        self.runs = False
        socket.on_actor_changed = self._check

    async def run(self) -> None:
        """Until the client goes, or the program ends; neither is left without the other."""
        await self.socket.accept(protocol.SUBPROTOCOL if self.native else None)
        if not self.native:
            self._begun.set()
        serving = self._owner.hub.tasks.spawn(self._serve(), f"terminal:{self.live.pid}")
        try:
            async for message in self.socket:
                await self._take(protocol.native(message) if self.native else protocol.plain(message))
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    def session_changed(self, status: str, error: str | None) -> None:
        """The session went into another state. ttyd's clients come again after any code but 1000."""
        if status in ("stopping", "stopped"):
            self.socket.close_soon(ENDED, "The session was stopped")
        elif status == "deleted":
            self.socket.close_soon(ENDED, "The session was deleted")
        elif status == "failed":
            self.socket.close_soon(FAILED, error or "The session failed")
        elif self.runs and status in ("pending", "starting"):
            self.socket.close_soon(RESTARTS, "The session starts again")

    def _check(self) -> None:
        """The actor was replaced: is it still one who may?"""
        if (refusal := self._refusal()) is not None:
            self.socket.close_soon(FORBIDDEN, refusal)

    def _refusal(self) -> str | None:
        try:
            self._owner.sessions.live(self.socket.actor, self.live.pid, TERMINAL)
        except MoorageError as error:
            return error.message
        return None

    # From the client.

    async def _take(self, frame: Frame) -> None:
        if frame.kind is Kind.INPUT:
            # As ttyd does: before its first frame nobody is there to type for.
            if self._begun.is_set():
                self._input.add(frame.data)
                await self._wait_for_room()
        elif frame.kind is Kind.RESIZE:
            self._resize(frame.size)
        elif frame.kind is Kind.PAUSE:
            self._flowing.clear()
        elif frame.kind is Kind.RESUME:
            self._flowing.set()
        elif frame.kind is Kind.BEGIN and not self._begun.is_set():
            self._resize(frame.size)
            self._begun.set()

    def _resize(self, size: TerminalSize | None) -> None:
        """A size that cannot be changes nothing."""
        if size is not None:
            self._input.resize(size)

    async def _wait_for_room(self) -> None:
        """While the program does not read, the client must not go on; and whether it is still there shows in sending.

        What it sends stays unread meanwhile, the end of its connection too.
        """
        while not await self._input.room(PROBE_SECONDS):
            self.socket.post(protocol.OUTPUT if self.native else b"")
            if self.socket.closed:
                raise SocketClosed(self.socket.close_code or 1006)

    # To the client.

    async def _serve(self) -> None:
        """Start the program, show what it shows, and close as it ended."""
        try:
            code, reason = await self._served()
        except MoorageError as error:
            code, reason = TRY_AGAIN, error.message
        except SocketClosed:
            return
        except Exception:
            self._owner.hub.log.exception("terminal failed", session=self.live.pid)
            code, reason = FAILED, "Internal server error"
        self.socket.close_soon(code, reason)

    async def _served(self) -> tuple[int, str]:
        try:
            async with asyncio.timeout(FIRST_FRAME_SECONDS):
                await self._begun.wait()
        except TimeoutError:
            return PROTOCOL_ERROR, "No first message with a size came"
        self.live = await self._owner.sessions.running(self.live)
        if (refusal := self._refusal()) is not None:  # It may have taken a minute.
            return FORBIDDEN, refusal
        with self._owner.sessions.hold(self.live):
            size = self._input.size
            program = await self._start(size)
            self.runs = True
            self._input.started(size)
            feeding = self._owner.hub.tasks.spawn(self._input.feed(program), f"terminal-input:{self.live.pid}")
            try:
                status = await self._until_end(program)
            finally:
                feeding.cancel()
                await self._owner.end(program)
        with suppress(TimeoutError):  # Its last words are for slow clients too; closing waits for less.
            await self.socket.wait_drained(LAST_WORDS_SECONDS)
        return (ENDED, "") if status == 0 else (FAILED, f"The program ended with {status}")

    async def _until_end(self, program: Exec) -> int:
        """Show output until the program has ended. What it left in the background may hold the terminal for ever."""
        showing = asyncio.ensure_future(self._show(program))
        ending = asyncio.ensure_future(program.wait())
        try:
            await asyncio.wait((showing, ending), return_when=asyncio.FIRST_COMPLETED)
            if showing.done():
                showing.result()
            async with asyncio.timeout(END_SECONDS):
                status = await ending
                shown = -1
                while not showing.done() and shown != self._shown:
                    shown = self._shown
                    await asyncio.wait((showing,), timeout=DRAIN_SECONDS)
            return status
        except TimeoutError:
            return ending.result() if ending.done() else LOST
        finally:
            for task in (showing, ending):
                task.cancel()
            await asyncio.gather(showing, ending, return_exceptions=True)

    async def _start(self, size: TerminalSize) -> Exec:
        runtime = await self._owner.sessions.runtime(self.live)
        return await runtime.exec(
            self.live.workload,
            shell_command(self._owner.shell),
            env={"TERM": "xterm-256color"},
            workdir=str(self.live.workspace),
            terminal=size,
        )

    async def _show(self, program: Exec) -> None:
        """Output, until its end. While nobody takes it, nothing more is read: the program itself has to wait."""
        if self.native:
            name = shlex.split(self._owner.shell)[0].rsplit("/", 1)[-1]
            await self.socket.send(protocol.TITLE + f"{name} ({self.live.workspace.name or '/'})".encode())
            await self.socket.send(protocol.PREFERENCES + b"{ }")
        while True:
            await self._flowing.wait()
            data = await program.read()
            if not data:
                return
            self._shown += 1
            await self._flowing.wait()  # It may have been stopped while there was nothing to read.
            await self.socket.send(protocol.OUTPUT + data if self.native else data)


def shell_command(shell: str) -> Iterable[str]:
    """The operator's shell (words, no shell line), or `sh` where there is none of that name."""
    return ("/bin/sh", "-c", _FALLBACK, "sh", *(shlex.split(shell) or ["sh"]))
