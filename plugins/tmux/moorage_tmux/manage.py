"""Sessions, windows and panes: made, named, arranged and ended by people who may."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from moorage.api import Actor, Conflict

from moorage_tmux.client import shown
from moorage_tmux.guards import titled
from moorage_tmux.names import argument
from moorage_tmux.refusals import no_pane, no_window, refused, unavailable
from moorage_tmux.rights import CREATE, DELETE, INPUT, RENAME, require
from moorage_tmux.sessions import PaneInfo, SessionInfo, find_window, list_panes, parse_panes, resolve, server_version
from moorage_tmux.tmux import TmuxError, TmuxRefused

if TYPE_CHECKING:
    from moorage_tmux.service import Terminals

MAX_SESSIONS = 200
"""Sessions of the tmux server beyond which none is created here."""
MAX_PANES = 200
"""The same for the panes of one session."""
HERE = ("-c", "#{session_path}")
"""Where a new pane starts: tmux would take the directory of the client, which is ours."""


class Management:
    """Each needs its permission; what is done to windows and panes counts as typing.

    It is done, and on record if it is audited, when the call returns. NotFound, Forbidden, Conflict when tmux cannot
    do it, Unavailable when tmux cannot be asked.
    """

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals
        self._creating = asyncio.Lock()
        self._home = os.environ.get("HOME", "/")

    # Sessions.

    async def create(
        self, actor: Actor, name: str | None = None, cols: int | None = None, rows: int | None = None
    ) -> SessionInfo:
        """A new session with the user's own shell, and a tmux server for it if none runs.

        tmux writes `_` for `.` and `:` in names; without a name it takes a number.
        """
        terminals = self._terminals
        require(terminals.hub.access, actor, CREATE, "create session")
        arguments = ["new-session", "-d", "-P", "-F", "#{session_id}", "-c", argument(self._home)]
        for flag, value in (("-s", name and argument(name)), ("-x", cols), ("-y", rows)):
            if value is not None:
                arguments += [flag, str(value)]
        async with self._creating:
            there = await self._sessions()
            if len(there) >= MAX_SESSIONS:
                raise Conflict(f"There are {len(there)} sessions already", details={"code": "TOO_MANY_SESSIONS"})
            if there:
                await self._check_sizes()
            async with terminals.directory.quiet():
                made = await self._run(*arguments, start=True)
            session = next((each for each in await self._sessions() if each.id == made), None)
        if session is None:
            raise Conflict("The session ended as soon as it began")
        await self._record("tmux.session_created", actor, session, {"id": session.id})
        return session

    async def rename(self, which: str, actor: Actor, name: str) -> SessionInfo:
        """Give a session another name, unless another has claimed it."""
        terminals = self._terminals
        require(terminals.hub.access, actor, RENAME, "rename session")
        session = await terminals.find(which)
        terminals.claims.check_free(session.key, actor)
        await self._run("rename-session", "-t", session.id, "--", argument(name))
        renamed = await terminals.find_again(session)
        await self._record("tmux.session_renamed", actor, renamed, {"from": session.name, "id": session.id})
        return renamed

    async def delete(self, which: str, actor: Actor) -> None:
        """End a session and all that runs in it, whoever has claimed it."""
        terminals = self._terminals
        require(terminals.hub.access, actor, DELETE, "delete session")
        session = await terminals.find(which)
        await self._run("kill-session", "-t", session.id)
        await self._sessions()  # So that everybody is told before the answer comes.
        await self._record("tmux.session_deleted", actor, session, {"id": session.id})

    # Windows.

    async def new_window(self, which: str, actor: Actor, name: str | None) -> tuple[list[PaneInfo], str]:
        """A new window, which becomes the active one; returns the session's panes, and the window's id."""
        session, panes = await self._drive(which, actor)
        self._check_room(panes)
        await self._check_sizes()
        named = ("-n", argument(name)) if name is not None else ()
        made = await self._run("new-window", "-P", "-F", "#{window_id}", "-t", f"{session.id}:", *HERE, *named)
        return await self._panes(session), made

    async def change_window(
        self, which: str, actor: Actor, window: str, *, name: str | None = None, active: bool = False
    ) -> list[PaneInfo]:
        """Give a window a name, make it the active one, or both; returns the session's panes."""
        session, panes = await self._drive(which, actor)
        found = _window(panes, window)
        target = f"{session.id}:{found.window_id}"
        if name is not None:
            await self._run("rename-window", "-t", target, "--", argument(name))
        if active:
            await self._run("select-window", "-t", f"{session.id}:{found.window_index}")
        return await self._panes(session)

    async def delete_window(self, which: str, actor: Actor, window: str) -> list[PaneInfo]:
        """End a window and all that runs in it; with the last one the session ends. Returns the panes that are left."""
        session, panes = await self._drive(which, actor)
        found = _window(panes, window)
        await self._run("kill-window", "-t", f"{session.id}:{found.window_id}")
        await self._record("tmux.window_deleted", actor, session, {"id": found.window_id, "name": found.window_name})
        return await self._left(session)

    # Panes.

    async def split(self, which: str, actor: Actor, pane: str | None, *, right: bool) -> tuple[list[PaneInfo], str]:
        """Split a pane (the active one): the new one is right of it, or below; returns the panes, and its id."""
        session, panes = await self._drive(which, actor)
        self._check_room(panes)
        found = _pane(panes, pane)
        made = await self._run("split-window", "-h" if right else "-v", "-P", "-F", "#{pane_id}", "-t", found.id, *HERE)
        return await self._panes(session), made

    async def change_pane(
        self,
        which: str,
        actor: Actor,
        pane: str,
        *,
        active: bool = False,
        zoomed: bool | None = None,
        cols: int | None = None,
        rows: int | None = None,
    ) -> list[PaneInfo]:
        """Resize a pane, make it the session's active one, zoom its window to it or back; returns the panes."""
        session, panes = await self._drive(which, actor)
        found = _pane(panes, pane)
        size = [
            word for flag, cells in (("-x", cols), ("-y", rows)) if cells is not None for word in (flag, str(cells))
        ]
        if size:
            await self._run("resize-pane", "-t", found.id, *size)
        if active:
            await self._run("select-window", "-t", f"{session.id}:{found.window_index}")
            # -Z: who goes to another pane of a zoomed window is shown that one.
            await self._run("select-pane", "-Z", "-t", found.id)
        if zoomed is not None:
            await self._zoom(session, found.id, zoomed)
        return await self._panes(session)

    async def delete_pane(self, which: str, actor: Actor, pane: str) -> list[PaneInfo]:
        """End a pane and what runs in it; with the last one its window ends. Returns the panes that are left."""
        session, panes = await self._drive(which, actor)
        found = _pane(panes, pane)
        await self._run("kill-pane", "-t", found.id)
        await self._record("tmux.pane_deleted", actor, session, {"id": found.id, "window": found.window_id})
        return await self._left(session)

    async def _zoom(self, session: SessionInfo, pane: str, zoomed: bool) -> None:
        """tmux only knows how to change it: a zoomed window comes back, any other is zoomed to the pane."""
        now = _pane(await self._panes(session), pane)
        shown_alone = now.window_zoomed and now.active
        if shown_alone == zoomed:
            return
        for _ in range(2 if zoomed and now.window_zoomed else 1):  # Back from another pane first.
            await self._run("resize-pane", "-Z", "-t", pane)

    # What all of them need.

    async def _drive(self, which: str, actor: Actor) -> tuple[SessionInfo, list[PaneInfo]]:
        """The session and its panes, if the actor may type into it now; their claim is renewed as by typing."""
        terminals = self._terminals
        require(terminals.hub.access, actor, INPUT, "change session")
        session = await terminals.find(which)
        panes = await self._panes(session)
        # After what had to be waited for: a claim that somebody took meanwhile counts.
        terminals.claims.check_free(session.key, actor)
        claim = terminals.claims.get(session.key)
        if claim is not None:
            terminals.claims.used(claim)
        return session, panes

    def _check_room(self, panes: list[PaneInfo]) -> None:
        if len(panes) >= MAX_PANES:
            raise Conflict(f"The session has {len(panes)} panes already", details={"code": "TOO_MANY_PANES"})

    async def _check_sizes(self) -> None:
        """Before 3.8 tmux dies, with all sessions, of a new window where all are sized by hand (tried: 3.3a, 3.5a)."""
        version, sizes = await self._ask("display-message -p '#{version}' ; show-options -gwv window-size", blocks=2)
        if sizes == ["manual"] and version and server_version(version[0]) < (3, 8):
            raise Conflict(f"tmux {version[0]} cannot make windows while its global option window-size is manual")

    async def _ask(self, command: str, *, blocks: int) -> list[list[str]]:
        try:
            replies = await self._terminals.directory.call(command, blocks=blocks)
        except TmuxError as error:
            raise refused(error) from error
        return [shown(replies, index) for index in range(blocks)]

    async def _run(self, *arguments: str, start: bool = False) -> str:
        terminals = self._terminals
        try:
            return await terminals.tmux.run(*arguments, timeout=terminals.config.command_timeout, start=start)
        except TmuxError as error:
            raise (unavailable if start and not isinstance(error, TmuxRefused) else refused)(error) from error

    async def _sessions(self) -> list[SessionInfo]:
        try:
            return await self._terminals.directory.sessions()
        except TmuxError as error:
            raise refused(error) from error

    async def _panes(self, session: SessionInfo) -> list[PaneInfo]:
        try:
            replies = await self._terminals.directory.call(list_panes(session.id))
        except TmuxError as error:
            raise refused(error) from error
        return titled(self._terminals.guards.pane, session, parse_panes(replies))

    async def _left(self, session: SessionInfo) -> list[PaneInfo]:
        """The panes of a session that may have ended with its last one."""
        if all(each.key != session.key for each in await self._sessions()):
            return []
        return await self._panes(session)

    async def _record(self, action: str, actor: Actor, session: SessionInfo, data: dict[str, Any]) -> None:
        self._terminals.announce.audit(action, actor, session.name, data)
        await self._terminals.stored()


def _window(panes: list[PaneInfo], spec: str) -> PaneInfo:
    found = find_window(panes, spec)
    if found is None:
        raise no_window(spec)
    return found


def _pane(panes: list[PaneInfo], spec: str | None) -> PaneInfo:
    found = resolve(panes, spec)
    if found is None:
        raise no_pane(spec)
    return found
