"""A client of eaRS: speaks, and keeps what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import websockets
from speech import frames
from waits import WAIT

PATH = "/api/voice/stt"


class EarsClient:
    """One connection."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection

    async def say(self, sound: bytes) -> None:
        for frame in frames(sound):
            await self.connection.send(frame)

    async def tell(self, type: str, **fields: Any) -> None:
        await self.connection.send(json.dumps({"type": type, **fields}))

    async def next(self) -> dict[str, Any]:
        """The next event."""
        async with asyncio.timeout(WAIT):
            found: dict[str, Any] = json.loads(await self.connection.recv())
        return found

    async def until(self, type: str) -> list[dict[str, Any]]:
        """The events up to the next of that type."""
        events = [await self.next()]
        while events[-1]["type"] != type:
            events.append(await self.next())
        return events

    async def rest(self) -> list[dict[str, Any]]:
        """The events until the server closes."""
        events = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                events.append(await self.next())
        return events

    @property
    def code(self) -> int | None:
        return self.connection.close_code


@contextlib.asynccontextmanager
async def ears(ws_url: str, cookie: str) -> AsyncIterator[EarsClient]:
    async with websockets.connect(
        ws_url + PATH, additional_headers={"Cookie": cookie}, max_size=None, open_timeout=WAIT
    ) as connection:
        yield EarsClient(connection)


def words(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in events if one["type"] == "word"]
