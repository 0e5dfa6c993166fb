"""What Hypercorn leaves open: HTTP/2 in clear text, messages without a bound, connections that one stray frame ends,
close codes that it keeps to itself, sockets that it does not.

And what it makes dear: a message that goes to many sockets.

Each mend says what it is about, see `docs/adr/0006-engines.md`. They lean on the internals of version 0.18.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import Any

import h2.errors
import h2.events
import h2.exceptions
import hypercorn.protocol
import hypercorn.protocol.h2
import hypercorn.protocol.h11
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config, Sockets
from hypercorn.events import Closed
from hypercorn.protocol import ws_stream
from hypercorn.protocol.events import Data, StreamClosed
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H11Protocol
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Ping

from moorage.server.frames import frame_of

RESETS, RESETS_SECONDS = 100, 10.0
"""So many streams may a client break off in so many seconds: each has made us work. Source: CVE-2023-44487."""
SILENCE = 5.0
LINGER = 5.0
"""Seconds in which a client should have answered a close; one that reads slowly has to read what was said before."""


class OwnConfig(Config):
    """Keeps its sockets to this process.

    Hypercorn lets children inherit them, for its worker processes, and uvloop closes none as it starts a program: that
    program would hold our port after we have ended.
    """

    def create_sockets(self) -> Sockets:
        """As Hypercorn makes them, closed in every program that is started."""
        made = super().create_sockets()
        for sock in (*made.secure_sockets, *made.insecure_sockets, *made.quic_sockets):
            sock.set_inheritable(False)
        return made


class _H11(H11Protocol):
    """HTTP/1.1 that stays it."""

    async def _check_protocol(self, event: Any) -> None:
        """No `Upgrade: h2c`, no prior knowledge: through a proxy that lets them pass, a client would speak to us
        unseen and with the proxy's trusted address."""


class _H2(H2Protocol):
    """HTTP/2 whose streams do not end one another."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._resets: deque[float] = deque(maxlen=RESETS)

    async def _handle_events(self, events: list[h2.events.Event]) -> None:
        """Body that comes after the answer (a refused upload, already on its way) is not for anybody any more."""
        for event in events:
            if isinstance(event, h2.events.DataReceived) and event.stream_id not in self.streams:
                self._stray(event)
            elif isinstance(event, h2.events.RequestReceived) and not _well_formed(event):
                self.connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.PROTOCOL_ERROR)
            elif isinstance(event, h2.events.StreamReset) and self._too_many_resets():
                self.connection.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
                await self._flush()
                await self.send(Closed())
                return
            else:
                await super()._handle_events([event])
        await self._flush()

    def _too_many_resets(self) -> bool:
        now = time.monotonic()
        self._resets.append(now)
        return len(self._resets) == RESETS and now - self._resets[0] < RESETS_SECONDS

    def _stray(self, event: h2.events.DataReceived) -> None:
        try:
            self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.connection.reset_stream(event.stream_id, h2.errors.ErrorCodes.NO_ERROR)
        except h2.exceptions.ProtocolError:
            return  # The client has closed it as well.


def _well_formed(event: h2.events.RequestReceived) -> bool:
    """A CONNECT has no path, and no check is made of what is in one."""
    path = dict(event.headers or ()).get(b":path")
    return path is not None and path.isascii()


class _Buffer(ws_stream.WebsocketBuffer):
    """A message that is too big is refused before it is kept, however long its sender goes on."""

    def extend(self, event: Any) -> None:
        """Add a part of a message. FrameTooLargeError beyond the bound."""
        if self.length + len(event.data) > self.max_length:
            self.clear()
            raise ws_stream.FrameTooLargeError
        super().extend(event)


class _WebSocket(ws_stream.WSStream):
    """Whole messages go out in frames of our own making, which for many sockets is made once.

    On HTTP/1.1 they are written past the layers below, which hand each of them on as an event of an event.
    And the application is told with which code its client closed: Hypercorn always says 1006.
    And the client must be heard of: Hypercorn sends pings, and does not care what becomes of them.
    And it must have read all before the connection ends: Hypercorn does not wait for its answer to a close.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard = time.monotonic()
        self._handling = 0
        self._over = asyncio.Event()
        protocol = getattr(self.send, "__self__", None)
        server = getattr(protocol.send, "__self__", None) if isinstance(protocol, H11Protocol) else None
        self._said: int | None = None
        self._queue: asyncio.Queue[Any] | None = None
        self._tcp = server if isinstance(server, TCPServer) else None

    async def app_send(self, message: Any) -> None:
        """Take what the application sends; None is its end."""
        if message is None:
            self._nobody_reads()
            await self._answered()
        elif self.closed and self._said is None and message["type"] == "websocket.send":
            # While the application is behind nothing is read, the end of the connection neither: this tells of it.
            raise ConnectionResetError("the client is gone")
        if (
            message is None
            or message["type"] != "websocket.send"
            or self.closed
            or self.state is not ws_stream.ASGIWebsocketState.CONNECTED
            or self.connection.state is not ConnectionState.OPEN
        ):
            await super().app_send(message)
            return
        data = message.get("bytes")
        frame = frame_of(message["text"] if data is None else data)
        tcp = self._tcp
        if tcp is None or tcp.send_lock.locked() or tcp.writer.transport.is_closing():
            await self.send(Data(stream_id=self.stream_id, data=frame))
            return
        tcp.writer.write(frame)
        if tcp.writer.transport.get_write_buffer_size():
            # The peer does not keep up: wait, where Hypercorn does and as it does, until there is room.
            await self.send(Data(stream_id=self.stream_id, data=b""))

    def _nobody_reads(self) -> None:
        """The application has ended: what the client goes on sending would wait for it for ever, and we with it."""
        queue = self._queue or getattr(self.app_put, "__self__", None)
        if not isinstance(queue, asyncio.Queue):
            return

        async def drop(message: Any) -> None:
            """Nobody is there."""

        self.app_put = drop
        while not queue.empty():
            queue.get_nowait()

    async def _answered(self) -> None:
        """Wait until the client has answered our close, or is gone, or the server ends.

        What it still sends, a pong, to a connection that we have closed is answered by a reset, at which its machine
        throws away all that it has not read yet. Source: RFC 6455, section 7.1.1.
        """
        if self._tcp is None or self.closed or self.state is not ws_stream.ASGIWebsocketState.CLOSED:
            return
        waits = [asyncio.ensure_future(one) for one in (self._over.wait(), self.context.terminated.wait())]
        try:
            await asyncio.wait(waits, timeout=LINGER, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    async def _send_wsproto_event(self, event: Any) -> None:
        if isinstance(event, CloseConnection) and self.connection.state is ConnectionState.REMOTE_CLOSING:
            self._said = int(event.code)  # The answer repeats the client's.
        await super()._send_wsproto_event(event)

    async def handle(self, event: Any) -> None:
        """Take an event of the connection, which is a sign of life. While the handler is behind, nothing is heard."""
        if isinstance(event, StreamClosed):
            self._over.set()
        if self._queue is None:
            self._queue = getattr(self.app_put, "__self__", None)
        put, said = self.app_put, self._said
        if isinstance(event, StreamClosed) and put is not None and said is not None:

            async def tell(message: Any) -> None:
                await put({**message, "code": said} if message["type"] == "websocket.disconnect" else message)

            self.app_put = tell
        self._handling += 1
        try:
            await super().handle(event)
        finally:
            self._handling -= 1
            self._heard = time.monotonic()

    async def _accept(self, message: Any) -> None:
        await super()._accept(message)
        if self.config.websocket_ping_interval is not None:
            self.task_group.spawn(self._listen, self.config.websocket_ping_interval)

    async def _send_pings(self) -> None:
        """As Hypercorn does, but not asleep when the connection is gone: its descriptor would be kept as long."""
        while not self.closed:
            await self._send_wsproto_event(Ping())
            await self._pause(self.config.websocket_ping_interval or 0)

    async def _pause(self, seconds: float) -> None:
        """So long, or until the connection is gone."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    async def _listen(self, interval: float) -> None:
        """End the connection after two pings, and at least `SILENCE` seconds, to which nothing was said.

        TCP alone does not tell: a proxy between us, or the kernel of a machine whose browser hangs, goes on answering.
        """
        while not self.closed:
            await self._pause(interval)
            silent = time.monotonic() - self._heard
            if not self.closed and not self._handling and silent > max(SILENCE, 2 * interval):
                await self.send(StreamClosed(stream_id=self.stream_id))
                return


def install() -> None:
    """Put the mends in place, for this process."""
    hypercorn.protocol.H11Protocol = _H11  # type: ignore[attr-defined]
    hypercorn.protocol.H2Protocol = _H2  # type: ignore[attr-defined]
    ws_stream.WebsocketBuffer = _Buffer  # type: ignore[misc]
    hypercorn.protocol.h11.WSStream = _WebSocket  # type: ignore[attr-defined]
    hypercorn.protocol.h2.WSStream = _WebSocket  # type: ignore[attr-defined]
    # Per-message deflate is offered to everybody, without a switch. On terminals it doubles the CPU per message and
    # the memory per viewer; uvicorn's is off by its own setting.
    ws_stream.server_extensions_handshake = lambda requested, supported: None  # type: ignore[attr-defined]
