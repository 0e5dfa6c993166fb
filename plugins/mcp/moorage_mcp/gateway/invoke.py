"""Tools for programs that speak no MCP: what the REST API lists and calls. Source: `api/octoprox.md`, MCP Bridge.

A call's `result` is, in this order: the tool's structured result if it has one; its only text, parsed where that is a
JSON object or array; its only text; all that it said as MCP's content blocks; null if it said nothing. `content` beside
it always is all that it said. A tool that says that it failed has answered: `is_error`, with what it says as result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from moorage.api import (
    BadRequest,
    DeadlineExceeded,
    Forbidden,
    MoorageError,
    NotFound,
    TooManyRequests,
    Unavailable,
    UpstreamError,
    ValidationFailed,
)

from moorage_mcp.gateway import sound
from moorage_mcp.gateway.admission import Admitted
from moorage_mcp.gateway.asking import Nobody
from moorage_mcp.gateway.caller import Caller, denied, refused
from moorage_mcp.gateway.checking import Checker
from moorage_mcp.gateway.reach import seat
from moorage_mcp.gateway.routing import unknown
from moorage_mcp.gateway.service import Gateway
from moorage_mcp.gateway.translate import URL_REQUIRED
from moorage_mcp.records import WorkspaceInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import RpcError

_SHOWN = ("name", "title", "description", "inputSchema", "outputSchema", "annotations")
_CALL = "tools/call"


class NeedsClient(MoorageError):
    """The tool asks its client something, and there is none."""

    status: ClassVar[int] = 409
    code: ClassVar[str] = "NEEDS_CLIENT"


class Tools:
    """Lists and calls tools over REST. Errors are MoorageErrors; those of a server's are told as such."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._checker = Checker()

    async def tools(self, workspace: WorkspaceInfo, caller: Caller) -> list[dict[str, Any]]:
        """What the caller may use: name and description, and as far as there are any title, inputSchema, outputSchema,
        annotations; upstream: the name of the server in the workspace.
        """
        gateway = self._gateway
        try:
            gateway.admission.check_right(workspace, caller)
            at = seat(workspace, caller, Nobody())
            if not at.upstreams:
                return []
            found = await gateway.lists.tools(at, caller)
        except RpcError as error:
            if error.code == jsonrpc.METHOD_NOT_FOUND and not error.gateway:
                return []  # The only server has no tools.
            raise as_error(error) from error
        shown = [_shown(item, entry.upstream.name) for entry, item in found]
        return list(sound.value(shown))

    async def invoke(
        self, workspace: WorkspaceInfo, caller: Caller, tool: str, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Call one: {"result", "is_error", "content"}. The task's cancellation cancels the call."""
        gateway = self._gateway
        params = {"name": tool, "arguments": dict(parameters)}
        try:
            admitted = gateway.admit(workspace, caller, _CALL, params)
            try:
                await self._check(workspace, caller, tool, parameters, admitted)
            except RpcError as error:
                admitted.failed(error)
                raise
            found = await gateway.request(workspace, caller, Era.MODERN, _CALL, params, Nobody(), admitted=admitted)
        except RpcError as error:
            raise as_error(error) from error
        try:
            return dict(sound.value(answer(found)))
        except RecursionError:
            raise UpstreamError("The server's answer is nested too deeply") from None

    async def _check(
        self, workspace: WorkspaceInfo, caller: Caller, tool: str, parameters: Mapping[str, Any], admitted: Admitted
    ) -> None:
        """Whether there is such a tool, the caller has it, and the parameters fit. RpcError."""
        at = seat(workspace, caller, Nobody())
        entry = await self._gateway.catalog.find(at, "tools/list", tool) if at.upstreams else None
        if entry is None:
            raise self._gateway.catalog.away(at, "tools/list", tool) or unknown("tool", tool)
        admitted.upstream = entry.upstream.name
        shown = self._gateway.lists.tool(at, caller, tool, entry)
        if shown is None:
            raise denied(f"The tool {tool} is not allowed here", tool=tool)
        wrong = self._checker.problems(shown.get("inputSchema"), parameters)
        if wrong:
            places = [{"field": f"/parameters{one.place}", "message": one.message} for one in wrong]
            first = f"{places[0]['field']}: {places[0]['message']}"
            raise refused(jsonrpc.INVALID_PARAMS, "bad_params", f"Wrong parameters: {first}", problems=places)


def answer(found: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's result as REST shows it."""
    said = found.get("content")
    content = [block for block in said if isinstance(block, dict)] if isinstance(said, list) else []
    return {"result": _result(found, content), "is_error": found.get("isError") is True, "content": content}


def as_error(error: RpcError) -> MoorageError:
    """What went wrong, as an HTTP error: the gateway's own by their reason, a server's as 502 or 400."""
    error = RpcError(error.code, sound.text(error.message), error.data, error.gateway)
    data: Mapping[str, Any] = error.data if isinstance(error.data, Mapping) else {}
    if not error.gateway:
        return _of_server(error)
    reason = data.get("reason")
    if reason == "limited":
        return TooManyRequests(error.message, retry_after=int(data.get("retryAfter", 60)))
    if reason == "bad_params":
        return ValidationFailed(error.message, problems=data.get("problems"))
    kind = _KINDS.get(str(reason), UpstreamError)
    after = data.get("retryAfter")
    return kind(error.message, details={"reason": reason}, headers={"Retry-After": str(after)} if after else None)


_KINDS: Mapping[str, type[MoorageError]] = {
    "denied": Forbidden,
    "unknown_tool": NotFound,
    "unavailable": Unavailable,
    "too_many": Unavailable,
    "timeout": DeadlineExceeded,
    "not_supported": NeedsClient,
}


def _of_server(error: RpcError) -> MoorageError:
    text = f"The server refused the call: {error.message} ({error.code})"
    if error.code in (jsonrpc.MISSING_CAPABILITY, URL_REQUIRED):
        return NeedsClient(text)
    if error.code == jsonrpc.INVALID_PARAMS:
        return BadRequest(text)
    return UpstreamError(text, details={"code": error.code})


def _result(found: Mapping[str, Any], content: list[dict[str, Any]]) -> Any:
    if found.get("structuredContent") is not None:
        return found["structuredContent"]
    if not content:
        return None
    only = content[0]
    if len(content) > 1 or only.get("type") != "text" or not isinstance(text := only.get("text"), str):
        return content
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    return text


def _shown(item: Mapping[str, Any], upstream: str) -> dict[str, Any]:
    shown = {key: item[key] for key in _SHOWN if key in item}
    shown.setdefault("description", "")
    return {**shown, "upstream": upstream}
