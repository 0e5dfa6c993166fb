"""What is kept of recordings, rows and files together: made, ended, mended, bounded in bytes and age, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from moorage.api import Actor, Hub, NotFound, Unavailable, UserInfo

from moorage_tmux.announce import SYSTEM
from moorage_tmux.models import TmuxRecording, aware
from moorage_tmux.recording.files import CastFile, Folder, StillWritten, identity
from moorage_tmux.recording.rows import Rows
from moorage_tmux.sessions import SessionInfo

FIRST_BYTES = 64 * 1024
"""What there must be room for when a recording begins."""


class Archive:
    """limit: bytes of all recordings together. live: gives the bytes of those that go on."""

    def __init__(self, hub: Hub, *, limit: int, live: Callable[[], int]) -> None:
        self.rows = Rows(hub.db)
        self._hub, self._limit, self._live = hub, limit, live
        self._folder = Folder(hub.data_dir / "recordings")
        self._ended_bytes = 0
        self._room = asyncio.Lock()

    @property
    def bytes(self) -> int:
        """Of all recordings."""
        return self._ended_bytes + self._live()

    @property
    def overfull(self) -> bool:
        """Whether they are more than they may be."""
        return self.bytes > self._limit

    async def load(self) -> list[TmuxRecording]:
        """Look what there is. Those that a crash left without an end, to be mended."""
        path = self._hub.folder() / "recordings.id"
        self.rows.owner = await asyncio.to_thread(identity, path)
        self._ended_bytes = await self.rows.bytes()
        return await self.rows.unfinished()

    async def get(self, pid: str) -> TmuxRecording:
        """A recording's row. NotFound."""
        row = await self.rows.get(pid)
        if row is None:
            raise NotFound("Recording not found", details={"code": "RECORDING_NOT_FOUND"})
        return row

    async def create(
        self, session: SessionInfo, user: UserInfo | None, cols: int, rows: int
    ) -> tuple[TmuxRecording, CastFile]:
        """A row and a file for a recording that begins. Unavailable when there is no room."""
        await self._need_room()
        row = await self.rows.add(session, user, cols, rows)
        try:
            return row, await asyncio.to_thread(self._folder.create, row.pid)
        except BaseException as error:
            await self.rows.remove(row.pid)
            if isinstance(error, OSError):
                raise _cannot_be_stored(error) from error
            raise

    async def end(self, pid: str, *, reason: str, duration: float, size: int) -> None:
        """A recording has ended: from now on it may have to make room for others."""
        self._ended_bytes += size
        if not await self.rows.end(pid, at=datetime.now(UTC), reason=reason, duration=duration, size=size):
            self._ended_bytes -= size  # Deleted already.

    async def open(self, pid: str) -> tuple[BinaryIO, int]:
        """A recording's file for reading, and its bytes. NotFound."""
        try:
            return await asyncio.to_thread(self._open, pid)
        except OSError as error:
            self._hub.log.warning("a recording's file cannot be read", recording=pid, reason=str(error))
            raise NotFound(
                "The recording's file is gone from the server", details={"code": "RECORDING_FILE_MISSING"}
            ) from None

    async def erase(self, row: TmuxRecording, actor: Actor | None, reason: str) -> None:
        """Delete a recording, its file first: what is in the database can be deleted again. Unavailable."""
        try:
            await asyncio.to_thread(self._folder.remove, row.pid)
        except OSError as error:
            raise Unavailable(f"The recording's file cannot be deleted: {error.strerror}") from error
        if await self.rows.remove(row.pid):
            self._ended_bytes -= row.size
            await self.audit("deleted", actor, row.pid, row.session_name, {"reason": reason})

    async def drop_older(self, days: float) -> None:
        """Delete those that ended so many days ago. Unavailable."""
        before = datetime.now(UTC) - timedelta(days=days)
        while (row := await self.rows.oldest(before)) is not None:
            await self.erase(row, None, "retention")

    async def make_room(self, more: int = 0) -> bool:
        """Delete the oldest that have ended until there is room for so much more. False when that is not enough."""
        async with self._room:
            while self.bytes + more > self._limit:
                row = await self.rows.oldest()
                if row is None:
                    return False
                try:
                    await self.erase(row, None, "room")
                except Unavailable as error:
                    self._hub.log.error("no room could be made for recordings", reason=error.message)
                    return False
        return True

    async def mend(self, rows: list[TmuxRecording]) -> list[TmuxRecording]:
        """Close what a crash of the server left open. Those that are still written, to be looked at again."""
        left = []
        for row in rows:
            try:
                now = await self.rows.get(row.pid)
                if now is None or now.ended_at is not None:
                    self._ended_bytes += now.size if now is not None else 0
                    continue
                duration, size = await asyncio.to_thread(self._folder.mend, row.pid)
                at = aware(row.started_at) + timedelta(seconds=duration)
                if await self.rows.end(row.pid, at=at, reason="interrupted", duration=duration, size=size):
                    self._ended_bytes += size - row.size
                    data = {"reason": "interrupted", "bytes": size}
                    await self.audit("ended", None, row.pid, row.session_name, data)
            except StillWritten:
                left.append(row)
            except Exception:
                self._hub.log.exception("an interrupted recording could not be mended", recording=row.pid)
        return left

    async def audit(self, what: str, actor: Actor | None, pid: str, session_name: str, data: dict[str, Any]) -> None:
        """Put on record what was done to a recording; actor None is the server itself."""
        await self._hub.audit.write(
            f"tmux.recording_{what}",
            actor=actor or SYSTEM,
            target=f"tmux_recording:{pid}",
            data={"session": session_name, **data},
        )

    async def _need_room(self) -> None:
        if not await self.make_room(FIRST_BYTES):
            raise Unavailable(
                "There is no room for more recordings: those that go on take all of recordings_bytes",
                code="INSUFFICIENT_STORAGE",
            )
        try:
            crowded = await asyncio.to_thread(self._folder.crowded)
        except OSError as error:
            raise _cannot_be_stored(error) from error
        if crowded:
            raise Unavailable("There is no room for recordings: the disk is full", code="INSUFFICIENT_STORAGE")

    def _open(self, pid: str) -> tuple[BinaryIO, int]:
        file = self._folder.open(pid)
        return file, file.seek(0, 2) + file.seek(0)


def _cannot_be_stored(error: OSError) -> Unavailable:
    return Unavailable(f"Recordings cannot be stored: {error.strerror}", code="INSUFFICIENT_STORAGE")
