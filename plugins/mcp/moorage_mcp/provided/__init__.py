"""The MCP server that every workspace has without any setup: its files and its git repository."""
