"""What comes in: whether it is a message of MCP at all, of which era, and how a refusal is spelled."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from moorage.api import Exchange

from moorage_mcp.gateway.caller import Caller
from moorage_mcp.wire import headers as names
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import CLIENT_INFO, LEGACY_VERSIONS, MODERN_VERSIONS, PROTOCOL_VERSION, Era
from moorage_mcp.wire.jsonrpc import Id, Message, Notification, Request, Response, RpcError

JSON = (b"content-type", names.JSON_TYPE.encode())
STREAM = ((b"content-type", names.STREAM_TYPE.encode()), (b"x-accel-buffering", b"no"))
_TAKES_JSON = ("*/*", "application/*", names.JSON_TYPE)
_TAKES_STREAM = ("*/*", "text/*", names.STREAM_TYPE)
_ENVELOPE = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
_DECIDING = ("name", "uri", "ref", "arguments", "_meta", "requestState", "inputResponses", "task")
"""Members of params by which is decided who may have it, and what of it is written down."""
_FOLDED = {name.casefold(): name for name in (*_ENVELOPE, *_DECIDING)}


class Refused(Exception):
    """An answer that ends a request before it was one: an HTTP status, and why in JSON-RPC's words."""

    def __init__(
        self, status: int, problem: RpcError, id: Id | None = None, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        self.status, self.problem, self.id, self.headers = status, problem, id, headers
        super().__init__(problem.message)

    async def answer(self, exchange: Exchange) -> None:
        """Give it."""
        body = jsonrpc.encode(jsonrpc.error(self.id, self.problem))
        await exchange.answer(self.status, (JSON, *self.headers), body)


def refuse(status: int, message: str, *, code: int = jsonrpc.INVALID_REQUEST, id: Id | None = None) -> Refused:
    """One of the gateway's own."""
    return Refused(status, RpcError(code, message, gateway=True), id)


def wrong_method(allow: bytes) -> Refused:
    """405."""
    problem = RpcError(jsonrpc.INVALID_REQUEST, "Method not allowed here", gateway=True)
    return Refused(405, problem, headers=((b"allow", allow),))


def check_kind(headers: Mapping[str, str]) -> None:
    """A POST's `Content-Type` and `Accept`. Refused."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != names.JSON_TYPE:
        raise refuse(415, f"Content-Type must be {names.JSON_TYPE}")
    if not (takes(headers, _TAKES_JSON) and takes(headers, _TAKES_STREAM)):
        raise refuse(406, f"Accept must name both {names.JSON_TYPE} and {names.STREAM_TYPE}")


def check_stream(headers: Mapping[str, str]) -> None:
    """A GET's `Accept`. Refused."""
    if not takes(headers, _TAKES_STREAM):
        raise refuse(406, f"Accept must name {names.STREAM_TYPE}")


def takes(headers: Mapping[str, str], kinds: tuple[str, ...]) -> bool:
    """Whether `Accept` names one of these; without one anything will do."""
    accept = headers.get("accept")
    if accept is None or accept == names.ACCEPT:
        return True
    return any(part.partition(";")[0].strip().lower() in kinds for part in accept.split(","))


def read(body: bytes) -> Message:
    """The message of a POST. Refused.

    One that could be read in two ways is none: its bytes may go to a server as they are, and what is allowed must be
    what that one reads. Of a member that is there twice parsers take the first or the last, and some do not look at
    case (Go's).
    """
    try:
        found = json.loads(body, object_pairs_hook=_object)
    except _Twice as twice:
        raise refuse(400, f"Invalid request: {str(twice)[:64]!r} is there twice in one object") from None
    except (ValueError, RecursionError):
        raise refuse(400, "Parse error: this is no JSON", code=jsonrpc.PARSE_ERROR) from None
    try:
        message = jsonrpc.message(found)
    except RpcError as problem:
        if isinstance(found, list):
            problem.message = "Invalid request: batches are not part of MCP any more; send one message at a time"
        raise Refused(400, problem) from None
    _check_case(found, _ENVELOPE)
    if not isinstance(message, Response):
        _check_case(message.params, _DECIDING)
    return message


class _Twice(Exception):
    """A name that is there twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice(Counter(name for name, _ in pairs).most_common(1)[0][0])
    return found


def _check_case(found: Iterable[str], meant: Collection[str]) -> None:
    """Refused for a name that is one of these but for case."""
    for name in found:
        if name not in meant and (known := _FOLDED.get(name.casefold(), "")) in meant:
            raise refuse(400, f"Invalid request: {name!r} is written {known!r}")


def era(message: Message, headers: Mapping[str, str]) -> Era:
    """Which era a POST is of. Refused for a version that nobody knows.

    What says a version of the modern era, in its header or its `_meta`, is of it; `initialize` and whatever has a
    session is of the older one.
    """
    said = headers.get(names.VERSION)
    if said in MODERN_VERSIONS:
        return Era.MODERN
    if names.SESSION_ID in headers or (isinstance(message, Request) and message.method == "initialize"):
        return Era.LEGACY
    meta = message.params.get("_meta") if isinstance(message, Request) else None
    if isinstance(meta, dict) and PROTOCOL_VERSION in meta:
        return Era.MODERN
    if said is not None and said not in LEGACY_VERSIONS:
        raise Refused(400, unsupported(said), message.id if isinstance(message, Request) else None)
    return Era.LEGACY


def unsupported(said: str) -> RpcError:
    """A version that is of neither era."""
    known = {"supported": list(MODERN_VERSIONS), "requested": said}
    return RpcError(jsonrpc.UNSUPPORTED_VERSION, "Unsupported protocol version", known, gateway=True)


def client_name(info: object) -> str:
    """A client's name and version, from what it says of itself."""
    if not isinstance(info, dict) or not isinstance(name := info.get("name"), str):
        return ""
    version = info.get("version")
    return f"{name} {version}"[:128] if isinstance(version, str) and version else name[:128]


def modern_caller(exchange: Exchange, message: Request | Notification | Response) -> Caller:
    """Who asks, of a modern request: it says so itself."""
    meta = message.params.get("_meta") if isinstance(message, Request) else None
    return caller(exchange, client_name(meta.get(CLIENT_INFO) if isinstance(meta, dict) else None))


def caller(exchange: Exchange, client: str, session: str = "") -> Caller:
    """Who asks."""
    actor = exchange.actor
    assert actor.user is not None, "the route asks for a permission"
    return Caller(actor=actor, user_id=actor.user.id, client=client, request_id=exchange.info.id, session=session)
