"""Chat's account API. Source: `api/chat.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.surfaces.chat import auth, invites, register, system, users

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.routes import Route


def routes(hub: Hub) -> list[Route]:
    """All of its routes."""
    return [route for part in (auth, invites, register, system, users) for route in part.routes(hub)]
