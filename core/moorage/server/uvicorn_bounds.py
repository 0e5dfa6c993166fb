"""uvicorn with the bounds that it has not: on a head's size and the time that it may take, on unread pongs."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

from moorage.server.frames import frame_of

TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose client must come to the point.

    llhttp keeps a head, and the trailers after a body, until they are complete. So bytes are counted as long as
    nothing comes of them: no head has ended, no part of a body was read.
    """

    max_head = 64 * 1024
    """Bytes of a head, and of trailers."""
    patience = 30.0
    """Seconds to the end of a head, from its first byte or from the opening of the connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._silent = 0
        self._progress = False
        self._impatience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; it has so long to say something."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._calm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and see what came of it."""
        self._progress = False
        super().data_received(data)
        self._silent = 0 if self._progress else self._silent + len(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return  # In the second case it has become a WebSocket, which has no heads.
        answered = self.cycle is None or self.cycle.response_complete
        if self._silent > self.max_head:
            if answered:
                self.transport.write(TOO_LARGE)
            self.transport.close()
        elif answered and self.timeout_keep_alive_task is None:
            self._await_head()

    def on_message_begin(self) -> None:
        """A head begins."""
        self._progress = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head has ended; from here on the gate sees to it."""
        self._progress = True
        self._calm()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body was read."""
        self._progress = True
        super().on_body(body)

    def _await_head(self) -> None:
        if self._impatience is None:
            self._impatience = self.loop.call_later(self.patience, self._give_up)

    def _calm(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None

    def _give_up(self) -> None:
        self._impatience = None
        self.transport.close()


def bounded(max_head: int, patience: float) -> type[BoundedProtocol]:
    """The protocol with these bounds."""
    return type("Protocol", (BoundedProtocol,), {"max_head": max_head, "patience": patience})


class BoundedSocket(WebSocketsSansIOProtocol):
    """A WebSocket that does not gather pongs for a client that reads none, and sends one frame to many."""

    async def send(self, message: Any) -> None:
        """Take what the application sends. A whole message is framed by ourselves: for many sockets only once."""
        if (
            message["type"] != "websocket.send"
            or self.conn.state is not State.OPEN
            or self.close_sent
            or self.disconnected
            or not self.writable.is_set()
        ):
            await super().send(message)
            return
        data = message.get("bytes")
        self.transport.write(frame_of(message["text"] if data is None else data))

    def handle_ping(self) -> None:
        """Answer a ping, unless the answers before it have not been taken yet. Source: RFC 6455, 5.5.3."""
        output = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(output))
