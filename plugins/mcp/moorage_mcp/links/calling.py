"""Requests by one link, whatever its era: numbered, held to their time, and cancelled when nobody waits any more."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from moorage_mcp.links.base import Asker, LinkClosed, ServerInfo, refusal
from moorage_mcp.links.exchange import Call, SessionLost, Spawn, Transport, own_token
from moorage_mcp.links.tasks import Tasks
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.jsonrpc import Message, Params

MAX_UNDER_WAY = 1024
TELL_SECONDS = 10.0
T = TypeVar("T", bound=Transport)


class Calling(ABC, Generic[T]):
    """What links of both eras have in common; each adds its own words. The transport ends with it."""

    server: ServerInfo

    def __init__(self, transport: T, spawn: Spawn, first_id: int) -> None:
        self._transport = transport
        self._tasks = Tasks(spawn)
        self._ids = itertools.count(first_id)
        self._calls: dict[int, Call] = {}
        self._ended = asyncio.Event()

    def _check_room(self) -> None:
        """RpcError when too much is under way."""
        if len(self._calls) >= MAX_UNDER_WAY:
            raise refusal("too_many", "Too much is asked of this server at once")

    async def _exchange(self, method: str, params: Params, asker: Asker, timeout: float) -> dict[str, Any]:
        """One request and its result; errors as of `Link`."""
        id = next(self._ids)
        params, token = own_token(params, id)
        call = self._calls[id] = Call(id, asker, token, timeout)
        try:
            async with call.begin():
                found = await self._transport.exchange(
                    call, self._message(id, method, params, asker), lambda message: self._handle(call, message)
                )
        except (TimeoutError, asyncio.CancelledError):
            if method != "initialize":  # Which may not be cancelled.
                self._cancel(id)
            raise
        finally:
            del self._calls[id]
            call.end()
        if found.error is not None:
            raise found.error
        return found.result or {}

    def _message(self, id: int, method: str, params: Params, asker: Asker) -> dict[str, Any]:
        """A request's JSON, in the words of the era."""
        return jsonrpc.request(id, method, params)

    @abstractmethod
    async def _handle(self, call: Call, message: Message) -> None:
        """Take what the server sends before the answer to a request."""

    def _cancel(self, id: int) -> None:
        """Tell the server that nobody waits any more, where closing the request's stream does not."""
        if not self._transport.cancels and not self._ended.is_set():
            said = jsonrpc.notification("notifications/cancelled", {"requestId": id, "reason": "the client has left"})
            self._tasks(self._tell(said), "cancel a request")

    async def _tell(self, message: Mapping[str, Any]) -> None:
        try:
            async with asyncio.timeout(TELL_SECONDS):
                await self._transport.tell(message)
        except (TimeoutError, LinkClosed, SessionLost):
            pass  # Nobody waits for it.

    @property
    def why(self) -> str:
        """Why it has ended by itself, for people."""
        return self._transport.why

    async def wait_closed(self) -> None:
        """As `Link`."""
        await self._transport.closed.wait()

    async def close(self) -> None:
        """As `Link`."""
        self._ended.set()
        for call in list(self._calls.values()):
            call.fail(LinkClosed("the connection was closed"))
        self._tasks.cancel()
        await self._transport.close()
