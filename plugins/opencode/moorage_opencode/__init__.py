"""OpenCode sessions, a coding agent per project: the `opencode` plugin."""

from moorage_opencode.plugin import OpenCodePlugin

__all__ = ["OpenCodePlugin"]
