"""The MCP server that every workspace has: its files and its git repository. Run: `python -I -m moorage_mcp.provided`.

It runs beside the workspace and imports neither the rest of the plugin nor the core. The git tools are those of
`mcp-server-git` where they fit (see `git`). The file tools are our own: the reference server for files needs Node and
absolute paths, and checks a path before it opens it by name, which a link that is put there in between gets around.
"""
