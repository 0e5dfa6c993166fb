"""GET …/ws/watch: what changes in a folder of a session, over a WebSocket. Source: the contract's fileserver."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from moorage.api import MoorageError, Route, Routes, Socket

from moorage_opencode.files.paths import Parts, parse, shown_path
from moorage_opencode.files.refusals import FILES_DIALECT
from moorage_opencode.files.service import Files, Scope
from moorage_opencode.files.views import BASES, raw_query, scope_of
from moorage_opencode.files.watch import Change
from moorage_opencode.rights import FILES
from moorage_opencode.sessions import Sessions

RESYNC = "resync"
SESSION_GONE = 4004
PATIENCE = 60.0
"""Seconds in which a client must have taken what was sent to it."""


def routes(files: Files, sessions: Sessions) -> list[Route]:
    """The watch, under each of its addresses."""
    table = Routes()

    async def watch(socket: Socket) -> None:
        """Tell what changes, until either side ends it. What the client sends is not read."""
        await Watcher(files, sessions, socket).run()

    for base in BASES:
        table.socket(base + "/ws/watch", access=FILES.name, dialect=FILES_DIALECT, max_frame=4096)(watch)
    return list(table)


class Watcher:
    """One client that watches.

    Events that it does not take are dropped, and `resync` tells it so as soon as it takes again: then it lists anew.
    """

    def __init__(self, files: Files, sessions: Sessions, socket: Socket) -> None:
        self._files, self._sessions, self._socket = files, sessions, socket
        fields = raw_query(socket.raw_query.encode("latin-1"))
        self._fields = fields
        self._where = self._scope()
        self._path = parse(fields.get("path", b"."))
        self._endings = _endings(fields.get("ext", b""))
        self._behind = False

    def _scope(self) -> Scope:
        return scope_of(self._sessions, self._socket.actor, self._socket.params.get("id", ""), FILES, self._fields)

    async def run(self) -> None:
        """Accept once the watches are set: nothing that happens from then on is missed."""
        watched = await self._files.watch(self._where, self._path, self._heard)
        try:
            await self._socket.accept()
            if watched.full:
                self._send([Change(RESYNC, (), True)])
            async for _ in self._socket:
                pass
        finally:
            self._files.watching.remove(watched, self._heard)

    def _heard(self, changes: list[Change]) -> None:
        try:
            self._scope()  # The session may have ended, or be no longer theirs.
        except MoorageError as error:
            self._socket.close_soon(SESSION_GONE, error.message)
            return
        if not self._behind:
            self._send(changes)

    def _send(self, changes: Iterable[Change]) -> None:
        for change in changes:
            wanted = change.folder or not self._endings or _ending(change.path) in self._endings
            if wanted and not self._socket.post(json.dumps(self._event(change), separators=(",", ":"))):
                self._fall_behind()
                return

    def _fall_behind(self) -> None:
        """What is lost is lost; say so as soon as it takes again."""
        if not self._behind and not self._socket.closed:
            self._behind = True
            self._files.watching.tasks.spawn(self._catch_up(), "watch: catch up")

    async def _catch_up(self) -> None:
        try:
            await self._socket.wait_drained(PATIENCE)
        except TimeoutError:
            self._socket.close_soon(1013, "Events were not taken")
            return
        self._behind = False
        self._send([Change(RESYNC, (), True)])

    def _event(self, change: Change) -> dict[str, str]:
        path = shown_path(self._path + change.path)
        if change.what == RESYNC:
            return {"type": RESYNC, "path": path, "entry_type": "directory"}
        kind = f"{'dir' if change.folder else 'file'}_{change.what}"
        return {"type": kind, "path": path, "entry_type": "directory" if change.folder else "file"}


def _endings(text: bytes) -> frozenset[bytes]:
    """`.md,txt` as endings with a dot, in lower case."""
    return frozenset(b"." + part.strip().lstrip(b".").lower() for part in text.split(b",") if part.strip(b" ."))


def _ending(path: Parts) -> bytes:
    return os.path.splitext(path[-1])[1].lower() if path else b""  # noqa: PTH122
