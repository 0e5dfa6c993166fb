"""A server's WebSocket messages as bytes: framed once, however many sockets they go to."""

from __future__ import annotations

import struct


class PreparedText(str):
    """A text that goes to many sockets: encoded and framed for the first of them, the same bytes for all others."""

    __slots__ = ("_frame",)

    @property
    def frame(self) -> bytes:
        """Its frame, made when first asked for."""
        try:
            return self._frame
        except AttributeError:
            self._frame: bytes = _frame(0x81, self.encode())
            return self._frame


def frame_of(data: str | bytes) -> bytes:
    """A whole message as one unmasked frame without extensions. Source: RFC 6455, 5.2."""
    if isinstance(data, PreparedText):
        return data.frame
    return _frame(0x81, data.encode()) if isinstance(data, str) else _frame(0x82, data)


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload
