"""The way out: every answer passes here once, for its headers, its size and its place in the log."""

from __future__ import annotations

import json
from collections.abc import Coroutine, Iterable, MutableMapping
from time import perf_counter
from typing import Any

from moorage.context import RequestInfo
from moorage.dialects import Dialect
from moorage.errors import MoorageError, Unauthorized
from moorage.server.running import Running
from moorage.server.socket import Send

Message = MutableMapping[str, Any]
ON_HTTP = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
ON_HTTPS = (*ON_HTTP, (b"strict-transport-security", b"max-age=31536000"))
# A view that says one of these itself knows better; a login's fresh cookie, for one, must not be undone by the
# clearing of the stale one that came with the request.
_YIELDING = frozenset(name for name, _ in ON_HTTP) - {b"x-content-type-options"} | {b"set-cookie"}


class Reply:
    """Wraps `send` for one request.

    extra: headers that the gate learned (limits, cookies to clear, CORS). running: told when the answer begins and
    when it turns out to be a stream, which is with the first chunk that is not the last. first: when that was, by
    `perf_counter()`; 0 for an answer in one piece.
    """

    __slots__ = ("_send", "bytes_sent", "extra", "first", "info", "running", "status", "whole")

    def __init__(self, send: Send, info: RequestInfo) -> None:
        self._send, self.info = send, info
        self.extra: list[tuple[bytes, bytes]] = []
        self.running: Running | None = None
        self.status = 0
        self.bytes_sent = 0
        self.first = 0.0
        self.whole = False

    def send(self, message: Message) -> Coroutine[Any, Any, None]:
        """What the lanes are given instead of the server's `send`, whose coroutine it returns."""
        kind = message["type"]
        if kind == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
            if not message.get("more_body", False):
                self.whole = True
            elif self.running is not None:
                self.first = self.first or perf_counter()
                self.running.streaming()
        elif kind == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._headers(message["headers"])
            if self.running is not None:
                self.running.answering()
        return self._send(message)

    def _headers(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = list(given)
        said = {name for name, _ in headers if name in _YIELDING}
        ours = [*(ON_HTTPS if self.info.scheme == "https" else ON_HTTP), *self.extra]
        headers += [pair for pair in ours if pair[0] not in said] if said else ours
        headers.append((b"x-request-id", self.info.id.encode()))
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
    said = {**dialect.headers, **error.headers}
    headers += [(k.lower().encode(), v.encode("latin-1", "replace")) for k, v in said.items()]
    return dialect.status(error), headers, body
