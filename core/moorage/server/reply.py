"""The way out: every answer passes here once, for its headers, its size and its place in the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, MutableMapping
from typing import Any

from moorage.access import Actor
from moorage.context import RequestInfo
from moorage.dialects import Dialect
from moorage.errors import MoorageError, Unauthorized
from moorage.routes import Access
from moorage.server.socket import Send

Message = MutableMapping[str, Any]
SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_CSP = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_NO_STORE = (b"cache-control", b"no-store")
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_OVERRIDABLE = frozenset({b"referrer-policy", b"x-frame-options", b"cross-origin-opener-policy"})


class LiveStream:
    """A response that goes on: registered, so that it ends when its right ends."""

    def __init__(self, actor: Actor, plugin: str, access: str | Access | None, task: asyncio.Task[Any] | None) -> None:
        self.actor, self.plugin, self.access = actor, plugin, access
        self.revoked = False
        self._task = task

    def close_soon(self, code: int = 1000, reason: str = "") -> None:
        """Cut the response off."""
        if not self.revoked and self._task is not None:
            self.revoked = True
            self._task.cancel()


class Reply:
    """Wraps `send` for one request.

    extra: headers that the gate learned (limits, cookies to clear, CORS). on_start: called when the answer
    begins. on_stream: called once when a second chunk is announced, so when the answer is a stream.
    """

    __slots__ = ("_send", "bytes_sent", "extra", "info", "on_start", "on_stream", "status", "whole")

    def __init__(self, send: Send, info: RequestInfo) -> None:
        self._send, self.info = send, info
        self.extra: list[tuple[bytes, bytes]] = []
        self.on_start: Callable[[], None] | None = None
        self.on_stream: Callable[[], None] | None = None
        self.status = 0
        self.bytes_sent = 0
        self.whole = False

    async def send(self, message: Message) -> None:
        """What the lanes are given instead of the server's `send`."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._headers(message["headers"])
            if self.on_start is not None:
                self.on_start()
        elif kind == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.whole = True
            elif self.on_stream is not None:
                self.on_stream()
                self.on_stream = None
        await self._send(message)

    def _headers(self, given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        names = {name for name, _ in given}
        headers = list(given)
        headers += [pair for pair in SECURITY if pair[0] not in names or pair[0] not in _OVERRIDABLE]
        if _CSP[0] not in names:
            headers.append(_CSP)
        if _NO_STORE[0] not in names:
            headers.append(_NO_STORE)
        if self.info.scheme == "https":
            headers.append(_HSTS)
        headers.append((b"x-request-id", self.info.id.encode()))
        # A login's fresh cookie must not be undone by the clearing of the stale one that came with the request.
        fresh = b"set-cookie" in names
        headers += [pair for pair in self.extra if not (fresh and pair[0] == b"set-cookie")]
        return headers

    async def error(self, error: MoorageError, dialect: Dialect) -> None:
        """Answer with an error in a dialect. Nothing can be said once the answer has begun."""
        if self.status:
            return
        status, headers, body = spell(error, dialect, self.info.id)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})


def spell(error: MoorageError, dialect: Dialect, request_id: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body of an error."""
    body = json.dumps(dialect.error(error, request_id), separators=(",", ":"), default=str).encode()
    headers = [(b"content-type", dialect.content_type.encode()), (b"content-length", str(len(body)).encode())]
    if isinstance(error, Unauthorized) and "WWW-Authenticate" not in error.headers:
        headers.append((b"www-authenticate", b"Bearer"))
    headers += [(k.lower().encode(), v.encode("latin-1", "replace")) for k, v in error.headers.items()]
    return dialect.status(error), headers, body
