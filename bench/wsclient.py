"""A small WebSocket client, light enough that many of them do not become what is measured."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Callable
from urllib.parse import urlsplit

OnMessage = Callable[[bytes], None]


class Viewer(asyncio.Protocol):
    """One connection; `on_message` is called with the payload of each text or binary message. RFC 6455.

    Reads nothing after `pause`, until `resume`.
    """

    def __init__(self, request: bytes, on_message: OnMessage) -> None:
        self.on_message = on_message
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._request = request
        self._buffer = bytearray()
        self._parts: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("closed during the handshake"))
        if not self.closed.done():
            self.closed.set_result("connection lost")

    def data_received(self, data: bytes) -> None:
        """Take frames apart."""
        buffer = self._buffer
        buffer += data
        if not self.opened.done():
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in buffer[:32]:
                self.opened.set_exception(ConnectionError(bytes(buffer).decode("latin-1")))
                self.transport.close()
                return
            self.opened.set_result(None)
            del buffer[: end + 4]
        at = 0
        while len(buffer) - at >= 2:
            first, size = buffer[at], buffer[at + 1]
            start = at + 2
            if size == 126:
                if len(buffer) < start + 2:
                    break
                (size,) = struct.unpack_from("!H", buffer, start)
                start += 2
            elif size == 127:
                if len(buffer) < start + 8:
                    break
                (size,) = struct.unpack_from("!Q", buffer, start)
                start += 8
            if len(buffer) < start + size:
                break
            at = start + size
            self._frame(first & 0x80, first & 0x0F, bytes(buffer[start:at]))
        del buffer[:at]

    def _frame(self, final: int, opcode: int, payload: bytes) -> None:
        if opcode == 9:
            self._write(10, payload)
        elif opcode == 8:
            if not self.closed.done():
                self.closed.set_result(repr(payload))
            self._write(8, payload[:2])
        elif opcode in (0, 1, 2):
            if not final or self._parts:
                self._parts.append(payload)
                if not final:
                    return
                payload = b"".join(self._parts)
                self._parts.clear()
            self.on_message(payload)

    def send(self, text: str) -> None:
        """Send a text message."""
        self._write(1, text.encode())

    def _write(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
        # Masked with zeros, which a server takes like any other mask and which costs nothing here.
        self.transport.write(head + b"\0\0\0\0" + payload)


async def connect(url: str, on_message: OnMessage, *, cookie: str = "") -> Viewer:
    """Open a connection. ConnectionError with the answer if it is refused."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *([f"Cookie: {cookie}"] if cookie else []),
    ]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    loop = asyncio.get_running_loop()
    _, viewer = await loop.create_connection(lambda: Viewer(request, on_message), parts.hostname, parts.port)
    async with asyncio.timeout(20):
        await viewer.opened
    return viewer
