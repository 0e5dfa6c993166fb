"""The HTTP APIs. Sources: `api/chat.md`; `api/orbital.md`, Conversations and Messages; the rest is our own."""

from __future__ import annotations

from collections.abc import Callable

from moorage.api import Route

from moorage_chat.views import (
    conversations,
    messages,
    orbital,
    portable,
    providers,
    search,
    shares,
    stream,
    tools,
    usage,
)
from moorage_chat.views.services import Services

__all__ = ["Services", "routes"]
PARTS: tuple[Callable[[Services], list[Route]], ...] = (
    conversations.routes,
    messages.routes,
    orbital.routes,
    portable.routes,
    providers.routes,
    search.routes,
    shares.routes,
    stream.routes,
    tools.routes,
    usage.routes,
)


def routes(services: Services) -> list[Route]:
    """All of them."""
    return [route for part in PARTS for route in part(services)]
