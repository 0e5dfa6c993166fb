"""Token introspection. Source: `api/octoprox.md`, Authentication; RFC 7662."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.routes import Route, Routes

if TYPE_CHECKING:
    from moorage.hub import Hub


def routes(hub: Hub) -> list[Route]:
    """Nothing yet."""
    found = Routes()
    return list(found)
