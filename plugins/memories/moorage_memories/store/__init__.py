"""The embedded store: memories in the server's own database."""
