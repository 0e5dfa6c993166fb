"""Tools by HTTP, for programs that speak no MCP. Source: `api/octoprox.md`, MCP Bridge."""

from __future__ import annotations

from typing import Any

from moorage.api import Route, Routes, current_actor, json_response, read_json, read_query
from quart import Response
from typing_extensions import TypedDict

from moorage_mcp.rights import USE
from moorage_mcp.views.reading import InvokeBody, ToolsQuery
from moorage_mcp.views.services import Services, current_caller

SPARE = 30.0
"""Seconds beyond the time-outs of a start and of a call until the request is given up."""


class ToolsData(TypedDict):
    """tools: as MCP's `tools/list` has them: `name`, `description`, `inputSchema` …"""

    tools: list[dict[str, Any]]
    count: int


class ToolsAnswer(TypedDict):
    """GET /api/v1/mcp/tools."""

    data: ToolsData


class InvokeData(TypedDict):
    """result: the tool's structured result, or what it said. is_error: the tool says that it failed.

    content: all that it said, as MCP has it: texts, pictures, resources.
    """

    tool: str
    workspace_id: int
    result: Any
    is_error: bool
    content: list[dict[str, Any]]


class InvokeAnswer(TypedDict):
    """POST /api/v1/mcp/invoke."""

    data: InvokeData


def routes(services: Services) -> list[Route]:
    """`/api/v1/mcp/tools` and `/api/v1/mcp/invoke`."""
    table = Routes()
    config = services.workspaces.config
    start, call = config.start_timeout + SPARE, config.start_timeout + config.call_timeout + SPARE

    @table.get("/api/v1/mcp/tools", access=USE.name, query=ToolsQuery, answer=ToolsAnswer, timeout=start)
    async def list_tools() -> Response:
        """List the tools of a workspace that the caller may use; its servers are started for that."""
        number = read_query(ToolsQuery).workspace_id
        workspace = await services.workspaces.get(current_actor(), number, USE.name)
        tools = await services.tools.tools(workspace, current_caller())
        answer: ToolsAnswer = {"data": {"tools": tools, "count": len(tools)}}
        return json_response(answer)

    @table.post(
        "/api/v1/mcp/invoke",
        access=USE.name,
        max_body=config.max_message_bytes,
        body=InvokeBody,
        answer=InvokeAnswer,
        timeout=call,
    )
    async def invoke() -> Response:
        """Use a tool of a workspace and wait for what it gives.

        A tool that says that it failed is no error of the server: 200, and `is_error` is true.
        """
        body = await read_json(InvokeBody)
        workspace = await services.workspaces.get(current_actor(), body.workspace_id, USE.name)
        found = await services.tools.invoke(workspace, current_caller(), body.tool, body.parameters)
        return json_response({"data": {"tool": body.tool, "workspace_id": body.workspace_id, **found}})

    return list(table)
