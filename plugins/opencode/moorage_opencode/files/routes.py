"""All routes to files."""

from __future__ import annotations

from moorage.api import Route

from moorage_opencode.files import sockets, views
from moorage_opencode.files.service import Files
from moorage_opencode.sessions import Sessions


def routes(files: Files, sessions: Sessions) -> list[Route]:
    """Over HTTP, and the WebSocket that watches."""
    return [*views.routes(files, sessions), *sockets.routes(files, sessions)]
