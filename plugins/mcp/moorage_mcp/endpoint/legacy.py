"""The older era: sessions that begin with `initialize`. Source: MCP 2025-11-25, Transports and Lifecycle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import structlog
from moorage.api import Exchange, MoorageError, TooManyRequests

from moorage_mcp.config import McpConfig
from moorage_mcp.endpoint.outlet import MAX_FOLLOWED, Outlet
from moorage_mcp.endpoint.passing import Lane
from moorage_mcp.endpoint.reading import STREAM, caller, check_stream, client_name, refuse
from moorage_mcp.endpoint.reply import KEEP_ALIVE, Pulse, Reply
from moorage_mcp.endpoint.sessions import Session, Sessions, session_headers
from moorage_mcp.endpoint.troubles import in_words
from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.gateway.service import Gateway
from moorage_mcp.links.base import Need, ServerInfo
from moorage_mcp.links.exchange import grave_enough
from moorage_mcp.records import WorkspaceInfo
from moorage_mcp.wire import headers as names
from moorage_mcp.wire import jsonrpc, sse
from moorage_mcp.wire.eras import ASSUMED_VERSION, LATEST_LEGACY, LEGACY_VERSIONS, Era
from moorage_mcp.wire.jsonrpc import Message, Notification, Params, Request, Response, RpcError
from moorage_mcp.wire.methods import LIST_CHANGED, QUESTIONS

MAX_CALLS = 128
"""Requests of one session that are under way at once."""
MAX_SUBSCRIPTIONS = 1000
MAX_OF_USER = 5000
"""Subscriptions of one user's sessions together."""
MAX_HELLO = 64 * 1024
"""Bytes of `initialize`: what a client says of itself is kept as long as its session."""
_LISTS = dict.fromkeys(LIST_CHANGED.values(), True)
_log = structlog.get_logger("moorage.mcp")


class Call:
    """One request of a session while it is under way: an `Asker`."""

    keeps_state = False

    def __init__(self, session: Session, reply: Reply, ask_timeout: float) -> None:
        self.session, self.reply, self._ask_timeout = session, reply, ask_timeout
        self.capabilities, self.client_info = session.capabilities, session.client_info
        self.log_level = session.log_level

    async def notify(self, method: str, params: Params) -> None:
        """Send it on the request's stream."""
        if method == "notifications/message" and not grave_enough(params.get("level"), self.session.log_level):
            return
        try:
            await self.reply.say(jsonrpc.notification(method, params))
        except MoorageError:
            return  # No more streams for this user: what the request comes to is still told.

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        """Ask the client on the request's stream, and wait for what it posts."""
        for need in needs.values():
            if QUESTIONS.get(need.method, "") not in self.capabilities:
                raise refused(jsonrpc.METHOD_NOT_FOUND, "not_supported", f"The client does not support {need.method}")
        waiting: dict[str, tuple[str, asyncio.Future[Response]]] = {}
        try:
            for key, need in needs.items():
                waiting[key] = self.session.question()
                await self.reply.say(jsonrpc.request(waiting[key][0], need.method, need.params))
            async with asyncio.timeout(self._ask_timeout):
                return {key: _result(await answer) for key, (_, answer) in waiting.items()}
        except MoorageError as error:
            raise in_words(error) from error
        finally:
            for id, answer in waiting.values():
                if not answer.done() and not self.session.ended:
                    await self.notify("notifications/cancelled", {"requestId": id, "reason": "Not needed any more"})
                self.session.asked.pop(id, None)


class Background:
    """A session's client outside of its requests: an `Asker` that is asked nothing."""

    keeps_state = False

    def __init__(self, session: Session) -> None:
        self.capabilities, self.client_info = session.capabilities, session.client_info
        self.log_level = session.log_level

    async def notify(self, method: str, params: Params) -> None:
        """Nothing belongs to what was not asked."""

    async def ask(self, needs: Mapping[str, Need]) -> Mapping[str, Params]:
        """Nobody answers."""
        raise refused(jsonrpc.METHOD_NOT_FOUND, "not_supported", "Nobody can be asked outside of a request")


class Legacy:
    """Serves clients of the older era."""

    def __init__(self, gateway: Gateway, config: McpConfig, sessions: Sessions, pulse: Pulse, lane: Lane) -> None:
        self._gateway, self._config, self.sessions, self._pulse, self._lane = gateway, config, sessions, pulse, lane

    async def post(self, exchange: Exchange, workspace: WorkspaceInfo, message: Message, body: bytes) -> None:
        """A message of a client."""
        if isinstance(message, Request) and message.method == "initialize":
            await self._initialize(exchange, workspace, message, body)
            return
        session = self._session(exchange, workspace)
        who = caller(exchange, session.client, session.id)
        if isinstance(message, Response):
            await self._answered(exchange, workspace, session, who, message, body)
        elif isinstance(message, Notification):
            await self._told(exchange, workspace, session, who, message, body)
        elif session.via is None or not await self._lane.session_request(
            exchange, workspace, session, who, message, body
        ):
            await self._request(exchange, workspace, session, who, message)

    async def get(self, exchange: Exchange, workspace: WorkspaceInfo) -> None:
        """A stream for what belongs to no request, or the rest of one that was cut off."""
        session = self._session(exchange, workspace)
        check_stream(exchange.headers)
        if session.via is not None:
            who = caller(exchange, session.client, session.id)
            await self._lane.session_stream(exchange, workspace, session, who)
            return
        outlet, number = self._outlet(session, exchange.headers.get(names.LAST_EVENT_ID))
        outlet.readers += 1
        session.streams += 1
        try:
            await exchange.begin(200, STREAM)
            if "" not in session.stops:
                await self._listen(workspace, session, caller(exchange, session.client, session.id))
            await exchange.write(outlet.prime() if outlet.primed else sse.KEEP_ALIVE)
            await _follow(exchange, outlet, number)
        finally:
            outlet.readers -= 1
            session.streams -= 1

    async def delete(self, exchange: Exchange, workspace: WorkspaceInfo) -> None:
        """The client ends its session."""
        session = self._session(exchange, workspace)
        self.sessions.end(session)
        await exchange.answer(200)

    # -- one by one ----------------------------------------------------------------------------------------------

    def _session(self, exchange: Exchange, workspace: WorkspaceInfo) -> Session:
        said = exchange.headers.get(names.VERSION, ASSUMED_VERSION)
        if said not in LEGACY_VERSIONS:
            raise refuse(400, f"Unsupported protocol version; this session is of {', '.join(LEGACY_VERSIONS)}")
        who = caller(exchange, "")
        id = exchange.headers.get(names.SESSION_ID)
        return self.sessions.find(id, workspace, who.user_id, who.api_key_id)

    async def _initialize(self, exchange: Exchange, workspace: WorkspaceInfo, message: Request, body: bytes) -> None:
        if len(body) > MAX_HELLO:
            raise refuse(413, f"`initialize` may have {MAX_HELLO} bytes", id=message.id)
        wanted = message.params.get("protocolVersion")
        if not isinstance(wanted, str):
            raise refuse(400, "Invalid params: `protocolVersion` is text", code=jsonrpc.INVALID_PARAMS, id=message.id)
        version = wanted if wanted in LEGACY_VERSIONS else LATEST_LEGACY
        who = caller(exchange, client_name(message.params.get("clientInfo")))
        session = Session(workspace, who, version, message.params)
        self.sessions.add(session)
        try:
            passed = await self._lane.begin_session(exchange, workspace, session, who, message, body)
            if not passed:
                await self._welcome(exchange, workspace, session, who, message)
        except BaseException:
            self.sessions.end(session)
            raise

    async def _welcome(
        self, exchange: Exchange, workspace: WorkspaceInfo, session: Session, who: Caller, message: Request
    ) -> None:
        reply = Reply(exchange, self._pulse, headers=session_headers(exchange, session.id))
        try:
            info = await self._gateway.describe(workspace, who, Era.LEGACY, Background(session))
        except Exception as error:
            self.sessions.end(session)
            await reply.finish(jsonrpc.error(message.id, in_words(error)))
            return
        except BaseException:
            reply.drop()
            raise
        await reply.finish(jsonrpc.result(message.id, welcome(info, session.version)))

    async def _request(
        self, exchange: Exchange, workspace: WorkspaceInfo, session: Session, who: Caller, message: Request
    ) -> None:
        if message.id in session.calls:
            raise refuse(400, "A request of this id is under way already", id=message.id)
        if len(session.calls) >= MAX_CALLS:
            raise TooManyRequests(f"No more than {MAX_CALLS} requests of a session may be under way", retry_after=1)
        exchange.outlives = True
        reply = Reply(exchange, self._pulse, outlet=session.outlets.new)
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        session.calls[message.id] = task
        try:
            answer = jsonrpc.result(message.id, await self._result(workspace, session, who, message, reply))
        except asyncio.CancelledError:
            # Taken out of `calls`: the client has cancelled it. Anything else is the gate's to say.
            if (message.id in session.calls and not session.ended) or task is None or task.uncancel() > before:
                reply.drop()
                raise
            await reply.silence()
            return
        except Exception as error:
            answer = jsonrpc.error(message.id, in_words(error))
        finally:
            session.calls.pop(message.id, None)
        await reply.finish(answer)

    async def _result(
        self, workspace: WorkspaceInfo, session: Session, who: Caller, message: Request, reply: Reply
    ) -> dict[str, Any]:
        method, params = message.method, message.params
        if method in ("resources/subscribe", "resources/unsubscribe"):
            await self._subscribe(workspace, session, who, method, params)
            return {}
        asker = Call(session, reply, self._config.ask_timeout)
        result = await self._gateway.request(workspace, who, Era.LEGACY, method, params, asker)
        if method == "logging/setLevel":
            session.log_level = params["level"]
        return result

    async def _subscribe(
        self, workspace: WorkspaceInfo, session: Session, who: Caller, method: str, params: Params
    ) -> None:
        uri = params.get("uri")
        if not isinstance(uri, str) or not 0 < len(uri) <= 8192:
            raise RpcError(jsonrpc.INVALID_PARAMS, "Invalid params: `uri` is text")
        if method == "resources/unsubscribe":
            if (stop := session.stops.pop(uri, None)) is not None:
                stop()
            return
        if uri in session.stops:
            return
        if len(session.stops) > MAX_SUBSCRIPTIONS:
            raise refused(jsonrpc.INVALID_REQUEST, "limited", f"No more than {MAX_SUBSCRIPTIONS} subscriptions")
        if sum(len(one.stops) for one in self.sessions.of_user(session.user_id)) >= MAX_OF_USER:
            raise refused(jsonrpc.INVALID_REQUEST, "limited", f"No more than {MAX_OF_USER} subscriptions of one user")
        stop = await self._hear(workspace, session, who, {"resourceSubscriptions": [uri]})
        if session.ended or uri in session.stops:
            stop()
        else:
            session.stops[uri] = stop

    async def _listen(self, workspace: WorkspaceInfo, session: Session, who: Caller) -> None:
        session.stops[""] = _nothing
        try:
            stop = await self._hear(workspace, session, who, _LISTS)
        except Exception as error:
            session.stops.pop("", None)
            _log.warning("a client does not hear of changes", reason=str(error))
            return
        if session.ended:
            stop()
        else:
            session.stops[""] = stop

    async def _hear(self, workspace: WorkspaceInfo, session: Session, who: Caller, wanted: Mapping[str, Any]) -> Any:
        def hear(method: str, params: Params) -> None:
            if method != "notifications/message" or grave_enough(params.get("level"), session.log_level):
                session.outlets.tell(jsonrpc.encode(jsonrpc.notification(method, params)))

        return await self._gateway.listen(workspace, who, Era.LEGACY, wanted, hear, Background(session))

    async def _answered(
        self,
        exchange: Exchange,
        workspace: WorkspaceInfo,
        session: Session,
        who: Caller,
        message: Response,
        body: bytes,
    ) -> None:
        waiting = None if message.id is None else session.asked.pop(message.id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
        elif session.via is not None:
            await self._lane.session_message(exchange, workspace, session, who, body)
            return
        await exchange.answer(202)

    async def _told(
        self,
        exchange: Exchange,
        workspace: WorkspaceInfo,
        session: Session,
        who: Caller,
        message: Notification,
        body: bytes,
    ) -> None:
        if session.via is not None:
            await self._lane.session_message(exchange, workspace, session, who, body)
            return
        if message.method == "notifications/cancelled":
            _cancel(session, message.params.get("requestId"))
        elif message.method == "notifications/roots/list_changed":
            with contextlib.suppress(RpcError):  # Not allowed any more: the next request says so.
                await self._gateway.tell(
                    workspace, who, Era.LEGACY, message.method, message.params, Background(session)
                )
        await exchange.answer(202)

    def _outlet(self, session: Session, last: str | None) -> tuple[Outlet, int]:
        if last is not None:
            found = session.outlets.find(last)
            if found is None:
                raise refuse(400, "What came after this Last-Event-ID is not kept any more")
            return found
        if sum(one.readers for one in session.outlets.following()) >= MAX_FOLLOWED:
            raise TooManyRequests(f"No more than {MAX_FOLLOWED} streams of one session", retry_after=5)
        outlet = session.outlets.take()
        return outlet, outlet.sent


async def _follow(exchange: Exchange, outlet: Outlet, number: int) -> None:
    """Send what comes after that number, until there is no more to come."""
    while True:
        try:
            async with asyncio.timeout(KEEP_ALIVE):
                events = await outlet.follow(number)
        except TimeoutError:
            await exchange.write(sse.KEEP_ALIVE)
            continue
        if not events:
            return
        for number, event in events:
            await exchange.write(event)
            outlet.sent = max(outlet.sent, number)


def welcome(info: ServerInfo, version: str) -> dict[str, Any]:
    """The result of `initialize`."""
    shown = {"protocolVersion": version, "capabilities": dict(info.capabilities), "serverInfo": dict(info.info)}
    if info.instructions is not None:
        shown["instructions"] = info.instructions
    return {**info.extra, **shown}


def _cancel(session: Session, id: Any) -> None:
    if not isinstance(id, str | int):
        return
    task = session.calls.pop(id, None)
    if task is not None:
        task.cancel()


def _result(answer: Response) -> Params:
    if answer.error is not None:
        raise answer.error
    return answer.result or {}


def _nothing() -> None:
    """Nothing to stop yet."""
