"""Who asks: users, passwords, sessions, API keys, and the first owner."""
