"""What is said in one era of MCP, in the words of the other: params, results, errors, notifications, questions.

Pure: no state, no I/O. What both eras have goes through as it is, fields that nobody knows with it; what only one has
is made up for or left out as `docs/adr/0018` lists. Source: the schemas of MCP 2025-11-25 and 2026-07-28.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from moorage_mcp.gateway import schemas
from moorage_mcp.gateway.caller import refused
from moorage_mcp.links.base import Need, ServerInfo
from moorage_mcp.wire import eras, jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import Params, RpcError

LISTS: Mapping[str, str] = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
"""Methods that list, and the member that holds what they list."""
CACHEABLE = frozenset({*LISTS, "resources/read", "server/discover"})
"""Their results say in the modern era how long they may be kept. Source: SEP-2549."""
COMPLETE, INPUT_REQUIRED = "complete", "input_required"
URL_REQUIRED = -32042
"""Legacy: a page must be visited first; `data.elicitations` says which. The modern era asks instead."""
ELICIT = "elicitation/create"
_ENVELOPE = (eras.PROTOCOL_VERSION, eras.CLIENT_CAPABILITIES, eras.CLIENT_INFO, eras.LOG_LEVEL)
_TASKS = eras.PREFIX + "tasks"
_LEGACY_ONLY = frozenset({"notifications/elicitation/complete", "notifications/tasks/status"})
_MODERN_ONLY = frozenset({"notifications/subscriptions/acknowledged"})


def params(method: str, given: Params, *, client: Era, server: Era) -> Params:
    """What a client asks, for a server. Without what a link adds by itself (versions, capabilities, log level)."""
    made = dict(given)
    _strip_meta(made, _ENVELOPE)
    if Era.LEGACY in (client, server):
        made.pop("inputResponses", None)
        made.pop("requestState", None)
    if client is not server:
        made.pop("task", None)
    return made


def result(method: str, value: Mapping[str, Any], *, server: Era, client: Era) -> dict[str, Any]:
    """What a server answered, for a client. RpcError (gateway) when the client's era has no words for it."""
    made = dict(value)
    if server is client:
        return made
    return _to_modern(method, made) if client is Era.MODERN else _to_legacy(method, made)


def stamped(value: dict[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """A modern result that names the server, as it should, unless it does."""
    meta = value.get("_meta")
    if info and (meta is None or (isinstance(meta, dict) and meta.get(eras.SERVER_INFO) is None)):
        value["_meta"] = {**(meta or {}), eras.SERVER_INFO: dict(info)}
    return value


def error(method: str, problem: RpcError, asked: Params, *, server: Era, client: Era) -> RpcError:
    """What a server refused with, in the client's era. The gateway's own errors are in it already."""
    if server is client or problem.gateway:
        return problem
    if client is Era.MODERN:
        return _error_to_modern(method, problem, asked)
    return _error_to_legacy(method, problem, asked)


def url_needs(problem: RpcError) -> dict[str, Need]:
    """What a legacy server wants visited before it answers (URL_REQUIRED), as questions; empty: it is no such error."""
    data = problem.data
    found = data.get("elicitations") if isinstance(data, Mapping) else None
    if problem.code != URL_REQUIRED or not isinstance(found, list):
        return {}
    wanted = [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("url"), str)]
    return {f"url-{n}": Need(ELICIT, {"mode": "url", **entry}) for n, entry in enumerate(wanted)}


def capabilities(value: Mapping[str, Any], *, server: Era, client: Era) -> dict[str, Any]:
    """A server's. Tasks are an own capability in one era, an extension with other methods in the other: left out."""
    made = dict(value)
    if server is client:
        return made
    made.pop("tasks", None)
    extensions = made.get("extensions")
    if isinstance(extensions, Mapping) and _TASKS in extensions:
        made["extensions"] = {key: value for key, value in extensions.items() if key != _TASKS}
    return made


def client_capabilities(value: Mapping[str, Any]) -> dict[str, Any]:
    """A client's, for any server: without tasks, which a client would have to be asked about by another way."""
    return {key: inner for key, inner in value.items() if key != "tasks"}


def described(info: ServerInfo, client: Era) -> ServerInfo:
    """What a server says of itself, as one of the client's era would."""
    if info.era is client:
        return info
    version = eras.LATEST_MODERN if client is Era.MODERN else eras.LATEST_LEGACY
    shown = capabilities(info.capabilities, server=info.era, client=client)
    return replace(info, era=client, version=version, capabilities=shown, extra={})


def notification(method: str, given: Params, *, server: Era, client: Era) -> tuple[str, Params] | None:
    """What a server told; None: the client's era has no words for it."""
    if server is client:
        return method, given
    if method in (_LEGACY_ONLY if client is Era.MODERN else _MODERN_ONLY):
        return None
    made = dict(given)
    _strip_meta(made, (eras.SUBSCRIPTION_ID,))
    return method, made


def need(wanted: Need, *, server: Era, client: Era, new_id: Callable[[], str] = lambda: secrets.token_hex(16)) -> Need:
    """What a server asks of a client.

    Without a progress token: who answers has no way to tell how far it is. new_id: of a page to visit, which the
    legacy era names.
    """
    made = dict(wanted.params)
    _strip_meta(made, (eras.PROGRESS_TOKEN,))
    made.pop("task", None)
    if server is not client and wanted.method == ELICIT and made.get("mode") == "url":
        if client is Era.LEGACY:
            made.setdefault("elicitationId", new_id())
        else:
            made.pop("elicitationId", None)
    return Need(wanted.method, made)


def answer(value: Params, *, server: Era, client: Era) -> Params:
    """What a client answered to that."""
    if server is client:
        return value
    made = dict(value)
    made.pop("resultType", None)
    _strip_meta(made, _ENVELOPE)
    return made


def tool(shown: Mapping[str, Any], *, server: Era, client: Era) -> dict[str, Any] | None:
    """One entry of `tools/list`; None: a client of this era could not call it."""
    made = dict(shown)
    if server is client:
        return made
    if client is Era.LEGACY:
        if "outputSchema" in made:
            made["outputSchema"] = schemas.of_object(made["outputSchema"])
        return made
    execution = made.get("execution")
    if isinstance(execution, Mapping) and execution.get("taskSupport") == "required":
        return None
    return made


def _to_modern(method: str, made: dict[str, Any]) -> dict[str, Any]:
    made = {"resultType": COMPLETE, **made}
    if method in CACHEABLE:
        ttl = made.get("ttlMs")
        made["ttlMs"] = ttl if isinstance(ttl, int) and not isinstance(ttl, bool) and ttl >= 0 else 0
        if made.get("cacheScope") not in ("private", "public"):
            made["cacheScope"] = "private"
    _each_tool(method, made, server=Era.LEGACY, client=Era.MODERN)
    return made


def _to_legacy(method: str, made: dict[str, Any]) -> dict[str, Any]:
    kind = made.pop("resultType", COMPLETE)
    if kind != COMPLETE:
        raise refused(
            jsonrpc.INTERNAL_ERROR,
            "not_supported",
            f"The server's answer is of a kind ({kind}) that only a client of {eras.LATEST_MODERN} can take",
        )
    if method in CACHEABLE:
        made.pop("ttlMs", None)
        made.pop("cacheScope", None)
    _strip_meta(made, (eras.SERVER_INFO,))
    if method == "tools/call":
        made.setdefault("content", [])
        if "structuredContent" in made:
            made["structuredContent"] = schemas.as_object(made["structuredContent"])
    _each_tool(method, made, server=Era.MODERN, client=Era.LEGACY)
    return made


def _each_tool(method: str, made: dict[str, Any], *, server: Era, client: Era) -> None:
    if method == "tools/list" and isinstance(made.get("tools"), list):
        found = (tool(entry, server=server, client=client) for entry in made["tools"] if isinstance(entry, Mapping))
        made["tools"] = [entry for entry in found if entry is not None]


def _error_to_modern(method: str, problem: RpcError, asked: Params) -> RpcError:
    if problem.code == jsonrpc.RESOURCE_NOT_FOUND and method.startswith("resources/"):
        return RpcError(jsonrpc.INVALID_PARAMS, problem.message, _with_uri(problem.data, asked))
    if problem.code == URL_REQUIRED:
        shown: dict[str, Any] = {"requiredCapabilities": {"elicitation": {"url": {}}}}
        return RpcError(jsonrpc.MISSING_CAPABILITY, problem.message, shown)
    return problem


def _error_to_legacy(method: str, problem: RpcError, asked: Params) -> RpcError:
    code, data = problem.code, problem.data
    if code == jsonrpc.INVALID_PARAMS and method.startswith("resources/") and _names_uri(data, asked):
        return RpcError(jsonrpc.RESOURCE_NOT_FOUND, problem.message, data)
    if code == jsonrpc.MISSING_CAPABILITY:
        return RpcError(jsonrpc.INVALID_REQUEST, problem.message, data)
    if code in (jsonrpc.HEADER_MISMATCH, jsonrpc.UNSUPPORTED_VERSION):  # Between gateway and server.
        return refused(jsonrpc.INTERNAL_ERROR, "broken", f"The server refused the gateway's request: {problem.message}")
    return problem


def _names_uri(data: Any, asked: Params) -> bool:
    """Whether an error is about the resource itself: since SEP-2164 it says which one is not there."""
    return isinstance(data, Mapping) and "uri" in asked and data.get("uri") == asked["uri"]


def _with_uri(data: Any, asked: Params) -> Any:
    if "uri" not in asked or (data is not None and not isinstance(data, Mapping)):
        return data
    return {"uri": asked["uri"], **(data or {})}


def _strip_meta(made: dict[str, Any], keys: tuple[str, ...]) -> None:
    meta = made.get("_meta")
    if not isinstance(meta, Mapping) or not any(key in meta for key in keys):
        return
    left = {key: value for key, value in meta.items() if key not in keys}
    if left:
        made["_meta"] = left
    else:
        del made["_meta"]
