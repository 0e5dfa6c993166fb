"""Server-sent events, read as they come and written. Source: the HTML standard, section 9.2, with MCP's use of `id`."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE_ENDS = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event has more bytes than allowed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. data: as sent, lines joined by newlines; b"" for one that brings only an id or a time.

    id: None when it brings none. retry: milliseconds.
    """

    data: bytes
    kind: str = "message"
    id: str | None = None
    retry: int | None = None


class Decoder:
    """Takes a stream in pieces that are cut anywhere.

    limit: bytes of one event. strict: a larger one is an EventTooLarge at once; else it is left out and counted.
    """

    def __init__(self, limit: int, *, strict: bool = True) -> None:
        self._limit, self._strict = limit, strict
        self._rest: list[bytes] = []
        self._rest_size = 0
        self._began = self._after_cr = False
        self.left_out = 0
        self._clear()

    def _clear(self) -> None:
        self._data: list[bytes] = []
        self._size = 0
        self._kind = "message"
        self._id: str | None = None
        self._retry: int | None = None
        self._any = self._too_large = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that this piece completes. EventTooLarge: nothing more is to be made of the stream."""
        found: list[Event] = []
        for line in self._lines(chunk):
            if line:
                self._field(line)
            elif (event := self._end()) is not None:
                found.append(event)
        return found

    def _lines(self, chunk: bytes) -> list[bytes]:
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        lines = _LINE_ENDS.split(chunk) if b"\r" in chunk else chunk.split(b"\n")
        rest = lines.pop()
        if lines and self._rest:
            self._rest.append(lines[0])
            lines[0] = b"".join(self._rest)
            self._rest.clear()
            self._rest_size = 0
        if rest:
            self._rest.append(rest)
            self._rest_size += len(rest)
            if self._rest_size + self._size > self._limit:
                self._give_up()
                # What is left of the line is read as a comment, however long it is.
                self._rest, self._rest_size = [b":"], 1
        return lines

    def _field(self, line: bytes) -> None:
        if not self._began:
            self._began = True
            line = line.removeprefix(_BOM)
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._any = True
            self._size += len(value) + 1
            if self._size > self._limit:
                self._give_up()
            elif not self._too_large:
                self._data.append(value)
        elif name == b"event":
            self._kind = value.decode("utf-8", "replace")[:256]
        elif name == b"id" and b"\0" not in value and len(value) <= self._limit:
            self._any, self._id = True, value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < 12:
            self._any, self._retry = True, int(value)

    def _end(self) -> Event | None:
        if self._too_large or not self._any:
            self._clear()
            return None
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        event = Event(data, self._kind or "message", self._id, self._retry)
        self._clear()
        return event

    def _give_up(self) -> None:
        if self._strict:
            raise EventTooLarge(f"an event is larger than {self._limit} bytes")
        self._data, self._size = [], 0
        if not self._too_large:
            self._too_large = True
            self.left_out += 1


def encode(data: bytes, *, kind: str | None = None, id: str | None = None, retry: int | None = None) -> bytes:
    """An event as it is sent. kind, id: without line ends. retry: milliseconds."""
    head = b""
    if kind is not None:
        head += b"event: %b\n" % kind.encode()
    if id is not None:
        head += b"id: %b\n" % id.encode()
    if retry is not None:
        head += b"retry: %d\n" % retry
    if b"\n" in data or b"\r" in data:
        data = b"\ndata: ".join(_LINE_ENDS.split(data))
    return b"%bdata: %b\n\n" % (head, data)


KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: nobody's event, and the connection is not idle."""
