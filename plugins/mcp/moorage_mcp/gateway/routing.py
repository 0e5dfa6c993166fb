"""Which server a request is for, and what it is asked for by that server's own names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moorage_mcp.gateway import names, rules
from moorage_mcp.gateway.caller import refused
from moorage_mcp.gateway.catalog import Catalog
from moorage_mcp.gateway.names import Entry
from moorage_mcp.gateway.reach import Seat
from moorage_mcp.records import UpstreamInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.jsonrpc import Params, RpcError


@dataclass(frozen=True, slots=True)
class Routed:
    """A server that a request is for. shown: what was asked for, by its name as the client says it."""

    upstream: UpstreamInfo
    shown: str = ""


class Routing:
    """Finds it, by the lists of the servers where there are several."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def route(self, at: Seat, method: str, params: Params) -> tuple[tuple[Routed, ...], Params]:
        """Those that may have it, in the order in which they are asked, and the params for them. RpcError."""
        if method == "tools/call":
            return await self._tool(at, params)
        if method == "prompts/get":
            return await self._prompt(at, params)
        if method == "resources/read":
            return await self.resource(at, params), params
        if method == "completion/complete":
            return await self._completion(at, params)
        if len(at.upstreams) > 1:
            raise refused(
                jsonrpc.METHOD_NOT_FOUND,
                "not_supported",
                f"Method not found: {method} (with several servers in the workspace it is not known whose it is)",
            )
        return (Routed(at.upstreams[0]),), params

    async def resource(self, at: Seat, params: Params) -> tuple[Routed, ...]:
        """Those that may have a resource."""
        uri = _text(params, "uri")
        if len(at.upstreams) == 1:
            return (Routed(at.upstreams[0], uri),)
        listed = await self._catalog.listed(at, "resources/list", fresh=False)
        found = listed.entries.get(uri)
        if found is None:
            templates = await self._catalog.listed(at, "resources/templates/list", fresh=False)
            found = names.fitting(templates.entries, uri)
        if found is not None:
            return (Routed(found.upstream, uri),)
        able = [part.upstream for part in listed.parts if part.problem is None and not part.lacks]
        if not able:
            raise refused(jsonrpc.INVALID_PARAMS, "unknown_resource", f"Unknown resource: {uri}", uri=uri)
        return tuple(Routed(upstream, uri) for upstream in able)

    async def _tool(self, at: Seat, params: Params) -> tuple[tuple[Routed, ...], Params]:
        name = _text(params, "name")
        only = at.upstreams[0] if len(at.upstreams) == 1 else None
        if only is not None and not only.prefix and not only.fixed:
            return (Routed(only, name),), params
        entry = await self._named(at, "tools/list", name, "tool")
        made = {**params, "name": entry.name}
        if fixed := rules.fixed_of(entry.upstream, entry.item):
            given = params.get("arguments")
            # For servers that do not look at case, of which the last one written counts.
            taken = {key.casefold() for key in fixed}
            others = given.items() if isinstance(given, dict) else ()
            made["arguments"] = {key: value for key, value in others if key.casefold() not in taken} | fixed
        return (Routed(entry.upstream, name),), made

    async def _prompt(self, at: Seat, params: Params) -> tuple[tuple[Routed, ...], Params]:
        name = _text(params, "name")
        only = at.upstreams[0] if len(at.upstreams) == 1 else None
        if only is not None and not only.prefix:
            return (Routed(only, name),), params
        entry = await self._named(at, "prompts/list", name, "prompt")
        return (Routed(entry.upstream, name),), {**params, "name": entry.name}

    async def _completion(self, at: Seat, params: Params) -> tuple[tuple[Routed, ...], Params]:
        ref = params.get("ref")
        if not isinstance(ref, dict):
            raise refused(jsonrpc.INVALID_PARAMS, "bad_params", "Invalid params: `ref` says what is completed")
        if ref.get("type") == "ref/prompt":
            routed, made = await self._prompt(at, ref)
            return routed, {**params, "ref": made}
        uri = _text(ref, "uri")
        if len(at.upstreams) > 1:
            templates = await self._catalog.listed(at, "resources/templates/list", fresh=False)
            if (entry := templates.entries.get(uri)) is not None:
                return (Routed(entry.upstream, uri),), params
        return await self.resource(at, {"uri": uri}), params

    async def _named(self, at: Seat, method: str, name: str, what: str) -> Entry:
        entry = await self._catalog.find(at, method, name)
        if entry is None:
            raise self._catalog.away(at, method, name) or unknown(what, name)
        return entry


def unknown(what: str, name: str) -> RpcError:
    """There is no such tool or prompt."""
    return refused(jsonrpc.INVALID_PARAMS, f"unknown_{what}", f"Unknown {what}: {name}", **{what: name})


def _text(params: Any, key: str) -> str:
    found = params.get(key)
    if not isinstance(found, str) or not found:
        raise refused(jsonrpc.INVALID_PARAMS, "bad_params", f"Invalid params: `{key}` is text")
    return found
