"""The account APIs of the contracts: thin views, one service call each, present at every mount."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.surfaces import chat, chrote, core, octo, octoprox, orbital

if TYPE_CHECKING:
    from moorage.hub import Hub
    from moorage.routes import Route

__all__ = ["account_routes"]


def account_routes(hub: Hub) -> list[Route]:
    """All of them. Where two contracts share a path, one module answers with what both need."""
    return [route for surface in (core, octo, chrote, octoprox, orbital, chat) for route in surface.routes(hub)]
