"""Search in titles and in what was said. Our own."""

from __future__ import annotations

from typing import Annotated

from moorage.api import Route, Routes, current_actor, json_response, read_query
from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage_chat.records import Conversation, Space
from moorage_chat.rights import VIEW
from moorage_chat.store.rows import MAX_ID
from moorage_chat.store.search import Hit
from moorage_chat.views.services import Services
from moorage_chat.views.shapes import stamp

TITLES = 10
"""Conversations found by their titles that stand before the messages."""


class SearchQuery(BaseModel):
    """GET /chat/search."""

    q: Annotated[str, Field(min_length=1, max_length=500)] = Field(description="Words, or beginnings of words.")
    conversation_id: Annotated[int, Field(ge=1, le=MAX_ID)] | None = Field(None, description="Only in this one.")
    limit: int = Field(20, ge=1, le=200)
    offset: int = Field(0, ge=0, le=MAX_ID, description="Messages that are left out.")


class FoundShape(TypedDict):
    """What was found. A conversation that was found by its title has no message here: nulls, and "" for the snippet.

    snippet: a line of the message; marks: where in it the words are, as [start, end] in characters.
    """

    conversation_id: int
    title: str
    updated_at: str
    message_id: int | None
    role: str | None
    created_at: str | None
    snippet: str
    marks: list[list[int]]


def routes(services: Services) -> list[Route]:
    """`/chat/search`."""
    table = Routes()

    @table.get("/chat/search", access=VIEW.name, query=SearchQuery, answer=list[FoundShape])
    async def search() -> Response:
        """Find one's messages that have all of some words, or beginnings of words, the newest first.

        Capitals and accents do not matter. The first page begins with conversations whose title contains the text.
        """
        actor, query = current_actor(), read_query(SearchQuery)
        within = None
        titles: list[Conversation] = []
        if query.conversation_id is not None:
            within = await services.conversations.get(actor, query.conversation_id, space=Space.CHAT)
        elif query.offset == 0:
            titles = await services.conversations.page(actor, Space.CHAT, q=query.q, limit=TITLES, offset=0)
        hits = await services.search.find(
            actor, Space.CHAT, query.q, conversation=within, limit=query.limit, offset=query.offset
        )
        found = [_title(services, one) for one in titles] + [_message(services, one) for one in hits]
        return json_response(found)

    return list(table)


def _title(services: Services, found: Conversation) -> FoundShape:
    return {
        "conversation_id": found.id,
        "title": found.title,
        "updated_at": stamp(services.config, found.updated_at),
        "message_id": None,
        "role": None,
        "created_at": None,
        "snippet": "",
        "marks": [],
    }


def _message(services: Services, hit: Hit) -> FoundShape:
    return {
        **_title(services, hit.conversation),
        "message_id": hit.message.id,
        "role": hit.message.role.value,
        "created_at": stamp(services.config, hit.message.created_at),
        "snippet": hit.excerpt,
        "marks": [[start, end] for start, end in hit.marks],
    }
