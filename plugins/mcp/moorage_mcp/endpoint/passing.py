"""The lane of what goes through as it is: bytes untouched and streamed both ways between client and one upstream.

What differs are credentials, the session's id and HTTP's own headers. The answer is looked at in passing, for the list
of calls alone.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from moorage.api import Exchange, UpstreamError

from moorage_mcp.calls import Outcome
from moorage_mcp.endpoint.parked import PREFIX
from moorage_mcp.endpoint.reading import Refused, refuse
from moorage_mcp.endpoint.sessions import Session, Sessions, session_headers
from moorage_mcp.endpoint.troubles import in_words
from moorage_mcp.gateway.admission import Admitted
from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.gateway.service import Gateway
from moorage_mcp.links.base import LinkClosed
from moorage_mcp.links.http import HttpAnswer
from moorage_mcp.links.pool import Pool
from moorage_mcp.records import UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire import headers as names
from moorage_mcp.wire import jsonrpc, sse
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import Id, Request, RpcError

WHOLE = 256 * 1024
"""Bytes of an answer that is handed on in one piece."""
LOOKED_AT = 64 * 1024
"""Bytes of an answer that are read for its outcome."""
_HANDED_ON = ("accept", names.VERSION, names.LAST_EVENT_ID)
_MODERN = (names.METHOD, names.NAME)
"""Of the newer era: looked at before, whether they say what the body does."""
_TRACES = ("traceparent", "tracestate")
_SAYS = re.compile(rb'"(isError|error|resultType)"\s*:')
_OURS = (401, 403, 407)
"""What an upstream says of the credentials that we show it; a client would take it for its own."""


class Lane:
    """Hands requests through, where the gateway says that nothing is lost by it."""

    def __init__(self, gateway: Gateway, pool: Pool, sessions: Sessions) -> None:
        self._gateway, self._pool, self._sessions = gateway, pool, sessions

    # -- the newer era -------------------------------------------------------------------------------------------

    async def request(
        self, exchange: Exchange, workspace: WorkspaceInfo, who: Caller, message: Request, body: bytes
    ) -> bool:
        """Hand a request through; False: it is none that may be."""
        upstream = self._gateway.passage(workspace, who, Era.MODERN, message.method)
        if upstream is None or _is_ours(message):
            return False
        await self._called(exchange, workspace, who, message, body, upstream, Era.MODERN, {})
        return True

    # -- the older era -------------------------------------------------------------------------------------------

    async def begin_session(
        self,
        exchange: Exchange,
        workspace: WorkspaceInfo,
        session: Session,
        who: Caller,
        message: Request,
        body: bytes,
    ) -> bool:
        """Let an upstream begin the session, if it may have all of it; False: the gateway is to."""
        upstream = self._gateway.passage(workspace, who, Era.LEGACY, message.method)
        if upstream is None:
            return False
        answer = await self._asked(upstream, "POST", _headers(exchange, Era.LEGACY), body, message.id)
        try:
            own = answer.headers.get(names.SESSION_ID)
            if answer.status == 200 and own is None:
                return False  # It keeps no sessions: the gateway is the better half of one.
            session.via = (upstream, own or "")
            await _handed(exchange, answer, None, session_headers(exchange, session.id))
            if answer.status != 200:
                self._sessions.end(session)
            return True
        finally:
            answer.close()

    async def session_request(
        self, exchange: Exchange, workspace: WorkspaceInfo, session: Session, who: Caller, message: Request, body: bytes
    ) -> bool:
        """Hand a request of such a session through; False: the gateway is to answer this one."""
        upstream = self._still(workspace, session, who)
        if self._gateway.passage(workspace, who, Era.LEGACY, message.method) is None:
            return False
        session.streams += 1
        try:
            await self._called(exchange, workspace, who, message, body, upstream, Era.LEGACY, _own(session), session)
        finally:
            session.streams -= 1
        return True

    async def session_message(
        self, exchange: Exchange, workspace: WorkspaceInfo, session: Session, who: Caller, body: bytes
    ) -> None:
        """Hand a notification or an answer through."""
        upstream = self._still(workspace, session, who)
        answer = await self._asked(upstream, "POST", _headers(exchange, Era.LEGACY) | _own(session), body, None)
        try:
            self._look_gone(session, answer)
            await _handed(exchange, answer, None)
        finally:
            answer.close()

    async def session_stream(self, exchange: Exchange, workspace: WorkspaceInfo, session: Session, who: Caller) -> None:
        """Hand a stream through that the client asks for."""
        upstream = self._still(workspace, session, who)
        answer = await self._asked(upstream, "GET", _headers(exchange, Era.LEGACY) | _own(session), b"", None)
        session.streams += 1
        try:
            self._look_gone(session, answer)
            await _handed(exchange, answer, None)
        finally:
            session.streams -= 1
            answer.close()

    async def end(self, session: Session) -> None:
        """Tell the upstream that its session is over, for a moment; whatever it says."""
        if session.via is None:
            return
        upstream, _ = session.via
        try:
            async with asyncio.timeout(5):
                answer = await self._pool.http(upstream).send("DELETE", _own(session), b"")
                answer.close()
        except (LinkClosed, TimeoutError):
            return

    # -- how -----------------------------------------------------------------------------------------------------

    def _still(self, workspace: WorkspaceInfo, session: Session, who: Caller) -> UpstreamInfo:
        """The upstream of a session, if it is still the workspace's only one. Refused: the client must begin anew."""
        now = self._gateway.passage(workspace, who, Era.LEGACY, "ping")
        assert session.via is not None, "asked of those alone"
        if now is None or (now.pid, now.version) != (session.via[0].pid, session.via[0].version):
            self._sessions.end(session)
            raise refuse(404, "The workspace's servers have changed; begin a new session with `initialize`")
        return now

    def _look_gone(self, session: Session, answer: HttpAnswer) -> None:
        if answer.status == 404:
            self._sessions.end(session)

    async def _called(
        self,
        exchange: Exchange,
        workspace: WorkspaceInfo,
        who: Caller,
        message: Request,
        body: bytes,
        upstream: UpstreamInfo,
        era: Era,
        more: dict[str, str],
        session: Session | None = None,
    ) -> None:
        try:
            admitted = self._gateway.admit(workspace, who, message.method, message.params)
        except RpcError as problem:
            status = names.STATUS.get(problem.code, 200) if era is Era.MODERN else 200
            raise Refused(status, problem, message.id) from None
        admitted.upstream = upstream.name
        try:
            answer = await self._asked(upstream, "POST", _headers(exchange, era) | more, body, message.id)
        except Refused as refusal:
            admitted.failed(refusal.problem)
            raise
        except asyncio.CancelledError:
            admitted.finish(Outcome.CANCELLED)
            raise
        glance = Glance(answer.streamed)
        try:
            if session is not None:
                self._look_gone(session, answer)
            await _handed(exchange, answer, glance)
            glance.tell(admitted)
        except (LinkClosed, RpcError) as error:
            admitted.failed(in_words(error))
            raise UpstreamError("The server broke off its answer") from error
        except asyncio.CancelledError:
            admitted.finish(Outcome.CANCELLED)
            raise
        except Exception as error:  # Too many streams of the user's: the server has done it all the same.
            admitted.failed(in_words(error))
            raise
        finally:
            answer.close()

    async def _asked(
        self, upstream: UpstreamInfo, method: str, headers: dict[str, str], body: bytes, id: Id | None
    ) -> HttpAnswer:
        """The head of the answer. Refused when there is none that a client should see."""
        try:
            answer = await self._pool.http(upstream).send(method, headers, body)
        except LinkClosed as error:
            raise Refused(200 if id is not None else 502, in_words(error), id) from error
        if answer.status in _OURS:
            answer.close()
            problem = refused(
                jsonrpc.INTERNAL_ERROR, "unavailable", f"The server refuses the gateway (status {answer.status})"
            )
            raise Refused(200 if id is not None else 502, problem, id)
        return answer


class Glance:
    """Looks at an answer that goes by, up to a bound, to tell how the call went."""

    def __init__(self, streamed: bool) -> None:
        self._decoder = sse.Decoder(LOOKED_AT, strict=False) if streamed else None
        self._body = b""
        self._whole = True
        self._found: Any = None

    def see(self, chunk: bytes) -> None:
        """The next bytes."""
        if self._decoder is not None:
            for event in self._decoder.feed(chunk):
                if b'"result"' in event.data or b'"error"' in event.data:
                    self._body = event.data
        elif len(self._body) + len(chunk) <= LOOKED_AT:
            self._body += chunk
        else:
            self._whole = False

    def tell(self, admitted: Admitted) -> None:
        """Write down how it went; what is too large to be read, or says nothing of an error, went well."""
        if not self._whole or not _SAYS.search(self._body):
            admitted.finish(Outcome.OK)
            return
        try:
            found = json.loads(self._body)
        except (ValueError, RecursionError):
            admitted.finish(Outcome.ERROR, "The server's answer is no JSON")
            return
        error = found.get("error") if isinstance(found, dict) else None
        result = found.get("result") if isinstance(found, dict) else None
        if isinstance(error, dict):
            admitted.finish(Outcome.ERROR, str(error.get("message", "")))
        elif isinstance(result, dict):
            admitted.answered(result)
        else:
            admitted.finish(Outcome.OK)


async def _handed(
    exchange: Exchange, answer: HttpAnswer, glance: Glance | None, more: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """The answer as it comes. What fits into one piece is one."""
    head = [*more]
    if (kind := answer.headers.get("content-type")) is not None:
        head.append((b"content-type", kind.encode("latin-1")))
    chunks = answer.chunks()
    if not answer.streamed and answer.length is not None and answer.length <= WHOLE:
        body = b"".join([chunk async for chunk in chunks])
        if glance is not None:
            glance.see(body)
        await exchange.answer(answer.status, head, body)
        return
    if answer.streamed:
        head.append((b"x-accel-buffering", b"no"))
    await exchange.begin(answer.status, head)
    async for chunk in chunks:
        if glance is not None:
            glance.see(chunk)
        await exchange.write(chunk)


def _headers(exchange: Exchange, era: Era) -> dict[str, str]:
    """What a client says that is MCP's: no credentials, nothing of its network.

    The type is ours: with a `charset` of the client's (UTF-7) the server might read another message than we did.
    """
    given = exchange.headers
    shown = {name: given[name] for name in (*_HANDED_ON, *_TRACES) if name in given}
    if exchange.method == "POST":
        shown["content-type"] = names.JSON_TYPE
    if era is Era.MODERN:
        shown |= {name: value for name, value in given.items() if name in _MODERN or name.startswith(names.PARAM)}
    return shown


def _own(session: Session) -> dict[str, str]:
    assert session.via is not None, "asked of those alone"
    return {names.SESSION_ID: session.via[1]}


def _is_ours(message: Request) -> bool:
    """Whether it takes up a call that waits here."""
    state = message.params.get("requestState")
    return isinstance(state, str) and state.startswith(PREFIX)
