"""A Docker engine's long answers on the event loop: its stream of events, and the raw connection of an exec.

Source: the Engine API's reference, "Attach to a container" for hijacked connections and their frames. The SDK has
both, but each keeps a thread for as long as it lasts, and a hijacked socket loses what was read ahead of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

MAX_HEAD = 64 * 1024
MAX_LINE = 1024 * 1024
"""The longest event. The engine's are some kilobytes."""


class BadAnswer(Exception):
    """The engine answered with an error, or with what is no HTTP. status: 0 for the latter."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(f"{status} {text}")


class Answer:
    """An answer of which only the head has been read. Use as a context, or `close` it."""

    def __init__(self, status: int, headers: dict[str, str], reader: asyncio.StreamReader, writer: Any) -> None:
        self.status, self.headers = status, headers
        self.reader: asyncio.StreamReader = reader
        self.writer: asyncio.StreamWriter = writer

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            async with asyncio.timeout(1):
                await self.writer.wait_closed()

    async def body(self) -> bytes:
        """All of it, not more than `MAX_LINE` bytes."""
        found = bytearray()
        async for part in self._parts():
            found += part
            if len(found) > MAX_LINE:
                raise BadAnswer(0, "too long")
        return bytes(found)

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of an answer that goes on until the engine ends it."""
        rest = b""
        async for part in self._parts():
            *whole, rest = (rest + part).split(b"\n")
            if len(rest) > MAX_LINE:
                raise BadAnswer(0, "a line is too long")
            for line in whole:
                if line.strip():
                    yield line

    async def _parts(self) -> AsyncIterator[bytes]:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await self.reader.readuntil(b"\n")).partition(b";")[0], 16):
                if size > MAX_LINE:
                    raise BadAnswer(0, "a chunk is too long")
                yield (await self.reader.readexactly(size + 2))[:-2]
        elif "content-length" in self.headers:
            yield await self.reader.readexactly(min(int(self.headers["content-length"]), MAX_LINE))
        else:
            while part := await self.reader.read(65536):
                yield part


async def ask(url: str, method: str, path: str, body: Any = None, *, upgrade: bool = False) -> Answer:
    """Ask the engine on a connection of its own.

    upgrade: for what is then a raw connection. OSError or EOFError when the engine is away, BadAnswer when it
    refuses; the caller sets the time-out.
    """
    reader, writer = await _connect(url)
    try:
        data = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {path} HTTP/1.1", "Host: docker", "User-Agent: moorage", f"Content-Length: {len(data)}"]
        head += ["Content-Type: application/json"] if data else []
        head += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else ["Connection: close"]
        writer.write("\r\n".join([*head, "", ""]).encode() + data)
        await writer.drain()
        status, headers = _head(await reader.readuntil(b"\r\n\r\n"))
        answer = Answer(status, headers, reader, writer)
        if status not in (101, 200, 201, 204):
            said = await answer.body()
            raise BadAnswer(status, said.decode("utf-8", "replace")[:2000])
        return answer
    except BaseException as error:
        writer.close()
        if isinstance(error, (ValueError, asyncio.LimitOverrunError)):
            raise BadAnswer(0, "what answers is no Docker engine") from error
        raise


async def ask_json(url: str, path: str) -> Any:
    """The JSON that a GET gives."""
    async with await ask(url, "GET", path) as answer:
        try:
            return json.loads(await answer.body())
        except ValueError as error:
            raise BadAnswer(0, "what answers is no Docker engine") from error


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if url.startswith("unix://"):
        return await asyncio.open_unix_connection(url.removeprefix("unix://"), limit=MAX_HEAD)
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (2376 if secure else 2375)
    return await asyncio.open_connection(parts.hostname, port, ssl=secure or None, limit=MAX_HEAD)


def _head(data: bytes) -> tuple[int, dict[str, str]]:
    first, *rest = data.decode("latin-1").split("\r\n")
    version, _, status = first.partition(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(first[:80])
    pairs = (line.partition(":") for line in rest if line)
    return int(status[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs}
