"""The plugin's routes, thin over its services: a module for each part."""

from __future__ import annotations

from moorage.api import Hub, Route

from moorage_opencode.sessions import Sessions
from moorage_opencode.views import admin, code, sessions

PARTS = (sessions, code, admin)


def routes(hub: Hub, service: Sessions) -> list[Route]:
    """All of them."""
    return [route for part in PARTS for route in part.routes(hub, service)]
