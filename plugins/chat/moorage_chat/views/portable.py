"""Conversations as files: taken along and brought in again. Our own."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import quote

from moorage.api import Route, Routes, current_actor, json_response, read_query
from pydantic import BaseModel, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage_chat.records import Space
from moorage_chat.rights import VIEW, WRITE
from moorage_chat.store.portable import FileConversation
from moorage_chat.views import reading
from moorage_chat.views.listing import answer
from moorage_chat.views.reading import checked_type
from moorage_chat.views.services import Services
from moorage_chat.views.shapes import ConversationShape, conversation_shape

LINES = "application/jsonl"
OF_LINES = (LINES, "application/x-ndjson", "application/x-jsonlines")
MARKDOWN = "text/markdown"
MAX_IMPORT = 32 * 1024 * 1024
"""Bytes of a file that is brought in."""
SECONDS = 300.0
_NO_NAME = re.compile(r"[^\w .-]+")


class ExportQuery(BaseModel):
    """GET /conversations/{conversation_id}/export."""

    format: Literal["json", "markdown", "md"] = Field(
        "json",
        description='"json": all branches, to be brought in again; "markdown": the branch that is shown, to read.',
    )


class ImportAnswer(TypedDict):
    """What was brought in."""

    conversations: list[ConversationShape]


def routes(services: Services) -> list[Route]:
    """`/conversations/{conversation_id}/export`, `/chat/export`, `/conversations/import`."""
    table = Routes()
    conversations, portable = services.conversations, services.portable

    @table.get(
        "/conversations/{conversation_id}/export",
        access=VIEW.name,
        query=ExportQuery,
        answer=dict[str, object],
        also_types=(MARKDOWN,),
    )
    async def export(conversation_id: str) -> Response:
        """Give a conversation as a file: JSON with all its branches, or Markdown of the one that is shown."""
        actor, query = current_actor(), read_query(ExportQuery)
        found = await conversations.get(actor, reading.conversation_id(conversation_id), space=Space.CHAT)
        if query.format == "json":
            text = json.dumps(await portable.as_json(actor, found.id), ensure_ascii=False, indent=2) + "\n"
            return _file(text, f"{found.title}.json", "application/json")
        return _file(await portable.as_markdown(actor, found.id), f"{found.title}.md", f"{MARKDOWN}; charset=utf-8")

    @table.get("/chat/export", access=VIEW.name, media_type=LINES)
    async def export_all() -> Response:
        """Give all of one's conversations as a file of JSON lines."""

        async def lines() -> AsyncIterator[bytes]:
            async for line in portable.lines(current_actor(), Space.CHAT):
                yield line.encode()

        given = await answer(lines(), LINES)
        given.headers["Content-Disposition"] = _attached(f"conversations-{datetime.now(UTC):%Y-%m-%d}.jsonl")
        return given

    @table.post(
        "/conversations/import",
        access=WRITE.name,
        max_body=MAX_IMPORT,
        timeout=SECONDS,
        body=FileConversation,
        answer=ImportAnswer,
    )
    async def bring_in() -> Response:
        """Bring in what was taken along: a conversation as JSON, or several as JSON lines, each as a new one.

        A file with a fault is refused as a whole.
        """
        if request.mimetype not in OF_LINES:
            checked_type(request.mimetype, csrf="X-CSRF-Token" in request.headers)
        data: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
        made = await portable.take(current_actor(), Space.CHAT, data)
        shown: ImportAnswer = {"conversations": [conversation_shape(services.config, one) for one in made]}
        return json_response(shown)

    return list(table)


def _file(text: str, name: str, content_type: str) -> Response:
    headers = {"Content-Disposition": _attached(name), "Cache-Control": "no-store"}
    return Response(text.encode(), headers=headers, content_type=content_type)


def _attached(name: str) -> str:
    """The header by which a browser saves an answer under a name. Source: RFC 6266, 4; RFC 8187."""
    name = _NO_NAME.sub("_", name).strip(". ")[-120:] or "conversation"
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
