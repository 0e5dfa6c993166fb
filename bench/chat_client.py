"""A client of streamed answers: raw HTTP/1.1 on one connection, which looks for tokens and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import time
from urllib.parse import urlsplit

_TOKEN = re.compile(rb't(\d{9,});"')
LONGEST = 32
"""Bytes of a token; what is cut at the end of what came is looked at again."""
SECONDS = 120


class Stream(asyncio.Protocol):
    """One connection, for one answer after the other.

    first: seconds until the first token; late: µs from the sending of each token to its arrival; took: seconds in all.
    """

    @classmethod
    async def open(cls, url: str) -> Stream:
        """A connection to a server."""
        parts = urlsplit(url)
        _, stream = await asyncio.get_running_loop().create_connection(cls, parts.hostname, parts.port)
        return stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._over: asyncio.Future[None] | None = None

    async def ask(self, request: bytes, count: int) -> Stream:
        """Send it, and read the answer to its end. AssertionError when that has not `count` tokens."""
        self._head, self._rest, self.late, self.first = b"", b"", [], 0.0
        self._over = asyncio.get_running_loop().create_future()
        self._begun = time.monotonic()
        self._transport.write(request)
        async with asyncio.timeout(SECONDS):
            await self._over
        assert len(self.late) == count, f"{len(self.late)} tokens of {count}; at the end:\n{self._rest!r}"
        return self

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        if not self._head:
            self._head = data[:1000]
            if not data.startswith(b"HTTP/1.1 200"):
                self._end(AssertionError(f"no answer:\n{data!r}"))
                return
        data, end = self._rest + data, 0
        for found in _TOKEN.finditer(data):
            if not self.late:
                self.first = now / 1e9 - self._begun
            self.late.append((now - int(found[1])) / 1000)
            end = found.end()
        self._rest = data[max(end, len(data) - LONGEST) :]
        if data.endswith(b"\r\n0\r\n\r\n"):
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(AssertionError(f"the connection was closed; at the end:\n{self._rest!r}"))

    def _end(self, error: AssertionError | None) -> None:
        if self._over is None or self._over.done():
            return
        self.took = time.monotonic() - self._begun
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)

    def close(self) -> None:
        """Close the connection."""
        self._over = None
        self._transport.close()


def post(url: str, headers: dict[str, str], body: dict[str, object]) -> bytes:
    """A request, as it is sent."""
    parts, data = urlsplit(url), json.dumps(body).encode()
    lines = [f"POST {parts.path} HTTP/1.1", f"Host: {parts.netloc}", "Content-Type: application/json"]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    return (
        "\r\n".join([*lines, "Accept: text/event-stream", f"Content-Length: {len(data)}"]) + "\r\n\r\n"
    ).encode() + data
