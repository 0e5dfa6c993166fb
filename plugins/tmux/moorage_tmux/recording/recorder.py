"""One recording that goes on: a viewer like any other, whose socket turns messages into the events of a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import datetime
from typing import Protocol

from moorage.api import UserInfo

from moorage_tmux.background import Background
from moorage_tmux.recording import cast
from moorage_tmux.recording.files import CastFile
from moorage_tmux.recording.writer import Writer
from moorage_tmux.sessions import PaneInfo, SessionInfo
from moorage_tmux.subscription import Subscription
from moorage_tmux.viewers import Viewer
from moorage_tmux.watch import SessionWatch

LAG_BYTES = 2 * 1024 * 1024
"""What may wait for the disk; beyond it output is left out until the disk has it, and then the screen as it is."""
END_BYTES = 4096
"""Kept of a recording's bytes for the events of its end."""
MAX_MARK = 256
_OUTPUT = '{"type":"output",'
_DATA = ',"data":'


class Told(Protocol):
    """Who is told by recorders. None of these may raise or wait."""

    def lost(self, recorder: Recorder) -> None:
        """There is nothing more to see."""
        ...

    def lagged(self, recorder: Recorder) -> None:
        """The disk did not keep up, so output is left out."""
        ...

    def full(self, recorder: Recorder) -> None:
        """The file has its bytes."""
        ...

    def failed(self, recorder: Recorder, error: OSError) -> None:
        """The disk takes no more."""
        ...

    def written(self) -> None:
        """Something was written."""
        ...


class Recorder:
    """Records one session. `viewers.Outlet` for its own viewer; none of what others call waits.

    by: who began it, None for the operator's settings. cols, rows: of the pane that is recorded first.
    limit: bytes of the file. with_input: record what is typed.
    ending: set by who ends it; `over` is set when that is done.
    """

    def __init__(
        self,
        pid: str,
        session: SessionInfo,
        file: CastFile,
        *,
        by: UserInfo | None,
        at: datetime,
        cols: int,
        rows: int,
        limit: int,
        with_input: bool,
        threads: Executor,
        background: Background,
        told: Told,
    ) -> None:
        self.pid, self.session, self.by, self.started_at = pid, session, by, at
        self.name = session.name
        self.ending = False
        self.over = asyncio.Event()
        self.readers: set[str] = set()
        """Labels of the actors whose reading of it is on record."""
        self._size = (cols, rows)
        self._limit, self._with_input = limit - END_BYTES, with_input
        self._told = told
        self._began = asyncio.get_running_loop().time()
        self._clock = cast.Clock()
        self._full = False
        self._tap: _Tap | None = None
        self.writer = Writer(
            file,
            threads=threads,
            background=background,
            on_written=told.written,
            on_error=lambda error: told.failed(self, error),
        )
        self.viewer = Viewer(
            self,
            limit=LAG_BYTES,
            spawn=background.spawn,
            on_recovered=self._recovered,
            on_lag=self._lagged,
        )
        self.writer.put(cast.header(cols, rows, at=at, title=session.name))

    @property
    def duration(self) -> float:
        """Seconds from the beginning to the end, or till now."""
        return self._clock.milliseconds / 1000 if self.ending else self._seconds()

    # Watching.

    def attach(self, watch: SessionWatch, pane: PaneInfo) -> None:
        """Record what the session shows, from a fresh screen on."""
        self._tap = tap = _Tap(
            watch,
            self.viewer,
            pane=pane,
            label=str(pane.index),
            follow=True,
            on_lost=self._lost,
        )
        tap.on_move = lambda to: self.mark(_place(to))
        watch.add(tap)
        if self._with_input:
            watch.typists.add(self._typed)
        tap.show()

    def detach(self) -> None:
        """See no more. Harmless for one who sees nothing."""
        tap, self._tap = self._tap, None
        if tap is not None:
            tap.watch.typists.discard(self._typed)
            tap.watch.remove(tap)

    def mark(self, label: str) -> None:
        """Put a marker, which players show as a place to jump to."""
        label = label[:MAX_MARK]
        if not self.closed and self._room(len(label)):
            self._put("m", cast.literal(label))

    async def finish(self, reason: str) -> str:
        """End the recording: the last events, and all of it on the disk. The reason, or "error" when that failed."""
        self.detach()
        self._put("m", cast.literal(f"recording ended: {reason}"))
        self._put("x", '"0"')
        await self.writer.close()
        return reason if self.writer.error is None else "error"

    # The socket of its viewer.

    @property
    def pending(self) -> int:
        """Bytes that are not in the file yet."""
        return self.writer.pending

    @property
    def closed(self) -> bool:
        """True once nothing more is recorded."""
        return self.ending or self._full or self.writer.error is not None

    def post(self, data: str | bytes) -> bool:
        """Record a message of output. The JSON of its text is taken over as it stands, which costs next to nothing."""
        if not isinstance(data, str) or not data.startswith(_OUTPUT):
            return True
        if self.closed:
            return False
        # In a member's text the quotes would be escaped, so this is where the member begins.
        at = data.index(_DATA)
        text = cast.escaped(data[at + len(_DATA) : -1])
        if not self._room(len(text)):
            return False
        if self.pending + len(text) > 2 * LAG_BYTES:
            return False
        head = json.loads(data[:at] + "}")
        if head.get("snapshot") and (head["cols"], head["rows"]) != self._size:
            self._size = (head["cols"], head["rows"])
            self._put("r", f'"{self._size[0]}x{self._size[1]}"')
        if text != '""':
            self._put("o", text)
        return True

    async def wait_drained(self, timeout: float | None = None) -> None:
        """Wait until the file has everything. TimeoutError."""
        await self.writer.wait_drained(timeout)

    # Its own.

    def _seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    def _put(self, code: str, json_text: str) -> None:
        self.writer.put(self._clock.line(self._seconds(), code, json_text))

    def _room(self, characters: int) -> bool:
        """Whether the recording may have so much more; if not, it ends."""
        if self.writer.size + characters + 64 <= self._limit:
            return True
        if not self._full:
            self._full = True
            self._told.full(self)
        return False

    def _typed(self, pane: str, text: str) -> None:
        if self._tap is not None and pane == self._tap.pane and not self.closed and self._room(len(text)):
            self._put("i", cast.literal(text))

    def _lagged(self) -> None:
        self.mark("output left out: the disk did not keep up")
        self._told.lagged(self)

    def _recovered(self) -> None:
        if self._tap is not None:
            self._tap.show()

    def _lost(self, subscription: Subscription, reason: str) -> None:
        if self._tap is subscription:
            self.detach()
            self._told.lost(self)


class _Tap(Subscription):
    """A recorder's look at its session. on_move is told of another pane before its screen comes."""

    on_move: Callable[[PaneInfo], None] = staticmethod(lambda pane: None)

    def move(self, pane: PaneInfo) -> None:
        """Look at another pane."""
        self.on_move(pane)
        super().move(pane)


def _place(pane: PaneInfo) -> str:
    return f"window {pane.window_index} ({pane.window_name}), pane {pane.index}"
