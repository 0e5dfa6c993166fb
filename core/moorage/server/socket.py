"""The core's WebSocket over raw ASGI: a bounded outbox, and no task per viewer while the peer keeps up."""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

from moorage.access import Actor
from moorage.context import RequestInfo
from moorage.errors import MoorageError
from moorage.routes import Access

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]

_log = structlog.get_logger("moorage.server")
OUTBOX_BYTES = 1 << 20
CLOSE_TIMEOUT = 5.0
EVICT_SECONDS = 5.0
"""How long a handler may go on after its socket was closed from outside, before it is cancelled."""


class SocketClosed(Exception):
    """The peer is gone or we closed; `code` is the close code (1006 when nobody said one)."""

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        self.code, self.reason = code, reason
        super().__init__(f"closed {code} {reason}".rstrip())


class Socket:
    """One open WebSocket. A handler accepts it, reads it, and posts to it from anywhere in the loop.

    actor: who is behind it *now*: replaced by the core when a role changes. params, query: strings.
    on_actor_changed: called without arguments after `actor` was replaced.
    """

    def __init__(
        self,
        scope: Message,
        receive: Receive,
        send: Send,
        *,
        info: RequestInfo,
        plugin: str,
        access: str | Access | None,
        params: dict[str, str],
        query: dict[str, str],
        max_frame: int,
        outbox_bytes: int = OUTBOX_BYTES,
    ) -> None:
        self.info, self.plugin, self.access = info, plugin, access
        self.params, self.query = params, query
        self._actor: Actor = info.actor
        self.on_actor_changed: Callable[[], None] | None = None
        self.close_code: int | None = None
        self.accepted = False
        self._scope, self._receive, self._send = scope, receive, send
        self._max_frame, self._outbox_bytes = max_frame, outbox_bytes
        self._outbox: deque[Message] = deque()
        self._pending = 0
        self._writer: asyncio.Task[None] | None = None
        self._drained = asyncio.Event()
        self._drained.set()
        self._reader: asyncio.Task[Any] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._reason = ""
        self._handler: asyncio.Task[Any] | None = None
        self._ended = asyncio.Event()

    @property
    def actor(self) -> Actor:
        """Who is behind it now."""
        return self._actor

    @actor.setter
    def actor(self, actor: Actor) -> None:
        self._actor = self.info.actor = actor
        if self.on_actor_changed is not None:
            self.on_actor_changed()

    @property
    def headers(self) -> dict[str, str]:
        """The handshake's headers, lower case; the last of a repeated one. No credentials in it."""
        hidden = (b"cookie", b"authorization")
        return {k.decode("latin-1"): v.decode("latin-1") for k, v in self._scope["headers"] if k not in hidden}

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The handshake's headers as they came, credentials included, names in lower case."""
        return list(self._scope["headers"])

    @property
    def subprotocols(self) -> list[str]:
        """What the client offers, in its order."""
        return list(self._scope.get("subprotocols") or ())

    @property
    def raw_query(self) -> str:
        """The query string as sent."""
        return str(self._scope["query_string"].decode("latin-1"))

    @property
    def pending(self) -> int:
        """Bytes posted and not yet taken by the transport."""
        return self._pending

    @property
    def closed(self) -> bool:
        """True once either side closed."""
        return self.close_code is not None

    async def accept(self, subprotocol: str | None = None) -> None:
        """Finish the handshake. SocketClosed if the client has gone already."""
        if self.accepted:
            return
        first = await self._receive()
        if first["type"] != "websocket.connect":
            self._gone(first)
        try:
            await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})
        except OSError as error:
            self._lost(error)
            raise SocketClosed from None
        self.accepted = True

    async def receive(self) -> str | bytes:
        """The next message. SocketClosed at the end; a message over the limit closes with 1009."""
        if self.closed:
            raise SocketClosed(self.close_code or 1006, self._reason)
        self._reader = asyncio.current_task()
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self.closed and task is not None:
                task.uncancel()  # `close_soon` woke us; the handler itself was not cancelled.
                raise SocketClosed(self.close_code or 1006, self._reason) from None
            raise
        finally:
            self._reader = None
        if message["type"] != "websocket.receive":
            self._gone(message)
        text = message.get("text")
        data: str | bytes = text if text is not None else (message.get("bytes") or b"")
        if len(data) > self._max_frame:
            await self.close(1009, "Message too big")
            raise SocketClosed(1009, "Message too big")
        return data

    def _gone(self, message: Message) -> None:
        self.close_code = self.close_code or int(message.get("code") or 1006)
        self._forget_outbox()
        raise SocketClosed(self.close_code, str(message.get("reason") or ""))

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Messages until the socket closes."""
        while True:
            try:
                yield await self.receive()
            except SocketClosed:
                return

    def post(self, data: str | bytes) -> bool:
        """Send without waiting: at once while the transport keeps up, else through the bounded outbox.

        Returns False when the outbox is full or the socket closed; the message is then dropped.
        """
        if self.close_code is not None or not self.accepted:
            return False
        message: Message = (
            {"type": "websocket.send", "text": data}
            if isinstance(data, str)
            else {"type": "websocket.send", "bytes": data}
        )
        size = len(data)
        if self._writer is None:
            step = self._send(message)
            try:
                waiting = step.send(None)
            except StopIteration:
                return True
            except Exception as error:
                self._lost(error)
                return False
            self._pending += size
            self._drained.clear()
            self._writer = asyncio.create_task(self._write(step, waiting, size))
            return True
        if self._pending + size > self._outbox_bytes:
            return False
        self._outbox.append(message)
        self._pending += size
        return True

    async def send(self, data: str | bytes) -> None:
        """Send and wait until the transport took it. SocketClosed when it is gone."""
        while not self.post(data):
            if self.closed:
                raise SocketClosed(self.close_code or 1006, self._reason)
            await self._drained.wait()

    async def wait_drained(self, timeout: float | None = None) -> None:
        """Wait until the outbox is empty. TimeoutError after `timeout` seconds."""
        await asyncio.wait_for(self._drained.wait(), timeout)

    async def _write(self, step: Coroutine[Any, Any, None], waiting: Any, size: int) -> None:
        """Finish the send that had to wait, then the outbox."""
        try:
            await _resume(step, waiting)
            self._pending = max(0, self._pending - size)
            while self._outbox:
                message = self._outbox.popleft()
                await self._send(message)
                size = len(message.get("text") or message.get("bytes") or b"")
                self._pending = max(0, self._pending - size)
        except Exception as error:
            self._lost(error)
        finally:
            self._writer = None
            if self._outbox and not self.closed:
                self._forget_outbox()
            self._drained.set()

    def _lost(self, error: Exception) -> None:
        """The transport failed under us: the reader will see the disconnect."""
        _log.debug("a message could not be sent", path=self.info.template, reason=repr(error))
        self.close_code = self.close_code or 1006
        self._forget_outbox()

    def _forget_outbox(self) -> None:
        self._outbox.clear()
        self._pending = 0
        self._drained.set()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close after what was posted, waiting at most a few seconds for it. Harmless when closed already."""
        if self.closed:
            return
        self.close_code, self._reason = code, reason
        if self._writer is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._drained.wait()), CLOSE_TIMEOUT)
            except TimeoutError:
                self._writer.cancel()
        try:
            if not self.accepted:
                self.accepted = True
                await self._send({"type": "websocket.accept", "subprotocol": None, "headers": []})
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._send({"type": "websocket.close", "code": code, "reason": reason[:120]})
        except (TimeoutError, OSError, RuntimeError):
            pass  # The peer is away already: the close code is a courtesy.

    def close_soon(self, code: int = 1000, reason: str = "") -> None:
        """Close from outside the handler: its pending `receive` ends with SocketClosed."""
        if self.closed or self._closing is not None:
            return
        reader = self._reader
        self._closing = asyncio.create_task(self._close_from_outside(code, reason, reader))

    async def _close_from_outside(self, code: int, reason: str, reader: asyncio.Task[Any] | None) -> None:
        await self.close(code, reason)
        if reader is not None and reader is self._reader:
            reader.cancel()
        try:
            await asyncio.wait_for(self._ended.wait(), EVICT_SECONDS)
        except TimeoutError:
            # It waits for something else than a message: it would keep what it holds, and its place, for ever.
            if self._handler is not None:
                self._handler.cancel()

    @contextmanager
    def attended(self) -> Iterator[None]:
        """Around a handler's run, in its task. SocketClosed when it had to be cancelled."""
        self._handler = task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        try:
            yield
        except asyncio.CancelledError:
            evicted = self._closing is not None and self._closing.done()
            if task is None or not evicted or task.uncancel() > before:
                raise
            raise SocketClosed(self.close_code or 1006, self._reason) from None
        finally:
            self._handler = None
            self._ended.set()


@types.coroutine
def _resume(step: Coroutine[Any, Any, None], waiting: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was stepped by hand up to its first wait."""
    while True:
        try:
            sent = yield waiting
        except BaseException as error:
            try:
                waiting = step.throw(error)
            except StopIteration:
                return
        else:
            try:
                waiting = step.send(sent)
            except StopIteration:
                return


def close_reason(error: MoorageError) -> tuple[int, str]:
    """The close code and reason for an error that a handler let out after accepting."""
    return {401: 4001, 403: 4003, 404: 4004, 429: 4029}.get(error.status, 1011), error.message
