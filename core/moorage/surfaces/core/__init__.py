"""The core's own account API: setup, one's sessions, password and identities, metadata for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.surfaces.core import account, identities, metadata, setup

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.routes import Route


def routes(hub: Hub) -> list[Route]:
    """All of its routes."""
    return [route for part in (account, identities, metadata, setup) for route in part.routes(hub)]
