"""Long answers: written while they are read, so that however long one is, little of it is in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Any

from quart import Response

BATCH = 200
"""Messages that are read at once."""
AHEAD = 1024 * 1024
"""Bytes up to which an answer is sent whole, with its length."""


async def answer(pieces: AsyncIterator[bytes], content_type: str = "application/json") -> Response:
    """What comes in pieces, as one answer. An error before the first piece is an answer of its own.

    A longer one is streamed: an error then breaks it off, so that nobody takes a part for the whole.
    """
    begun: list[bytes] = []
    size = 0
    async for piece in pieces:
        begun.append(piece)
        size += len(piece)
        if size > AHEAD:
            return Response(_rest(begun, pieces), content_type=content_type)
    return Response(b"".join(begun), content_type=content_type)


async def array(batches: AsyncIterable[Sequence[Any]]) -> AsyncIterator[bytes]:
    """The JSON array of what comes in batches, in pieces."""
    separator = b"["
    async for batch in batches:
        if batch:
            yield separator + compact(batch)[1:-1]
            separator = b","
    yield b"[]" if separator == b"[" else b"]"


def compact(value: Any) -> bytes:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


async def _rest(begun: list[bytes], pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield b"".join(begun)
    begun.clear()
    async for piece in pieces:
        yield piece
