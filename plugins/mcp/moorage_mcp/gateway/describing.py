"""What a workspace says of itself: its servers' capabilities, names and instructions as those of one server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moorage_mcp.gateway import translate
from moorage_mcp.gateway.caller import unavailable
from moorage_mcp.gateway.lists import UNAVAILABLE, workspace_info
from moorage_mcp.gateway.reach import Reach, Seat
from moorage_mcp.links.base import ServerInfo
from moorage_mcp.records import UpstreamInfo
from moorage_mcp.wire.eras import LATEST_LEGACY, LATEST_MODERN, Era
from moorage_mcp.wire.jsonrpc import RpcError

_GROUPS = ("tools", "prompts", "resources")
_MARKS = ("completions", "logging")
_TOLD = ("listChanged", "subscribe")


class Describing:
    """Asks the servers, and puts together what they say."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def of(self, at: Seat, era: Era) -> ServerInfo:
        """For a client of that era. One server that is away does not hide the others; RpcError when all are.

        The only server of a workspace is described as itself.
        """
        if not at.upstreams:  # There may be some later, which is told.
            return replace(_several(at, era, [], {}), capabilities={"tools": {"listChanged": True}})
        found = await asyncio.gather(*(self._ask(at, upstream) for upstream in at.upstreams))
        up = [(upstream, said) for upstream, said in found if isinstance(said, ServerInfo)]
        away = {upstream.name: said.message for upstream, said in found if isinstance(said, RpcError)}
        if not up:
            raise next(said for _, said in found if isinstance(said, RpcError))
        if len(at.upstreams) == 1:
            return translate.described(up[0][1], era)
        return _several(at, era, up, away)

    async def _ask(self, at: Seat, upstream: UpstreamInfo) -> tuple[UpstreamInfo, ServerInfo | RpcError]:
        try:
            return upstream, await self._reach.server(at, upstream)
        except RpcError as error:
            return upstream, error if error.gateway else unavailable(f"{upstream.name}: {error.message}")


def _several(at: Seat, era: Era, up: list[tuple[UpstreamInfo, ServerInfo]], away: Mapping[str, str]) -> ServerInfo:
    """All of them as one."""
    texts = [f"# {upstream.name}\n{said.instructions}" for upstream, said in up if said.instructions]
    told = [{"upstream": name, "reason": reason} for name, reason in away.items()]
    return ServerInfo(
        era=era,
        version=LATEST_MODERN if era is Era.MODERN else LATEST_LEGACY,
        info=workspace_info(at.workspace),
        capabilities=_merged([said.capabilities for _, said in up]),
        instructions="\n\n".join(texts) or None,
        extra={"_meta": {UNAVAILABLE: told}} if told else {},
    )


def _merged(found: list[Mapping[str, Any]]) -> dict[str, Any]:
    """What any of them can do. Lists change with the workspace too, so that is told of all.

    Left out: tasks and other extensions with methods of their own, since it is not known whose a request would be.
    """
    made: dict[str, Any] = {}
    for group in _GROUPS:
        said = [one[group] for one in found if isinstance(one.get(group), Mapping)]
        if said:
            made[group] = {flag: True for flag in _TOLD if any(one.get(flag) for one in said)} | {"listChanged": True}
    for mark in _MARKS:
        if any(mark in one for one in found):
            made[mark] = {}
    return made
