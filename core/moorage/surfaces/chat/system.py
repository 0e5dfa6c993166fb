"""Chat's version. Source: `api/chat.md`, Health."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart import Response
from typing_extensions import TypedDict

import moorage
from moorage.dialects import CHAT
from moorage.routes import PUBLIC, Route, Routes
from moorage.web import json_response

if TYPE_CHECKING:
    from moorage.hub import Hub


class VersionAnswer(TypedDict):
    """GET /version."""

    version: str


def routes(hub: Hub) -> list[Route]:
    """GET /version, for anybody. GET /health is one for all contracts."""
    found = Routes()

    @found.get("/version", access=PUBLIC, dialect=CHAT, answer=VersionAnswer)
    async def read_version() -> Response:
        """Say which version of Moorage this is."""
        answer: VersionAnswer = {"version": moorage.__version__}
        return json_response(answer)

    return list(found)
