"""A request's body on its way in: counted, bounded, and read to its end before an early refusal."""

from __future__ import annotations

import asyncio

from moorage.errors import PayloadTooLarge
from moorage.server.head import Head
from moorage.server.socket import Message, Receive

DISCARD_BYTES = 2 << 20
DISCARD_SECONDS = 2.0


class Body:
    """Stands in for the server's `receive`. A chunked body announces no length, so bytes are counted as they come."""

    __slots__ = ("_limit", "_receive", "_seen", "complete")

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._seen = 0
        self.complete = False

    def allow(self, limit: int, head: Head) -> None:
        """Set the route's limit in bytes. PayloadTooLarge if the announced length passes it."""
        self._limit = limit
        if head.content_length and int(head.content_length) > limit:
            raise self._too_large()

    async def __call__(self) -> Message:
        """The next message. PayloadTooLarge once the limit is passed."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._seen += len(message.get("body", b""))
            self.complete = not message.get("more_body", False)
            if self._seen > self._limit:
                raise self._too_large()
        else:
            self.complete = True
        return message

    async def discard(self) -> None:
        """Read on to the end, a little way and a short time, so that the client gets to read the refusal."""
        self._limit = self._seen + DISCARD_BYTES
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                while not self.complete:
                    await self()
        except (TimeoutError, PayloadTooLarge):
            return

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The body may hold {self._limit} bytes")
