"""Moorage: live terminals, agent workspaces, tools, chat and memories behind one login."""

__version__ = "0.1.0"
