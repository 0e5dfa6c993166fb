"""Who may do what: the plugin's permissions."""

from __future__ import annotations

from moorage.api import Permission

VIEW = Permission("mcp:workspace:view", "See one's workspaces, their tools and calls", default="viewer", owned=True)
CREATE = Permission("mcp:workspace:create", "Create workspaces", default="viewer")
MANAGE = Permission(
    "mcp:workspace:manage", "Change one's workspaces: their servers, tools and limits", default="viewer", owned=True
)
DELETE = Permission("mcp:workspace:delete", "Delete one's workspaces", default="viewer", owned=True)
USE = Permission("mcp:tool:use", "Use one's workspaces: tools, prompts and resources", default="viewer", owned=True)
COMMAND = Permission(
    "mcp:upstream:command", "Let a workspace run a program of one's own choice as an MCP server", default="operator"
)
REMOTE = Permission(
    "mcp:upstream:remote",
    "Connect a workspace with an MCP server by an address of one's own choice",
    default="operator",
)
PERMISSIONS = (VIEW, CREATE, MANAGE, DELETE, USE, COMMAND, REMOTE)
