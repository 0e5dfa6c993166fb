"""What goes over the wire in both eras of MCP: messages, versions, headers, event streams. No state, no I/O."""
