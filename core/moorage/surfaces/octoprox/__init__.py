"""Octoprox's account API. Source: `api/octoprox.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.surfaces.octoprox import audit, health, introspect, keys, users

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.routes import Route


def routes(hub: Hub) -> list[Route]:
    """All of its routes."""
    return [route for part in (audit, health, introspect, keys, users) for route in part.routes(hub)]
