"""Recordings as a service: begun on request or by policy, ended, bounded, told of, listed, read, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from moorage.api import Actor, Conflict, Forbidden, MoorageError, NotFound, Unavailable, UserInfo

from moorage_tmux import describe, messages
from moorage_tmux.models import TmuxRecording, aware
from moorage_tmux.recording.archive import Archive
from moorage_tmux.recording.policy import Policy
from moorage_tmux.recording.recorder import Recorder
from moorage_tmux.recording.rows import session_key
from moorage_tmux.refusals import asking, no_session
from moorage_tmux.rights import ERASE, RECORD, require
from moorage_tmux.sessions import SessionInfo, active_pane
from moorage_tmux.tmux import TmuxError

if TYPE_CHECKING:
    from moorage_tmux.service import Terminals

THREADS = 4
"""Threads that write: a disk that hangs holds up recordings, and nothing else."""
CHECK_SECONDS = 60.0
"""How often old recordings are looked for, and sessions that should be recorded and are not."""
MEND_SECONDS = 1.0
"""Between two looks at recordings that the plugin from before a reload still ends."""
PAUSE_SECONDS = 5.0
"""From the beginning of a recording by policy to that of the next: whole screens alone may fill small ones at once."""
BEGINNINGS = 4
"""Recordings by policy that begin at the same time: a hundred sessions at once must not hold up who types."""
ATTEMPTS = (0.1, 0.5, 2.0, 5.0)
"""Seconds before each try to go on with a recording whose session lives but cannot be watched."""


@dataclass(slots=True)
class Download:
    """A recording's file, open, of which `size` bytes are to be sent. at: when the recording began."""

    file: BinaryIO
    size: int
    session_name: str
    at: datetime


class Recordings:
    """All recordings of one server; those that go on are in memory, by the key of their session."""

    def __init__(self, terminals: Terminals) -> None:
        self._terminals = terminals
        hub, config = terminals.hub, terminals.config
        self._hub, self._config = hub, config
        self._policy = Policy(config.recording, config.recording_sessions)
        self._archive = Archive(hub, limit=config.recordings_bytes, live=self._live_bytes)
        self._threads = ThreadPoolExecutor(THREADS, "recording")
        self._running: dict[str, Recorder] = {}
        self._starting: set[str] = set()
        self._sessions: dict[str, SessionInfo] = {}
        self._wanted: set[str] = set()
        self._few = asyncio.Semaphore(BEGINNINGS)
        self._relieving = False
        self._closed = False
        metrics = hub.metrics
        metrics.gauge("recordings", "Recordings that go on.").set_function(lambda: float(len(self._running)))
        metrics.gauge("recordings_bytes", "Bytes of all recordings.").set_function(lambda: float(self._archive.bytes))

    def __len__(self) -> int:
        return len(self._running)

    async def start(self) -> None:
        """Mend what a crash left, and begin what the settings ask for."""
        unfinished = await self._archive.load()
        background = self._terminals.background
        if unfinished:
            background.spawn(self._mend(unfinished), "recordings-mend")
        background.spawn(self._keep(), "recordings-keep")
        self._hold()

    async def close(self) -> None:
        """End all that go on."""
        self._closed = True
        await asyncio.gather(*(self._end(recorder, "server_stopped") for recorder in list(self._running.values())))
        self._threads.shutdown(wait=False)

    # What is asked for.

    async def record(self, name: str, actor: Actor) -> dict[str, Any]:
        """Begin to record a session. Forbidden, NotFound, Conflict when it is recorded already, Unavailable.

        It is not needed that one drives the session, since recording changes nothing in it; but all who see it are
        told, by whom as well.
        """
        require(self._hub.access, actor, RECORD, "record")
        if self._policy.off:
            raise Forbidden("Recording is switched off by the operator", details={"code": "RECORDING_OFF"})
        session = await self._terminals.find(name)
        recorder = await self._begin(session, actor)
        return await self.one(recorder.pid)

    async def stop(self, name: str, actor: Actor) -> dict[str, Any]:
        """End a session's recording. Forbidden, also for one that the settings began; NotFound when there is none."""
        require(self._hub.access, actor, RECORD, "record")
        session = await self._terminals.find(name)
        recorder = self._running.get(session.key)
        if recorder is None:
            raise NotFound("The session is not recorded", details={"code": "NOT_RECORDING"})
        if recorder.by is None:
            raise Forbidden(
                "This session is recorded by the operator's settings: nobody can stop that here",
                details={"code": "RECORDED_BY_POLICY"},
            )
        await self._end(recorder, "stopped", actor)
        return await self.one(recorder.pid)

    async def page(self, session: str | None, limit: int, offset: int) -> dict[str, Any]:
        """Some of the recordings, the newest first, and how many there are."""
        rows, total = await self._archive.rows.page(session, limit, offset)
        return {"recordings": [self._public(row) for row in rows], "total": total}

    async def one(self, pid: str) -> dict[str, Any]:
        """A recording. NotFound."""
        return self._public(await self._archive.get(pid))

    async def delete(self, pid: str, actor: Actor) -> None:
        """Delete a recording, any or one's own with that to record. Forbidden, NotFound or Conflict."""
        may_all = self._hub.access.can(actor, ERASE.name)
        if not may_all:
            require(self._hub.access, actor, RECORD, "delete a recording")
        row = await self._archive.get(pid)
        own = actor.user is not None and row.started_by_pid == actor.user.pid
        if not may_all and not own:
            require(self._hub.access, actor, ERASE, "delete others' recordings")
        if self._live(row) is not None:
            raise Conflict("The recording goes on: stop it first", details={"code": "RECORDING_LIVE"})
        await self._archive.erase(row, actor, "deleted")

    async def download(self, pid: str, actor: Actor | None, *, part: bool = False) -> Download:
        """Open a recording's file for reading, up to now if it goes on; on record if an actor is given. NotFound.

        part: only what was added is wanted. Who follows a recording that goes on is put on record once.
        """
        row = await self._archive.get(pid)
        recorder = self._live(row)
        if recorder is not None:
            await recorder.writer.flush()
        file, size = await self._archive.open(pid)
        if actor is not None and not (part and recorder is not None and actor.label in recorder.readers):
            try:
                await self._archive.audit("downloaded", actor, row.pid, row.session_name, {})
            except BaseException:
                file.close()
                raise
            if recorder is not None:
                recorder.readers.add(actor.label)
        return Download(
            file, recorder.writer.written if recorder is not None else size, row.session_name, row.started_at
        )

    def notice(self, key: str) -> dict[str, Any] | None:
        """What those who see a session are told of its recording; None when there is none."""
        recorder = self._running.get(key)
        if recorder is None:
            return None
        return {
            "id": recorder.pid,
            "startedAt": messages.timestamp(recorder.started_at),
            "by": messages.person(recorder.by) if recorder.by is not None else None,
            "input": self._config.recording_input,
        }

    def message(self, key: str, name: str) -> str:
        """The same as a message."""
        return messages.encode({"type": "recording", "sessionId": name, "recording": self.notice(key)})

    # What is told.

    def sessions_are(self, sessions: Iterable[SessionInfo]) -> None:
        """These sessions exist now."""
        self._sessions = {session.key: session for session in sessions}
        for session in self._sessions.values():
            recorder = self._running.get(session.key)
            if recorder is not None and recorder.name != session.name:
                recorder.name = session.name
                recorder.mark(f"renamed to {session.name}")
                self._terminals.background.spawn(
                    self._archive.rows.rename(recorder.pid, session.name), "recording-rename"
                )
        self._follow_policy()

    def mark(self, key: str, label: str) -> None:
        """Something happened to a session: a marker in its recording, if there is one."""
        recorder = self._running.get(key)
        if recorder is not None:
            recorder.mark(label)

    # Beginnings and ends.

    async def _begin(self, session: SessionInfo, actor: Actor | None) -> Recorder:
        if session.key in self._running or session.key in self._starting:
            raise Conflict("The session is recorded already", details={"code": "ALREADY_RECORDING"})
        if self._closed:
            raise Unavailable("The server is stopping")
        self._starting.add(session.key)
        try:
            recorder = await self._made(session, actor.user if actor is not None else None)
        finally:
            self._starting.discard(session.key)
        try:
            await self._archive.audit("started", actor, recorder.pid, session.name, {})
        except BaseException:
            await self._end(recorder, "error")
            raise
        self._tell(recorder)
        if self._closed:
            await self._end(recorder, "server_stopped")
        return recorder

    async def _made(self, session: SessionInfo, user: UserInfo | None) -> Recorder:
        """A recorder that runs, with its row and its file."""
        watch = await self._terminals.watch(session)
        with asking():
            pane = active_pane(await watch.panes())
        if pane is None:
            raise no_session()
        row, file = await self._archive.create(session, user, pane.cols, pane.rows)
        recorder = self._running[session.key] = Recorder(
            row.pid,
            session,
            file,
            by=user,
            at=aware(row.started_at),
            cols=pane.cols,
            rows=pane.rows,
            limit=self._config.recording_bytes,
            with_input=self._config.recording_input,
            threads=self._threads,
            background=self._terminals.background,
            told=self,
        )
        recorder.attach(watch, pane)
        self._hold()
        return recorder

    def _hold(self) -> None:
        """Who records wants to know of sessions that come, go and are renamed."""
        if self._policy.active or self._running:
            self._terminals.directory.hold(self)
        else:
            self._terminals.directory.drop(self)

    async def _end(self, recorder: Recorder, reason: str, actor: Actor | None = None) -> None:
        """End a recording and wait until all is stored. It ends also when who waits goes away."""
        if not recorder.ending:
            recorder.ending = True
            self._hub.tasks.spawn(self._finish(recorder, reason, actor), "recording-end")
        await recorder.over.wait()

    async def _finish(self, recorder: Recorder, reason: str, actor: Actor | None) -> None:
        pid, key = recorder.pid, recorder.session.key
        try:
            reason = await recorder.finish(reason)
            size = recorder.writer.written
            self._running.pop(key, None)
            await self._archive.end(pid, reason=reason, duration=recorder.duration, size=size)
            data = {"reason": reason, "bytes": size}
            await self._archive.audit("ended", actor, pid, recorder.name, data)
        except Exception:
            self._hub.log.exception("the end of a recording could not be stored", recording=pid)
        finally:
            self._running.pop(key, None)
            self._hold()
            recorder.over.set()
        self._tell(recorder)
        if reason != "error":
            self._terminals.background.later(max(0.0, PAUSE_SECONDS - recorder.duration), self._follow_policy)

    def _tell(self, recorder: Recorder) -> None:
        key = recorder.session.key
        self._terminals.announce.tell(self.message(key, recorder.name), key)

    def _end_soon(self, recorder: Recorder, reason: str) -> None:
        self._terminals.background.spawn(self._end(recorder, reason), "recording-end")

    # What recorders tell (`recorder.Told`).

    def lost(self, recorder: Recorder) -> None:
        """There is nothing more to see: the session ended, or something went wrong with it."""
        if not recorder.ending and not self._closed:
            self._terminals.background.spawn(self._resume(recorder), "recording-resume")

    def lagged(self, recorder: Recorder) -> None:
        """The disk did not keep up."""
        self._terminals.lagged.inc()

    def full(self, recorder: Recorder) -> None:
        """It has the bytes that one recording may have."""
        self._end_soon(recorder, "size")

    def failed(self, recorder: Recorder, error: OSError) -> None:
        """The disk takes no more."""
        self._hub.log.error("a recording ended: its file took no more", recording=recorder.pid, reason=str(error))
        self._end_soon(recorder, "error")

    def written(self) -> None:
        """There are more bytes than before."""
        if not self._relieving and self._archive.overfull:
            self._relieving = True
            self._terminals.background.spawn(self._relieve(), "recordings-room")

    async def _resume(self, recorder: Recorder) -> None:
        """The session cannot be watched any more. If it lives, go on with it."""
        for delay in ATTEMPTS:
            await asyncio.sleep(delay)
            if recorder.ending or self._closed:
                return
            try:
                sessions = await self._terminals.directory.sessions()
                session = next((each for each in sessions if each.key == recorder.session.key), None)
                if session is None:
                    break
                watch = await self._terminals.watch(session)
                pane = active_pane(await watch.panes())
            except (TmuxError, MoorageError):
                continue
            except Exception:
                self._hub.log.exception("a recording could not go on", recording=recorder.pid)
                continue
            if pane is not None and not recorder.ending:
                recorder.attach(watch, pane)
                return
        else:
            await self._end(recorder, "error")
            return
        await self._end(recorder, "session_ended")

    # Policy.

    def _follow_policy(self) -> None:
        """Begin what the settings ask for and is not there."""
        if self._closed or not self._policy.active:
            return
        for key, session in self._sessions.items():
            known = key in self._running or key in self._starting or key in self._wanted
            if not known and self._policy.wants(session.name):
                self._wanted.add(key)
                self._terminals.background.spawn(self._begin_by_policy(session), "recording-begin")

    async def _begin_by_policy(self, session: SessionInfo) -> None:
        try:
            async with self._few:
                await self._begin(session, None)
        except (Conflict, NotFound):
            pass  # Begun by another way, or ended meanwhile.
        except MoorageError as error:
            # Tried again with the next look.
            self._hub.log.error("a session is not recorded although it should", session=session.name, reason=str(error))
        finally:
            self._wanted.discard(session.key)

    # Bounds.

    async def _mend(self, rows: list[TmuxRecording]) -> None:
        while True:
            rows = await self._archive.mend(rows)
            if not rows:
                return
            await asyncio.sleep(MEND_SECONDS)

    async def _keep(self) -> None:
        """Every now and then: delete what is too old, record what should be recorded."""
        while True:
            try:
                if self._config.recording_days:
                    await self._archive.drop_older(self._config.recording_days)
            except Exception:
                self._hub.log.exception("old recordings could not be deleted")
            self._follow_policy()
            await asyncio.sleep(CHECK_SECONDS)

    def _live_bytes(self) -> int:
        return sum(recorder.writer.size for recorder in self._running.values())

    async def _relieve(self) -> None:
        """All recordings together have become too many bytes."""
        try:
            if not await self._archive.make_room() and self._running:
                await self._end(max(self._running.values(), key=lambda recorder: recorder.writer.size), "size")
        finally:
            self._relieving = False

    # Answers.

    def _live(self, row: TmuxRecording) -> Recorder | None:
        recorder = self._running.get(session_key(row))
        return recorder if recorder is not None and recorder.pid == row.pid else None

    def _public(self, row: TmuxRecording) -> dict[str, Any]:
        recorder = self._live(row)
        if recorder is None:
            return describe.recording(row, name=row.session_name, duration=row.duration, size=row.size, live=False)
        size = recorder.writer.size
        return describe.recording(row, name=recorder.name, duration=recorder.duration, size=size, live=True)
