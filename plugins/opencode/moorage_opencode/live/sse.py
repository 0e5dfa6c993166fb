"""Server-sent events, cut anywhere, as the payloads that they carry. Source: the HTML standard, section 9.2."""

from __future__ import annotations

from collections.abc import Iterator


class EventParser:
    """Takes a stream as it comes. Only `data` counts; what passes the limit in bytes is left out and counted.

    Payloads are given as bytes: a character that was cut in two is whole again once its event is.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._too_large = False
        self.left_out = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The payloads that this chunk completes."""
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if self._rest:
                line, self._rest = bytes(self._rest) + line, bytearray()
            payload = self._line(line.removesuffix(b"\r"))
            if payload is not None:
                yield payload
        self._rest += rest
        if self._size + len(self._rest) > self._limit:
            self._give_up()

    def _line(self, line: bytes) -> bytes | None:
        if not line:
            return self._end()
        if line.startswith(b"data:") and not self._too_large:
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._limit:
                self._give_up()
        return None

    def _end(self) -> bytes | None:
        data, too_large = self._data, self._too_large
        self._data, self._size, self._too_large = [], 0, False
        return b"\n".join(data) if data and not too_large else None

    def _give_up(self) -> None:
        """The event is too large: what is left of it is read and forgotten, to its end."""
        self._rest = bytearray(b":") if self._rest else bytearray()  # The rest of a line: a comment.
        self._data, self._size = [], 0
        if not self._too_large:
            self._too_large = True
            self.left_out += 1
