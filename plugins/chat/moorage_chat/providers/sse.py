"""Server-sent events of providers, read with bounds and with what is wrong in them.

Source of the format: WHATWG HTML, "Server-sent events". Written here because the SDK's reader drops lines that it does
not know, among them llama.cpp's `error: {…}`, and keeps a line without end in memory for as long as it grows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from time import monotonic
from typing import Any

from moorage_chat.providers import faults
from moorage_chat.providers.base import ErrorCode, ProviderError

MAX_EVENT = 4 * 1024 * 1024
"""Bytes of one event: a tool call's arguments may come in one."""
DONE = "[DONE]"
TURN = 0.005
"""Seconds after which others have their turn: what is read already is there without waiting, however much comes."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Any, None]:
    """The JSON of each event's data, or `DONE`. ProviderError for what is no event stream, or says that it failed."""
    rest = bytearray()
    data: list[bytes] = []
    size = 0
    turn = monotonic()
    async for chunk in chunks:
        rest += chunk
        if b"\n" not in chunk and b"\r" not in chunk:
            _bound(len(rest) + size)
            continue
        *lines, last = rest.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        # A CR at the end may be the first half of a CRLF: as a line end it makes an empty line more, which is harmless.
        rest = bytearray(last)
        for line in lines:
            if monotonic() - turn > TURN:
                await asyncio.sleep(0)
                turn = monotonic()
            if line.startswith(b"data:"):
                data.append(bytes(line[5:]))
                size += len(line)
                _bound(size)
            elif not line and data:
                yield _parse(b"\n".join(data))
                data, size = [], 0
            elif line.startswith(b"error:"):
                raise faults.refused(None, _lenient(bytes(line[6:])))
    if rest.startswith(b"data:"):
        data.append(bytes(rest[5:]))
    if data:
        # Some servers leave out the blank line after the last event. An event that is cut off is not taken.
        whole = _lenient(b"\n".join(data))
        if not isinstance(whole, str) or whole == DONE:
            yield whole


def _bound(size: int) -> None:
    if size > MAX_EVENT:
        raise ProviderError(ErrorCode.ERROR, f"an event of more than {MAX_EVENT} bytes")


def _parse(data: bytes) -> Any:
    text = data.strip()
    if text == b"[DONE]":
        return DONE
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ProviderError(ErrorCode.ERROR, f"an event of {len(text)} bytes that is not JSON") from None


def _lenient(data: bytes) -> Any:
    """JSON, or the text that it is."""
    text = data.strip()
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text[: faults.DETAIL_CHARS].decode("utf-8", "replace")
