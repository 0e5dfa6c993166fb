"""What a client is shown of the servers' lists: the tools it may use, by their names, in pages of its era."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moorage_mcp.gateway import rules, translate
from moorage_mcp.gateway.caller import Caller, refused
from moorage_mcp.gateway.catalog import Catalog, Listed, Part
from moorage_mcp.gateway.names import Entry
from moorage_mcp.gateway.reach import Seat
from moorage_mcp.records import WorkspaceInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import Params

PAGE = 1000
"""Entries of one page."""
UNAVAILABLE = "moorage/unavailable"
"""In `_meta` of a list: which servers it lacks, and why."""
_CURSOR = "mg1-"


class Lists:
    """Makes them of what the catalog has gathered."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def result(self, at: Seat, caller: Caller, era: Era, method: str, params: Params) -> dict[str, Any]:
        """The answer to a request that lists."""
        start = _start(params.get("cursor"))
        listed = await self._catalog.listed(at, method, fresh=True)
        shown = [item for _, _, item in self.items(at, caller, era, method, listed)]
        if start and start >= len(shown):
            raise _bad_cursor()
        made = self._frame(at, era, method, listed)
        made[translate.LISTS[method]] = shown[start : start + PAGE]
        if start + PAGE < len(shown):
            made["nextCursor"] = f"{_CURSOR}{start + PAGE}"
        return made

    async def tools(self, at: Seat, caller: Caller) -> list[tuple[Entry, dict[str, Any]]]:
        """The tools that a caller has: whose they are and what is shown of them (modern era)."""
        listed = await self._catalog.listed(at, "tools/list", fresh=True)
        return [(entry, item) for _, entry, item in self.items(at, caller, Era.MODERN, "tools/list", listed)]

    def tool(self, at: Seat, caller: Caller, name: str, entry: Entry) -> dict[str, Any] | None:
        """What is shown of a tool that was found; None: the caller does not have it. RpcError: its server is away."""
        part = self._catalog.part(at, "tools/list", entry.upstream)
        if part.problem is not None:
            raise part.problem
        return _tool(at, caller, Era.MODERN, part, name, entry)

    def items(
        self, at: Seat, caller: Caller, era: Era, method: str, listed: Listed
    ) -> Iterable[tuple[str, Entry, dict[str, Any]]]:
        """(name, entry, what is shown of it) of all that the caller has, in their order."""
        parts = {part.upstream.pid: part for part in listed.parts if part.problem is None}
        for shown, entry in listed.entries.items():
            part = parts.get(entry.upstream.pid)
            if part is None:
                continue
            item: dict[str, Any] | None = dict(entry.item)
            if method == "tools/list":
                item = _tool(at, caller, era, part, shown, entry)
            elif method == "prompts/list":
                item = {**entry.item, "name": shown}
            if item is not None:
                yield shown, entry, item

    def _frame(self, at: Seat, era: Era, method: str, listed: Listed) -> dict[str, Any]:
        """A list's result without the list: what the only server said besides, or what holds for all of them."""
        if len(at.upstreams) == 1:
            part = listed.parts[0]
            extra = dict(part.extra)
            if isinstance(ttl := extra.get("ttlMs"), int):  # Some of the time is over already.
                extra["ttlMs"] = max(0, ttl - int(self._catalog.age(part) * 1000))
            made = translate.result(method, extra, server=part.era, client=era)
            info = part.info
        else:
            common = _common(listed) if era is Era.MODERN else {}
            made = translate.result(method, common, server=Era.LEGACY, client=era)
            info = workspace_info(at.workspace)
        if away := listed.away():
            told = [{"upstream": name, "reason": problem.message} for name, problem in away.items()]
            made["_meta"] = {**(made.get("_meta") or {}), UNAVAILABLE: told}
        return translate.stamped(made, info) if era is Era.MODERN else made


def _tool(at: Seat, caller: Caller, era: Era, part: Part, shown: str, entry: Entry) -> dict[str, Any] | None:
    if not rules.visible(at.workspace, entry.upstream, caller, shown, entry.name):
        return None
    tool = translate.tool(entry.item, server=part.era, client=era)
    if tool is None:
        return None
    tool["name"] = shown
    rules.annotated(entry.upstream, shown, entry.name, tool)
    rules.hide_fixed(entry.upstream, tool)
    return tool


def workspace_info(workspace: WorkspaceInfo) -> dict[str, Any]:
    """What a workspace of several servers calls itself."""
    return {"name": workspace.name, "title": workspace.name, "version": str(workspace.version)}


def _common(listed: Listed) -> dict[str, Any]:
    """How long a merged list may be kept: as the most careful of the servers says; of a legacy one not at all."""
    said = [part.extra.get("ttlMs", 0) for part in listed.parts if part.problem is None and part.items]
    least = min((ttl for ttl in said if isinstance(ttl, int)), default=0)
    return {} if listed.away() or least <= 0 else {"ttlMs": least}


def _start(cursor: Any) -> int:
    if cursor is None:
        return 0
    text = cursor.removeprefix(_CURSOR) if isinstance(cursor, str) and cursor.startswith(_CURSOR) else ""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise _bad_cursor()
    return int(text)


def _bad_cursor() -> jsonrpc.RpcError:
    return refused(jsonrpc.INVALID_PARAMS, "bad_cursor", "Invalid cursor: begin again without one")
