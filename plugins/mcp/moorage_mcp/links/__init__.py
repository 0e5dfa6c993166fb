"""Upstreams: connections to MCP servers, by stdio, Streamable HTTP or the older HTTP with SSE, of either era."""
