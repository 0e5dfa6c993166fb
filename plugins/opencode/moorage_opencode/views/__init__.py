"""The plugin's routes, thin over its services: a module for each part."""

from __future__ import annotations

from moorage.api import Hub, Route

from moorage_opencode.sessions import Sessions


def routes(hub: Hub, sessions: Sessions) -> list[Route]:
    """All of them."""
    return []
