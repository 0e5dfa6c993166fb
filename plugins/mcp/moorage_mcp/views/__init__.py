"""The HTTP API. Source: `api/octoprox.md`, Workspaces and MCP Bridge; the rest is our own."""
