"""MCP workspaces, tools behind one login for clients of both eras of the protocol: the `mcp` plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moorage_mcp.plugin import McpPlugin

__all__ = ["McpPlugin"]


def __getattr__(name: str) -> Any:
    """The plugin when it is asked for: `moorage_mcp.provided` runs by itself, without the core."""
    if name == "McpPlugin":
        from moorage_mcp.plugin import McpPlugin

        return McpPlugin
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
