"""One stream each way for all requests of a link: what stdio and the older HTTP with SSE have in common."""

from __future__ import annotations

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from moorage_mcp.links.base import LinkClosed, refusal
from moorage_mcp.links.exchange import Call, Handle, Strays
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import PROGRESS_TOKEN, SUBSCRIPTION_ID
from moorage_mcp.wire.jsonrpc import Message, Notification, Response, RpcError

MAX_BATCH = 1000
BURST, PAUSE = 2000, 0.01
"""Notifications that a server may send at a stretch; then what it sends is read in small pauses, so that a flood takes
no more than a part of a core."""

SEEN = 512
"""Bytes at both ends of an answer that cannot be read; they may say whose it is."""
_ID_FIRST = re.compile(rb'\s*\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,18})\s*,\s*"(?:result|error)"')
_ID_LAST = re.compile(rb'"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d{1,18})\s*\}\s*$')


class Duplex(ABC):
    """Gives each message to the request that it belongs to. A transport extends it with the streams themselves.

    why: why it has ended, once it has. strays: told what belongs to no request. dropped: told of each notification
    that is dropped.
    """

    cancels = False

    def __init__(self, dropped: Callable[[], None] = lambda: None) -> None:
        self.strays: Strays = lambda message: None
        self.lost: Callable[[], None] = lambda: None
        self.closed = asyncio.Event()
        self.why = "the connection was closed"
        self._dropped = dropped
        self._calls: dict[int, Call] = {}
        self._stretch = 0

    def begun(self, version: str) -> None:  # noqa: B027 a stream has nothing to do for it
        """As `LegacyTransport`."""

    def hear(self) -> None:  # noqa: B027 a stream has nothing to do for it
        """As `LegacyTransport`: it is all one stream."""

    def renew(self) -> None:  # noqa: B027 a stream has nothing to do for it
        """As `LegacyTransport`: a session that is lost is lost with its stream."""

    async def exchange(self, call: Call, message: Mapping[str, Any], handle: Handle) -> Response:
        """As `Transport`."""
        self._check()
        self._calls[call.id] = call
        call.dropped = self._dropped
        try:
            await self.send(jsonrpc.encode(message))
            while True:
                found = await call.next()
                if isinstance(found, Response):
                    return found
                await handle(found)
        finally:
            del self._calls[call.id]

    async def tell(self, message: Mapping[str, Any]) -> None:
        """As `Transport`."""
        self._check()
        await self.send(jsonrpc.encode(message))

    @abstractmethod
    async def send(self, data: bytes) -> None:
        """Send one message; returns once it is on its way, or has a place in the queue. LinkClosed."""

    def broke(self, why: str) -> None:
        """The connection has ended: nobody waits any more."""
        if not self.closed.is_set():
            self.why = why
            self.closed.set()
            for call in self._calls.values():
                call.fail(LinkClosed(why))

    def _check(self) -> None:
        if self.closed.is_set():
            raise LinkClosed(self.why)

    def took(self, data: bytes) -> bool:
        """Take one message, or a batch of the revision that had them, from the server. False: it is none."""
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            id = answered_id(data[:SEEN], data[-SEEN:])
            return id is not None and self.fail_call(id, _bad_answer())
        batch = found if isinstance(found, list) else [found]
        return sum(map(self._took, batch[:MAX_BATCH])) > 0

    def _took(self, found: Any) -> bool:
        try:
            self._take(jsonrpc.message(found))
        except RpcError:
            # An answer that is none: who waits for it need not wait longer.
            id = found.get("id") if isinstance(found, dict) and "method" not in found else None
            return type(id) is int and self.fail_call(id, _bad_answer())
        return True

    def fail_call(self, id: int, error: RpcError) -> bool:
        """End one request alone. False: it is not under way."""
        if (call := self._calls.get(id)) is None:
            return False
        call.put(Response(id, error=error))
        return True

    async def breathe(self) -> None:
        """Called after each piece that was read: others have their turn, and a flood is slowed."""
        pause = PAUSE if self._stretch > BURST else 0
        if pause:
            self._stretch = BURST // 2
        await asyncio.sleep(pause)

    def _take(self, message: Message) -> None:
        if isinstance(message, Response):
            self._stretch = 0
            if (call := self._call(message.id)) is not None:
                call.put(message)
            return
        self._stretch += 1
        call = None
        if isinstance(message, Notification):
            meta = message.params.get("_meta")
            if message.method == "notifications/progress":
                call = self._call(message.params.get(PROGRESS_TOKEN))
                if call is None:
                    return
                call.touch()
            elif isinstance(meta, dict) and SUBSCRIPTION_ID in meta:
                call = self._call(meta[SUBSCRIPTION_ID])
        if call is not None:
            call.put(message)
        else:
            self.strays(message)

    def _call(self, id: Any) -> Call | None:
        return self._calls.get(id) if type(id) is int else None


def answered_id(head: bytes, tail: bytes) -> int | None:
    """Whose an answer is that cannot be read, by its beginning or its end."""
    found = _ID_FIRST.match(head) or _ID_LAST.search(tail)
    return int(found[1]) if found is not None else None


def _bad_answer() -> RpcError:
    return refusal("bad_answer", "The server answered what is no JSON-RPC")


def too_large(limit: int) -> RpcError:
    """The answer to one request has more bytes than allowed."""
    return refusal("too_large", f"The server's answer is larger than {limit} bytes")
