"""`/ws/{workspace}/mcp`: Streamable HTTP for clients of both eras."""
