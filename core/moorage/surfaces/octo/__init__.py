"""Octo's account API, and the stream of the server's figures. Source: `api/octo.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.surfaces.octo import auth, invites, profile, register, users

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.routes import Route


def routes(hub: Hub) -> list[Route]:
    """All but `features` and `metrics`, which need more than the hub."""
    return [route for part in (auth, invites, profile, register, users) for route in part.routes(hub)]
