"""How events of a generation are spelled for a client."""
