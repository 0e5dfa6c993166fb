"""The newer era: every request stands alone. Source: MCP 2026-07-28, Streamable HTTP and Multi Round-Trip Requests."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any

from moorage.api import Exchange, MoorageError

from moorage_mcp.endpoint.parked import Call, Parking
from moorage_mcp.endpoint.passing import Lane
from moorage_mcp.endpoint.reading import STREAM, Refused, modern_caller, refuse
from moorage_mcp.endpoint.reply import KEEP_ALIVE, Pulse, Reply
from moorage_mcp.endpoint.troubles import in_words
from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.gateway.reach import seat
from moorage_mcp.gateway.service import Gateway
from moorage_mcp.links.base import Need, ServerInfo
from moorage_mcp.records import WorkspaceInfo
from moorage_mcp.wire import headers as names
from moorage_mcp.wire import jsonrpc, sse
from moorage_mcp.wire.eras import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
    MODERN_VERSIONS,
    SERVER_INFO,
    SUBSCRIPTION_ID,
    Era,
)
from moorage_mcp.wire.jsonrpc import Message, Notification, Params, Request, RpcError
from moorage_mcp.wire.methods import ASKED, LIST_CHANGED

GONE = frozenset({"initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
"""Methods of the older era alone."""
MAX_WAITING = 1000
"""Notifications that wait for a client that listens; one that reads too slowly is ended."""
MAX_URIS = 1000
MAX_MARKED = 1024


class Single:
    """One request of a client that can be asked nothing: an `Asker`."""

    keeps_state = True

    def __init__(self, meta: Mapping[str, Any], reply: Reply | None) -> None:
        self._reply = reply
        info, level = meta.get(CLIENT_INFO), meta.get(LOG_LEVEL)
        self.capabilities: Mapping[str, Any] = meta[CLIENT_CAPABILITIES]
        self.client_info: Mapping[str, Any] = info if isinstance(info, dict) else {}
        self.log_level = level if isinstance(level, str) else None

    async def notify(self, method: str, params: Params) -> None:
        """Send it before the answer."""
        if self._reply is None:
            return
        try:
            await self._reply.say(jsonrpc.notification(method, params))
        except MoorageError:
            return  # No more streams for this user: what the request comes to is still told.

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        """It cannot be asked."""
        raise lacking(needs)


def lacking(needs: Mapping[str, Need]) -> RpcError:
    """The client would have to be able to do more."""
    wanted = {need.method.partition("/")[0]: dict[str, Any]() for need in needs.values()}
    data = {"gateway": True, "reason": "not_supported", "requiredCapabilities": wanted}
    named = ", ".join(sorted(wanted))
    return RpcError(jsonrpc.MISSING_CAPABILITY, f"This needs a client that can do: {named}", data, gateway=True)


class Modern:
    """Serves clients of the newer era."""

    def __init__(self, gateway: Gateway, parking: Parking, pulse: Pulse, lane: Lane) -> None:
        self._gateway, self._parking, self._pulse, self._lane = gateway, parking, pulse, lane
        self._marks: OrderedDict[int, tuple[Any, names.Marks]] = OrderedDict()
        self._listening: set[_Listening] = set()

    async def post(self, exchange: Exchange, workspace: WorkspaceInfo, message: Message, body: bytes) -> None:
        """A request of a client."""
        if isinstance(message, Notification):
            # There is none that says anything: a request is cancelled by closing its stream.
            await exchange.answer(202)
            return
        if not isinstance(message, Request):
            raise refuse(400, "Invalid request: clients post requests; answers come back with one (inputResponses)")
        who = modern_caller(exchange, message)
        try:
            names.check(_pairs(exchange), message.method, message.params)
            if message.method in GONE:
                raise refused(jsonrpc.METHOD_NOT_FOUND, "not_supported", f"Method not found: {message.method}")
        except RpcError as problem:
            raise Refused(names.STATUS.get(problem.code, 400), problem, message.id) from None
        if message.method == "subscriptions/listen":
            await self._listen(exchange, workspace, who, message)
        elif not await self._lane.request(exchange, workspace, who, message, body):
            await self._request(exchange, workspace, who, message)

    def drain(self) -> None:
        """The server stops: who listens is told that it has ended."""
        for listening in list(self._listening):
            listening.end()

    # -- requests ------------------------------------------------------------------------------------------------

    async def _request(self, exchange: Exchange, workspace: WorkspaceInfo, who: Caller, message: Request) -> None:
        reply = Reply(exchange, self._pulse)
        status = 200
        try:
            answer = jsonrpc.result(message.id, await self._result(workspace, who, message, reply, exchange))
        except asyncio.CancelledError:
            reply.drop()
            raise
        except Exception as error:
            problem = in_words(error)
            status = names.STATUS.get(problem.code, 200)
            answer = jsonrpc.error(message.id, problem)
        await reply.finish(answer, status)

    async def _result(
        self, workspace: WorkspaceInfo, who: Caller, message: Request, reply: Reply, exchange: Exchange
    ) -> dict[str, Any]:
        meta, method, params = message.params["_meta"], message.method, message.params
        asker = Single(meta, reply)
        if method == "server/discover":
            return discovered(await self._gateway.describe(workspace, who, Era.MODERN, asker))
        if method == "tools/call":
            await self._check_marks(exchange, workspace, who, params, asker)
        parked = self._parking.find(workspace, who, method, params)
        if parked is None and not any(name in asker.capabilities for name in ASKED):
            return await self._gateway.request(workspace, who, Era.MODERN, method, params, asker)
        if parked is None:
            call = Call(asker)
            parked = self._parking.start(
                workspace,
                who,
                call,
                method,
                params,
                self._gateway.request(workspace, who, Era.MODERN, method, params, call),
            )
        return await self._parking.turn(parked, asker, params)

    async def _check_marks(
        self, exchange: Exchange, workspace: WorkspaceInfo, who: Caller, params: Params, asker: Single
    ) -> None:
        """Whether the headers that repeat arguments say the same. Unknown tools are the gateway's to refuse."""
        if not params.get("arguments") and not any(name.startswith(names.PARAM) for name in exchange.headers):
            return
        try:
            listed = await self._gateway.catalog.listed(seat(workspace, who, asker), "tools/list", fresh=False)
        except RpcError:
            return
        entry = listed.entries.get(params.get("name", ""))
        if entry is not None and (found := self._marks_of(entry.item.get("inputSchema"))):
            names.check(_pairs(exchange), "tools/call", params, found)

    def _marks_of(self, schema: Any) -> names.Marks:
        kept = self._marks.get(id(schema))
        if kept is not None and kept[0] is schema:
            return kept[1]
        try:
            found = names.marks(schema)
        except names.BadMarks:
            found = {}
        self._marks[id(schema)] = (schema, found)
        if len(self._marks) > MAX_MARKED:
            self._marks.popitem(last=False)
        return found

    # -- listening -----------------------------------------------------------------------------------------------

    async def _listen(self, exchange: Exchange, workspace: WorkspaceInfo, who: Caller, message: Request) -> None:
        listening = _Listening(message)
        asker = Single(message.params["_meta"], None)
        try:
            wanted = _wanted(message.params)
            stop = await self._gateway.listen(workspace, who, Era.MODERN, wanted, listening.hear, asker)
        except (RpcError, MoorageError, TimeoutError) as error:
            problem = in_words(error)
            raise Refused(names.STATUS.get(problem.code, 200), problem, message.id) from error
        self._listening.add(listening)
        try:
            await exchange.begin(200, STREAM)
            await exchange.write(listening.event("notifications/subscriptions/acknowledged", {"notifications": wanted}))
            await listening.run(exchange)
        finally:
            self._listening.discard(listening)
            stop()


class _Listening:
    """One open `subscriptions/listen`."""

    def __init__(self, message: Request) -> None:
        self._id = message.id
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._ended = self._overflown = False

    def hear(self, method: str, params: Params) -> None:
        """Send it on, if the client keeps up."""
        if len(self._waiting) >= MAX_WAITING:
            self._overflown = True
        else:
            self._waiting.append(self.event(method, params))
        self._news.set()

    def end(self) -> None:
        """Say that it is over."""
        self._ended = True
        self._news.set()

    def event(self, method: str, params: Params) -> bytes:
        """A notification of this subscription."""
        meta = params.get("_meta")
        marked = {**(meta if isinstance(meta, dict) else {}), SUBSCRIPTION_ID: self._id}
        return sse.encode(jsonrpc.encode(jsonrpc.notification(method, {**params, "_meta": marked})), kind="message")

    async def run(self, exchange: Exchange) -> None:
        """Until the client leaves, which cancels this, or the server stops."""
        while not self._overflown:
            while self._waiting:
                await exchange.write(self._waiting.popleft())
            if self._ended:
                result = {"resultType": "complete", "_meta": {SUBSCRIPTION_ID: self._id}}
                await exchange.write(sse.encode(jsonrpc.encode(jsonrpc.result(self._id, result)), kind="message"))
                return
            self._news.clear()
            try:
                async with asyncio.timeout(KEEP_ALIVE):
                    await self._news.wait()
            except TimeoutError:
                await exchange.write(sse.KEEP_ALIVE)


def discovered(info: ServerInfo) -> dict[str, Any]:
    """The result of `server/discover`."""
    shown: dict[str, Any] = {
        "ttlMs": 0,
        "cacheScope": "private",
        **info.extra,
        "resultType": "complete",
        "supportedVersions": list(MODERN_VERSIONS),
        "capabilities": dict(info.capabilities),
    }
    if info.instructions is not None:
        shown["instructions"] = info.instructions
    meta = shown.get("_meta")
    shown["_meta"] = {**(meta if isinstance(meta, dict) else {}), SERVER_INFO: dict(info.info)}
    return shown


def _wanted(params: Params) -> dict[str, Any]:
    """What a client wants to hear, as far as there is such a thing. RpcError."""
    asked = params.get("notifications")
    if not isinstance(asked, dict):
        raise refused(jsonrpc.INVALID_PARAMS, "bad_params", "Invalid params: `notifications` is an object")
    wanted: dict[str, Any] = {flag: True for flag in LIST_CHANGED.values() if asked.get(flag) is True}
    if uris := asked.get("resourceSubscriptions"):
        if not isinstance(uris, list) or len(uris) > MAX_URIS or not all(isinstance(uri, str) for uri in uris):
            raise refused(
                jsonrpc.INVALID_PARAMS,
                "bad_params",
                f"Invalid params: `resourceSubscriptions` are {MAX_URIS} URIs at most",
            )
        wanted["resourceSubscriptions"] = list(dict.fromkeys(uris))
    return wanted


def _pairs(exchange: Exchange) -> list[tuple[str, str]]:
    """The headers of MCP, each as often as it came."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in exchange.raw_headers
        if name.startswith(b"mcp-")
    ]
