"""Tools of an MCP server as the SDK's client calls them."""

from __future__ import annotations

from typing import Any

from mcp import Client


class Refused(Exception):
    """The tool says that it failed: its text."""


class Tools:
    """Calls tools by name; answers their structured result."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def __call__(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        result = await self.client.call_tool(tool, arguments)
        if result.is_error:
            raise Refused(result.content[0].text)
        assert result.structured_content is not None
        return result.structured_content
