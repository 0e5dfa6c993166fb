"""Workspaces as sets of tools that other plugins' models may use: what is given by the hook `moorage_chat_tools`.

Each use is a call like any other: the rights of who it is for, as they are now, the rules and limits of the workspace,
and a line in its list of calls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api import Actor, Hub, Tool, ToolAnswer, ToolSet, Unauthorized

from moorage_mcp.gateway.caller import Caller
from moorage_mcp.gateway.invoke import Tools
from moorage_mcp.records import Status, WorkspaceInfo
from moorage_mcp.rights import USE
from moorage_mcp.workspaces import Workspaces

CLIENT = "chat"
"""What the list of calls says of who called."""
PREFIX = "mcp:"
MAX_SETS = 200


class Lending:
    """Gives an actor's workspaces. From memory."""

    def __init__(self, hub: Hub, workspaces: Workspaces, tools: Tools) -> None:
        self._hub, self._workspaces, self._tools = hub, workspaces, tools

    def sets(self, actor: Actor) -> list[ToolSet]:
        """The actor's own active workspaces, by name; none for who may not use them."""
        user = actor.user
        if user is None or not self._hub.access.can(actor, USE.name, owner_id=user.id):
            return []
        mine = [one for one in self._workspaces.book.of_user(user.id) if one.status is Status.ACTIVE]
        mine.sort(key=lambda one: one.name)
        return [WorkspaceTools(self._hub, self._workspaces, self._tools, actor, one) for one in mine[:MAX_SETS]]


class WorkspaceTools(ToolSet):
    """A workspace's tools, for one actor. Errors: MoorageError, as the REST API has them."""

    def __init__(self, hub: Hub, workspaces: Workspaces, tools: Tools, actor: Actor, workspace: WorkspaceInfo) -> None:
        self.id, self.label = PREFIX + workspace.pid, workspace.name
        self._hub, self._workspaces, self._tools = hub, workspaces, tools
        self._actor, self._pid = actor, workspace.pid

    async def tools(self) -> Sequence[Tool]:
        """The tools that the actor has; the workspace's servers are started for that."""
        workspace, caller = await self._now()
        return [_tool(item) for item in await self._tools.tools(workspace, caller)]

    async def call(self, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
        """Call one and wait."""
        workspace, caller = await self._now()
        found = await self._tools.invoke(workspace, caller, name, arguments)
        return ToolAnswer(text_of(found), found["is_error"])

    async def _now(self) -> tuple[WorkspaceInfo, Caller]:
        """The workspace and the actor as they are now: an answer with tools may take long."""
        for _, fresh in await self._hub.accounts.revalidate([self._actor]):
            if fresh is None:
                raise Unauthorized("The login for which the tools are used has ended")
            self._actor = fresh
        user = self._actor.user
        if user is None:
            raise Unauthorized
        workspace = await self._workspaces.find(self._actor, self._pid, USE.name)
        return workspace, Caller(actor=self._actor, user_id=user.id, client=CLIENT)


def text_of(found: Mapping[str, Any]) -> str:
    """What a tool said (`Tools.invoke`), as text: what is none is named, since a model reads only text here."""
    content: Sequence[Mapping[str, Any]] = found["content"]
    if not content:
        result = found["result"]
        return "" if result is None else json.dumps(result, ensure_ascii=False)
    return "\n".join(_block(block) for block in content)


def _block(block: Mapping[str, Any]) -> str:
    kind = block.get("type")
    if kind == "text":
        return str(block.get("text", ""))
    if kind == "resource":
        inner = block.get("resource")
        resource = inner if isinstance(inner, Mapping) else {}
        if isinstance(text := resource.get("text"), str):
            return text
        return f"[a resource that is no text: {resource.get('uri', '')}{_type(resource)}]"
    if kind == "resource_link":
        return f"[a resource: {block.get('uri', '')}{_type(block)}]"
    return f"[{kind}{_type(block)}]"


def _type(block: Mapping[str, Any]) -> str:
    mime = block.get("mimeType")
    return f", {mime}" if isinstance(mime, str) else ""


def _tool(item: Mapping[str, Any]) -> Tool:
    hints = item.get("annotations")
    hints = hints if isinstance(hints, Mapping) else {}
    title = item.get("title") or hints.get("title")
    schema = item.get("inputSchema")
    return Tool(
        name=str(item["name"]),
        description=str(item.get("description") or ""),
        parameters=schema if isinstance(schema, Mapping) else {"type": "object"},
        title=title if isinstance(title, str) else "",
        read_only=hints.get("readOnlyHint") is True,
    )
