"""Octo's stream of server metrics. Source: `api/octo.md`, Admin Routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from quart import Response

from moorage.dialects import OCTO
from moorage.observe.figures import FiguresShape
from moorage.routes import Route, Routes


def routes(figures: Callable[[], AsyncIterator[bytes]]) -> list[Route]:
    """GET /api/admin/metrics. figures: opens a viewer's stream."""
    found = Routes()

    @found.get(
        "/api/admin/metrics",
        access="core:metrics:read",
        dialect=OCTO,
        timeout=0,
        answer=FiguresShape,
        media_type="text/event-stream",
    )
    async def stream_metrics() -> Response:
        """Stream the machine's and the server's figures: server-sent events without names, every two seconds."""
        return Response(figures(), headers={"X-Accel-Buffering": "no"}, content_type="text/event-stream")

    return list(found)
