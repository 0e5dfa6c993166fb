"""A link with a server of the modern era: every request stands alone. Source: MCP 2026-07-28."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from moorage_mcp.links.base import Asker, LinkClosed, Listener, Need, ServerInfo, refusal
from moorage_mcp.links.calling import Calling
from moorage_mcp.links.exchange import Call, Nobody, Spawn, Transport, hand_on
from moorage_mcp.wire import eras, headers, jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import HEADER_MISMATCH, Message, Notification, Params, RpcError
from moorage_mcp.wire.methods import LIST_CHANGED, UPDATED

MAX_ROUNDS = 10
"""How often a server may ask again before it does what it was asked."""
ROUND_PAUSES = (0.05, 0.1, 0.25)
"""Seconds before a request is repeated for which the server only wants time."""
MAX_PAGES = 50
MAX_MARKED = 10_000
ACKNOWLEDGE_SECONDS = 10.0
LISTEN_PAUSES = (1.0, 30.0)
"""Seconds before a stream of changes that broke is opened again, the first time and at most."""
_ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
_log = structlog.get_logger("moorage.mcp.links")


class ModernLink(Calling[Transport]):
    """As `Link`. Nothing need be done to begin.

    identity: clientInfo, for who has none. marks: by tool, filled in here and read by the transport that sends them
    as headers; None for one that has no headers.
    """

    def __init__(
        self,
        transport: Transport,
        server: ServerInfo,
        identity: Mapping[str, Any],
        spawn: Spawn,
        marks: dict[str, headers.Marks] | None = None,
    ) -> None:
        super().__init__(transport, spawn, 1_000_000)  # The era was found out with other ids.
        self.server, self._identity, self._marks = server, identity, marks
        transport.strays = self._stray

    # -- requests ------------------------------------------------------------------------------------------------

    async def request(self, method: str, params: Params, asker: Asker, *, timeout: float) -> dict[str, Any]:
        """As `Link`. What the server wants to know first is asked of who does not keep states itself."""
        self._check_room()
        pauses = itertools.chain(ROUND_PAUSES, itertools.repeat(ROUND_PAUSES[-1]))
        for _ in range(MAX_ROUNDS):
            found = await self._marked(method, params, asker, timeout)
            if found.get("resultType") != "input_required" or asker.keeps_state:
                return self._listed(found) if method == "tools/list" else found
            wanted = found.get("inputRequests")
            params = {key: value for key, value in params.items() if key not in ("inputResponses", "requestState")}
            if "requestState" in found:
                params["requestState"] = found["requestState"]
            if wanted:
                params["inputResponses"] = dict(await asker.ask(_needs(wanted)))
            else:
                await asyncio.sleep(next(pauses))
        raise refusal("too_many_rounds", "The server asks again and again")

    async def _marked(self, method: str, params: Params, asker: Asker, timeout: float) -> dict[str, Any]:
        try:
            return await self._exchange(method, params, asker, timeout)
        except RpcError as error:
            if error.code != HEADER_MISMATCH or method != "tools/call" or self._marks is None:
                raise
        # The tool's schema says which of its arguments stand in headers too, and it was not seen, or has changed.
        cursor: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            page = self._listed(await self._exchange("tools/list", cursor, asker, timeout))
            if not isinstance(following := page.get("nextCursor"), str) or following == cursor.get("cursor"):
                break
            cursor = {"cursor": following}
        return await self._exchange(method, params, asker, timeout)

    def _message(self, id: int, method: str, params: Params, asker: Asker) -> dict[str, Any]:
        own = {
            eras.PROTOCOL_VERSION: self.server.version,
            eras.CLIENT_CAPABILITIES: dict(asker.capabilities),
            eras.CLIENT_INFO: dict(asker.client_info) or self._identity,
        }
        if asker.log_level is not None:
            own[eras.LOG_LEVEL] = asker.log_level
        meta = params.get("_meta")
        return jsonrpc.request(id, method, {**params, "_meta": {**meta, **own} if isinstance(meta, dict) else own})

    async def tell(self, method: str, params: Params) -> None:
        """As `Link`: nothing that clients announce is left in this era."""

    def _listed(self, page: dict[str, Any]) -> dict[str, Any]:
        """A page of tools, without those that clients of this era must leave out."""
        tools = page.get("tools")
        if self._marks is None or not isinstance(tools, list):
            return page
        kept = []
        for tool in tools:
            name = tool.get("name") if isinstance(tool, dict) else None
            if not isinstance(name, str):
                continue
            try:
                found = headers.marks(tool.get("inputSchema"))
            except headers.BadMarks as error:
                _log.warning("a tool is left out", tool=name[:128], reason=str(error)[:256])
                continue
            kept.append(tool)
            if found and len(self._marks) < MAX_MARKED:
                self._marks[name] = found
            else:
                self._marks.pop(name, None)
        return page if len(kept) == len(tools) else {**page, "tools": kept}

    # -- what the server sends -----------------------------------------------------------------------------------

    async def _handle(self, call: Call, message: Message) -> None:
        call.touch()
        if isinstance(message, Notification) and message.method in (
            "notifications/progress",
            "notifications/message",
        ):
            await hand_on(call, message)

    def _stray(self, message: Message) -> None:
        """On a stream for all, nothing says whose a log message is; and the end of a subscription has no mark."""
        if not isinstance(message, Notification):
            return
        if message.method == "notifications/message":
            asking = [call for call in self._calls.values() if call.asker.log_level is not None]
            if len(asking) == 1:
                asking[0].put(message)
        elif message.method == "notifications/cancelled":
            ended = message.params.get("requestId")
            if isinstance(ended, int) and (call := self._calls.get(ended)) is not None:
                call.put(message)

    # -- listening -----------------------------------------------------------------------------------------------

    async def listen(self, wanted: Mapping[str, Any], listener: Listener) -> Callable[[], None]:
        """As `Link`. RpcError when the server has no subscriptions; TimeoutError when it does not begin them."""
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = self._tasks(self._listen(dict(wanted), listener, begun), "listen")
        try:
            async with asyncio.timeout(ACKNOWLEDGE_SECONDS):
                await begun
        except BaseException:
            task.cancel()
            raise

        def end() -> None:
            task.cancel()

        return end

    async def _listen(self, wanted: Params, listener: Listener, begun: asyncio.Future[None]) -> None:
        """Open the stream, and again when it breaks; what changed in between is taken to have changed."""
        pause, longest = LISTEN_PAUSES
        again = False
        while not self._transport.closed.is_set():
            try:
                await self._subscription(wanted, listener, begun, again)
                pause = LISTEN_PAUSES[0]
            except (RpcError, LinkClosed) as error:
                if not begun.done():
                    begun.set_exception(error)
                    return
            again = True
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 a jitter is no secret
            pause = min(pause * 2, longest)

    async def _subscription(self, wanted: Params, listener: Listener, begun: asyncio.Future[None], again: bool) -> None:
        id = next(self._ids)
        call = self._calls[id] = Call(id, Nobody(), None, 0)

        async def handle(message: Message) -> None:
            if not isinstance(message, Notification):
                return
            if message.method == _ACKNOWLEDGED:
                if not begun.done():
                    begun.set_result(None)
                if again:
                    _missed(wanted, listener)
            elif message.method == "notifications/cancelled":
                raise LinkClosed("the server has ended the subscription")
            else:
                listener(message.method, _unmarked(message.params))

        try:
            message = self._message(id, "subscriptions/listen", {"notifications": wanted}, call.asker)
            found = await self._transport.exchange(call, message, handle)
        except asyncio.CancelledError:
            self._cancel(id)
            raise
        finally:
            del self._calls[id]
        if found.error is not None:
            raise found.error
        if not begun.done():
            raise LinkClosed("the server does not begin the subscription")


def discovered(found: Mapping[str, Any], version: str) -> ServerInfo:
    """What `server/discover` answered."""
    meta = found.get("_meta")
    info = meta.get(eras.SERVER_INFO) if isinstance(meta, dict) else None
    capabilities = found.get("capabilities")
    known = ("capabilities", "instructions", "_meta", "resultType")
    return ServerInfo(
        era=Era.MODERN,
        version=version,
        info=info if isinstance(info, dict) else {},
        capabilities=capabilities if isinstance(capabilities, dict) else {},
        instructions=found["instructions"] if isinstance(found.get("instructions"), str) else None,
        extra={key: value for key, value in found.items() if key not in known},
    )


def _needs(wanted: Any) -> dict[str, Need]:
    if not isinstance(wanted, dict) or len(wanted) > 64:
        raise refusal("bad_answer", "The server asks what cannot be read")
    needs = {}
    for key, one in wanted.items():
        if not isinstance(one, dict) or not isinstance(one.get("method"), str):
            raise refusal("bad_answer", "The server asks what cannot be read")
        params = one.get("params")
        needs[key] = Need(one["method"], params if isinstance(params, dict) else {})
    return needs


def _unmarked(params: Params) -> Params:
    """Without the subscription's id, which is the link's own affair."""
    meta = params.get("_meta")
    if not isinstance(meta, dict):
        return params
    rest = {key: value for key, value in meta.items() if key != eras.SUBSCRIPTION_ID}
    return {key: value for key, value in params.items() if key != "_meta"} | ({"_meta": rest} if rest else {})


def _missed(wanted: Params, listener: Listener) -> None:
    for method, key in LIST_CHANGED.items():
        if wanted.get(key):
            listener(method, {})
    for uri in wanted.get("resourceSubscriptions") or ():
        listener(UPDATED, {"uri": uri})
