"""One pane's stream: filtered, decoded, put together into messages, and remembered for those who come back."""

from __future__ import annotations

import asyncio
import codecs
import re
import secrets
from collections import deque
from collections.abc import Callable

from moorage_tmux.filters import Clipboard, StreamFilter, after_given_up
from moorage_tmux.guards import PaneFilter
from moorage_tmux.pen import Pen, StreamModes, pen_at_end

QUIET = 0.05
"""Seconds without output after which a filter is asked for what it holds back."""
INTERVAL = 0.008
"""Seconds between two messages of a busy pane; an idle one is told at once."""
MAX_MESSAGE = 64 * 1024
"""Bytes after which a message is sent whatever the clock says."""
GIVEN_UP = 5.2
"""Seconds after which tmux has given up a control string that does not end: 5 from its beginning, and a little."""
BLOCK = 16 * 1024
MAX_REPLAY = 256 * 1024
_C1 = re.compile("[\x80-\x9f]")


class Ring:
    """The last bytes of a stream, addressed by their position in it."""

    def __init__(self, capacity: int, start: int) -> None:
        self.capacity = capacity
        self.start = self.end = start
        self._blocks: deque[bytearray] = deque()

    def append(self, data: bytes) -> None:
        """Add `data`; forget the oldest block while there is more than the capacity."""
        if self._blocks and len(self._blocks[-1]) < BLOCK:
            self._blocks[-1] += data
        else:
            self._blocks.append(bytearray(data))
        self.end += len(data)
        while self.end - self.start > self.capacity and len(self._blocks) > 1:
            self.start += len(self._blocks.popleft())

    def since(self, position: int) -> bytes | None:
        """Everything from `position` on, or None when that is not (or no longer) here."""
        if not self.start <= position <= self.end:
            return None
        wanted = self.end - position
        parts: list[bytes] = []
        for block in reversed(self._blocks):
            if wanted <= 0:
                break
            parts.append(bytes(block[-wanted:]))
            wanted -= len(block)
        return b"".join(reversed(parts))

    def restart(self, start: int) -> None:
        """Forget everything; what comes next is at `start`."""
        self._blocks.clear()
        self.start = self.end = start


class PaneStream:
    """Bytes of a program in; messages out through `emit(text, seq)`, called from the reader or from a timer.

    `seq` counts the bytes (UTF-8) given out so far. It begins at a number of chance, so that one from an earlier
    life of the stream is not mistaken for one of this. guard: makes the filter of other plugins, or None.
    given_up: told when tmux has given up a string that was withheld here: what it shows since then only tmux knows.
    """

    def __init__(
        self,
        emit: Callable[[str, int], None],
        *,
        ring_bytes: int = 2 * 1024 * 1024,
        clipboard: Clipboard = "deny",
        guard: Callable[[], PaneFilter | None] = lambda: None,
        given_up: Callable[[], None] = lambda: None,
    ) -> None:
        self.modes = StreamModes()
        self.received = 0
        self._emit = emit
        self._ring = Ring(ring_bytes, secrets.randbelow(1 << 50))
        self._clipboard = clipboard
        self._pending: list[str] = []
        self._size = 0
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._new_guard = guard
        self._guard: PaneFilter | None = None
        self._heard = 0.0
        self._hush: asyncio.TimerHandle | None = None
        self._given_up = given_up
        self._patience: asyncio.TimerHandle | None = None
        self._patient_until = 0.0
        self._begin()

    def _begin(self) -> None:
        self._filter = StreamFilter(self._clipboard)
        self._unended: int | None = None
        self._stale = False  # tmux still calls pending what it gave up.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        # A filter that failed is not given another chance: what it was to hide must not appear by accident.
        if self._guard is None or not self._guard.broken:
            self._guard = self._new_guard()

    @property
    def seq(self) -> int:
        """The position after everything that was given out."""
        return self._ring.end

    def take_over(self, pending: bytes) -> None:
        """Begin in the middle of a sequence, whose beginning was before the stream's.

        It passes the filter like any other: were it shown with the screen, no rest of it could be kept back. One that
        the filter has the beginning of already is whole there.
        """
        if not self._filter.withholding:
            self._filter.feed(after_given_up(pending) if self._stale else pending)
            self._mind_string()

    def append(self, data: bytes) -> None:
        """Take what the program wrote. Call `settle` when no more is at hand."""
        self.received += len(data)
        shown = self._filter.feed(data)
        self._mind_string()
        if self._stale and b"\x1b" in data and not self._filter.withholding:
            self._stale = False
        if not shown:
            return
        self.modes.feed(shown)
        text = self._decoder.decode(shown)
        if not text.isascii():
            # tmux shows no C1 controls, but a viewer's terminal would obey them.
            text = _C1.sub("", text)
        if not text:
            return
        if self._size + len(shown) > MAX_MESSAGE:
            self.flush()
        self._pending.append(text)
        self._size += len(shown)

    def _mind_string(self) -> None:
        """Count the seconds of a string that is open: tmux counts them from its beginning, whatever comes in it."""
        if self._filter.unended == self._unended:
            return
        self._unended = self._filter.unended
        if self._unended is not None:
            loop = asyncio.get_running_loop()
            self._patient_until = loop.time() + GIVEN_UP
            # One timer for all: in a flood of random bytes strings begin and end a thousand times a second.
            if self._patience is None:
                self._patience = loop.call_at(self._patient_until, self._impatient)

    def _impatient(self) -> None:
        self._patience = None
        if self._unended is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._patient_until:
            self._patience = loop.call_at(self._patient_until, self._impatient)
            return
        # tmux began anew too, with a plain rendition; where exactly, in what came since, it does not tell.
        self.skip()
        self._stale = True
        self._given_up()

    def settle(self) -> None:
        """Give out what is there: now if the pane was quiet, else when its time has come."""
        if not self._pending or self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        due = self._last + INTERVAL
        if loop.time() >= due:
            self.flush()
        else:
            self._timer = loop.call_at(due, self.flush)

    def flush(self) -> None:
        """Give out what is there now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pending:
            return
        text = "".join(self._pending)
        self._pending.clear()
        self._size = 0
        if self._guard is not None:
            text = self._guarded(self._guard, text)
        self._give(text)

    def give_all(self) -> None:
        """Give out what is there, and what a filter holds back."""
        self.flush()
        if self._guard is not None:
            self._give(self._guard.flush())

    def drawn(self, text: str) -> str:
        """A drawing of the pane as it may be shown. Nothing may be held back: call `give_all` first."""
        return text if self._guard is None else self._guard.snapshot(text)

    def filter_anew(self, *, forgive: bool) -> bool:
        """Make the filter anew; False when there was none and is none. forgive: also one that failed.

        Nobody can resume from before, or would see what it now hides.
        """
        self.flush()
        before = self._guard
        if before is None or forgive or not before.broken:
            self._guard = self._new_guard()
        if before is None and self._guard is None:
            return False
        self._ring.restart(self._ring.end + 1)
        return True

    def _give(self, text: str) -> None:
        if not text:
            return
        self._last = asyncio.get_running_loop().time()
        self._ring.append(text.encode())
        self._emit(text, self._ring.end)

    def _guarded(self, guard: PaneFilter, text: str) -> str:
        loop = asyncio.get_running_loop()
        self._heard = loop.time()
        if self._hush is None:
            self._hush = loop.call_later(QUIET, self._hushed)
        return guard.feed(text)

    def _hushed(self) -> None:
        """Some time after output: when none came since, give out what is held back."""
        loop = asyncio.get_running_loop()
        due = self._heard + QUIET
        if loop.time() < due or self._pending:
            self._hush = loop.call_at(max(due, loop.time() + INTERVAL), self._hushed)
            return
        self._hush = None
        self.give_all()

    def since(self, seq: int) -> str | None:
        """What was given out after `seq`, or None: then only a snapshot helps."""
        if self._ring.end - seq > MAX_REPLAY:
            return None
        data = self._ring.since(seq)
        return None if data is None else data.decode("utf-8", "replace")

    def skip(self) -> None:
        """Output was lost: nobody can resume from before, and half a sequence stays half."""
        self.flush()
        self._ring.restart(self._ring.end + 1)
        self._begin()

    def pen(self) -> Pen:
        """The rendition at the end of what was given out, as far as the ring remembers."""
        for size in (BLOCK, MAX_REPLAY):
            tail = self._ring.since(max(self._ring.start, self._ring.end - size)) or b""
            pen = pen_at_end(tail)
            if pen is not None:
                return pen
        pen = Pen()
        pen.feed(tail)
        return pen

    def close(self) -> None:
        """Stop the timers."""
        for timer in (self._timer, self._hush, self._patience):
            if timer is not None:
                timer.cancel()
        self._timer = self._hush = self._patience = None
