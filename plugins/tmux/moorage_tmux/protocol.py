"""tmux's control-mode protocol without any I/O: bytes in, events out.

Source: the CONTROL MODE section of tmux(1), and what tmux 3.3a was seen to send. Everything is bytes until
a pane's own decoder: one line may end in the middle of a character or of an escape sequence.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass

MAX_LINE = 4 * 1024 * 1024
"""Bytes of a line. In a reply the rest is left out: what is pending in a pane comes in one line, however long."""
MAX_BODY = 32 * 1024 * 1024


class ProtocolError(Exception):
    """The peer does not speak control mode, or passes the bounds."""


@dataclass(frozen=True, slots=True)
class Output:
    """A pane wrote something. `raw` is still escaped: see `unescape`."""

    pane: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One command's answer. `ours` tells an answer to this client's input from what tmux ran by itself."""

    ok: bool
    ours: bool
    lines: list[bytes]

    def text(self) -> str:
        """The body as text; never fails."""
        return b"\n".join(self.lines).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Notice:
    """Any other notification: `name` without the percent sign, `text` the rest of the line."""

    name: str
    text: str


Event = Output | Reply | Notice


def unescape(raw: bytes) -> bytes:
    """The bytes that the program wrote. tmux escapes controls and the backslash as three octal digits.

    Raises ProtocolError where a backslash is followed by anything else.
    """
    if b"\\" not in raw:
        return raw
    try:
        return codecs.escape_decode(raw)[0]  # type: ignore[attr-defined,no-any-return,unused-ignore]
    except ValueError as error:
        raise ProtocolError(f"bad escape in output: {error}") from error


class Parser:
    """Cuts a control-mode stream into events.

    A reply's body is raw text that may look like anything, so it ends only at a line that repeats the whole
    `time number flags` triple of its beginning. Where even that could be imitated (a capture shows what any
    program printed), set `minimum` to the number of lines that the body is known to have; it counts for the
    next reply to this client's input and is then forgotten. Since `feed` is a generator, it can be set between
    two events.
    """

    def __init__(self) -> None:
        self.minimum = 0
        self._tail = b""
        self._cut = False
        self._guard: bytes | None = None
        self._body: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that `data` completes. Raises ProtocolError when a bound is passed."""
        if self._cut:
            end = data.find(b"\n")
            if end < 0:
                return
            data, self._cut = data[end:], False
        lines = (self._tail + data if self._tail else data).split(b"\n")
        self._tail = lines.pop()
        for line in lines:
            if self._guard is not None:
                reply = self._in_body(line, self._guard)
                if reply is not None:
                    yield reply
            elif line.startswith(b"%output "):
                pane, _, raw = line[8:].partition(b" ")
                yield Output(pane.decode("ascii", "replace"), raw)
            elif line.startswith(b"%extended-output "):
                head, _, raw = line[17:].partition(b" : ")
                yield Output(head.partition(b" ")[0].decode("ascii", "replace"), raw)
            elif line.startswith(b"%begin "):
                self._guard = line[7:]
            elif line.startswith(b"%"):
                name, _, text = line[1:].decode("utf-8", "replace").partition(" ")
                yield Notice(name, text)
        if len(self._tail) > MAX_LINE:
            if self._guard is None:
                raise ProtocolError("a line without end")
            self._cut = True

    def _in_body(self, line: bytes, guard: bytes) -> Reply | None:
        ok = line == b"%end " + guard
        # What a hook of tmux's configuration says comes in between, as a reply that is not ours.
        ours = guard.endswith(b" 1")
        if not (ok or line == b"%error " + guard) or (ours and len(self._body) < self.minimum):
            self._body.append(line)
            self._size += len(line) + 1
            if self._size > MAX_BODY:
                raise ProtocolError("a reply without end")
            return None
        reply = Reply(ok, ours, self._body)
        self._guard, self._body, self._size = None, [], 0
        if ours:
            self.minimum = 0
        return reply
