"""Messages. Source: `api/chat.md`, Messages; editing and branches are ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from moorage.api import Route, Routes, current_actor, current_request, json_response, parse_json, read_query, validate
from quart import Response, request

from moorage_chat.records import Conversation, Message, Role, Space
from moorage_chat.rights import VIEW, WRITE
from moorage_chat.store.idempotency import HEADER, REPLAYED, read_key
from moorage_chat.views import reading
from moorage_chat.views.listing import BATCH, answer, array
from moorage_chat.views.reading import MessageBody, MessagesQuery, body_bytes
from moorage_chat.views.services import Services
from moorage_chat.views.shapes import AppendedAnswer, MessageShape, message_shape

ALL = "/conversations/{conversation_id}/messages"


def routes(services: Services) -> list[Route]:
    """All of them."""
    table = Routes()
    config, conversations, messages = services.config, services.conversations, services.messages

    @table.get(ALL, access=VIEW.name, query=MessagesQuery, answer=list[MessageShape])
    async def list_messages(conversation_id: str) -> Response:
        """List a conversation's messages in the order of their writing: of all branches, or of the one that is shown.

        An answer that is being made is not among them.
        """
        query = read_query(MessagesQuery)
        ref = reading.conversation_id(conversation_id)
        found = await conversations.get(current_actor(), ref, space=Space.CHAT)
        shown = batches(services, found, branch=query.branch, after_seq=query.after_seq, limit=query.limit)
        return await answer(array([message_shape(config, one) for one in batch] async for batch in shown))

    @table.post(ALL, access=WRITE.name, max_body=reading.message_bytes(config), body=MessageBody, answer=AppendedAnswer)
    async def append(conversation_id: str) -> Response:
        """Say something at the end of the branch that is shown; no model is asked.

        `edit_of` says it in the place of an earlier message, which stays: what follows is another branch. With an
        Idempotency-Key, the same request again within a day adds nothing and is answered as the first was.
        """
        actor, ref = current_actor(), reading.conversation_id(conversation_id)
        raw = await body_bytes()
        key = read_key(actor, request.headers.get(HEADER), f"POST {current_request().path}", raw)
        body = validate(MessageBody, parse_json(raw))
        found = await conversations.get(actor, ref, WRITE, space=Space.CHAT)

        async def add() -> dict[str, Any]:
            made = await messages.append(found, Role.USER, body.content, edit_of=body.edit_of)
            return {"message_id": made.id, "conversation_id": made.conversation_id}

        made, before = await services.idempotency.once(key, add)
        return json_response(made, headers={REPLAYED: "true"} if before else None)

    return list(table)


async def batches(
    services: Services, conversation: Conversation, *, branch: str = "all", after_seq: int = 0, limit: int | None = None
) -> AsyncIterator[Sequence[Message]]:
    """A conversation's messages, some at a time."""
    listed = services.messages.listed
    if branch == "active":
        way = await listed(conversation, branch="active", after_seq=after_seq, limit=limit)
        for start in range(0, len(way), BATCH):
            yield way[start : start + BATCH]
        return
    left = limit
    while left is None or left > 0:
        size = BATCH if left is None else min(BATCH, left)
        batch = await listed(conversation, after_seq=after_seq, limit=size)
        yield batch
        if len(batch) < size:
            return
        after_seq = batch[-1].seq
        left = None if left is None else left - size
