"""The plugin's HTTP routes, thin over its services: a module for each part."""

from __future__ import annotations

from moorage.api import Route

from moorage_tmux.service import Terminals
from moorage_tmux.views import capture, chrote_page, control, history, management, recordings, sessions

PARTS = (sessions, management, control, history, capture, recordings, chrote_page)


def routes(terminals: Terminals) -> list[Route]:
    """All of them."""
    return [route for part in PARTS for route in part.routes(terminals)]
