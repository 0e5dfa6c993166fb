"""Orbital's account API. Source: `api/orbital.md` and the better-auth client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.surfaces.orbital import device, session, social

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.routes import Route


def routes(hub: Hub) -> list[Route]:
    """All of its routes."""
    return [route for part in (device, session, social) for route in part.routes(hub)]
