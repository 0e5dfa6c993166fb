"""MCP workspaces, tools behind one login for clients of both eras of the protocol: the `mcp` plugin."""

from moorage_mcp.plugin import McpPlugin

__all__ = ["McpPlugin"]
