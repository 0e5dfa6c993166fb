"""JSON-RPC 2.0 as MCP uses it: what a message is, and how errors are spelled. Source: MCP, Base Protocol, Messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Id = str | int
Params = dict[str, Any]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
RESOURCE_NOT_FOUND = -32002
"""Legacy alone; the modern era says INVALID_PARAMS."""
HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022


@dataclass(slots=True)
class RpcError(Exception):
    """An error that the protocol carries: what a server said, or what the gateway says in its place.

    gateway: the gateway itself says so, no upstream does.
    """

    code: int
    message: str
    data: Any = None
    gateway: bool = False

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"

    def shape(self) -> dict[str, Any]:
        """The `error` member."""
        shown: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.data is not None:
            shown["data"] = self.data
        return shown


@dataclass(frozen=True, slots=True)
class Request:
    """Wants an answer."""

    id: Id
    method: str
    params: Params


@dataclass(frozen=True, slots=True)
class Notification:
    """Wants none."""

    method: str
    params: Params


@dataclass(frozen=True, slots=True)
class Response:
    """A result, or an error; id None: of a request that could not be read."""

    id: Id | None
    result: dict[str, Any] | None = None
    error: RpcError | None = None


Message = Request | Notification | Response


def read(data: bytes | str) -> Message:
    """One message. RpcError (PARSE_ERROR, INVALID_REQUEST) with what is wrong. A batch is none since 2025-06-18."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "Parse error: this is no JSON", gateway=True) from None
    return message(found)


def message(found: Any) -> Message:
    """The same of parsed JSON."""
    if not isinstance(found, dict) or found.get("jsonrpc") != "2.0":
        raise _invalid('a message is an object with "jsonrpc": "2.0"')
    if "method" in found:
        return _call(found)
    shown = found.get("id")
    if shown is not None and not _is_id(shown):
        raise _invalid("`id` is text or a whole number")
    if isinstance(result := found.get("result"), dict):
        return Response(shown, result)
    return Response(shown, error=_error(found.get("error")))


def request(id: Id, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A request's JSON."""
    return {"jsonrpc": "2.0", "id": id, "method": method, **({} if params is None else {"params": params})}


def notification(method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A notification's JSON."""
    return {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params})}


def result(id: Id, value: Mapping[str, Any]) -> dict[str, Any]:
    """A good answer's JSON."""
    return {"jsonrpc": "2.0", "id": id, "result": value}


def error(id: Id | None, problem: RpcError) -> dict[str, Any]:
    """An error's JSON."""
    return {"jsonrpc": "2.0", "id": id, "error": problem.shape()}


def encode(value: Mapping[str, Any]) -> bytes:
    """JSON as it is sent: compact, UTF-8, and a lone surrogate stays an escape."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def _call(found: dict[str, Any]) -> Request | Notification:
    method, params = found["method"], found.get("params")
    if not isinstance(method, str) or not 0 < len(method) <= 256:
        raise _invalid("`method` is text")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "Invalid params: `params` is an object", gateway=True)
    if "id" not in found:
        return Notification(method, params)
    if not _is_id(found["id"]):
        raise _invalid("`id` is text or a whole number")
    return Request(found["id"], method, params)


def _is_id(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and len(value) <= 1024)


def _error(found: Any) -> RpcError:
    if not isinstance(found, dict) or not isinstance(found.get("code"), int):
        raise _invalid("an answer has a `result` that is an object, or an `error`")
    return RpcError(found["code"], str(found.get("message", "")), found.get("data"))


def _invalid(why: str) -> RpcError:
    return RpcError(INVALID_REQUEST, f"Invalid request: {why}", gateway=True)
