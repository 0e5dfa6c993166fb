"""Octo's account API. Source: `api/octo.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.surfaces.octo import auth, invites, metrics, profile, register, users

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.routes import Route


def routes(hub: Hub) -> list[Route]:
    """All of its routes."""
    return [route for part in (auth, invites, metrics, profile, register, users) for route in part.routes(hub)]
