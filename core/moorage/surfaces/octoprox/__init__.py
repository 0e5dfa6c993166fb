"""Octoprox's account API. Source: `api/octoprox.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.surfaces.octoprox import audit, introspect, keys, users

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.routes import Route


def routes(hub: Hub) -> list[Route]:
    """All but `health`, which needs more than the hub."""
    return [route for part in (audit, introspect, keys, users) for route in part.routes(hub)]
