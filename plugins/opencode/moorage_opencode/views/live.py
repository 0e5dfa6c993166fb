"""`/api/ws`: events of all of a user's sessions on one WebSocket, and commands to them."""

from __future__ import annotations

from moorage.api import Route, Routes

from moorage_opencode.live import Events
from moorage_opencode.rights import VIEW


def routes(events: Events) -> list[Route]:
    """The one socket."""
    table = Routes()
    table.socket("/api/ws", access=VIEW.name)(events.serve)
    return list(table)
