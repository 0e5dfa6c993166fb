"""Conversations. Source: `api/chat.md`, Conversations; branches and forks are ours."""

from __future__ import annotations

from moorage.api import Route, Routes, current_actor, json_response, read_query
from quart import Response

from moorage_chat.records import Space
from moorage_chat.rights import VIEW, WRITE
from moorage_chat.views import reading
from moorage_chat.views.reading import (
    MAX_BODY,
    ChangeBody,
    ConversationBody,
    ConversationsQuery,
    MessageRefBody,
    read_body,
)
from moorage_chat.views.services import Services
from moorage_chat.views.shapes import ConversationShape, Said, conversation_shape

ONE = "/conversations/{conversation_id}"


def routes(services: Services) -> list[Route]:
    """All of them."""
    return [*_many(services), *_one(services), *_branches(services)]


def _many(services: Services) -> Routes:
    table = Routes()
    config, conversations = services.config, services.conversations

    @table.get("/conversations", access=VIEW.name, query=ConversationsQuery, answer=list[ConversationShape])
    async def list_conversations() -> Response:
        """List one's conversations, the one that changed last first; with `q`, those whose title contains it."""
        query = read_query(ConversationsQuery)
        found = await conversations.page(
            current_actor(),
            Space.CHAT,
            q=query.q,
            in_messages=query.where == "messages",
            limit=query.limit,
            offset=query.offset,
        )
        return json_response([conversation_shape(config, one) for one in found])

    @table.post("/conversations", access=WRITE.name, max_body=MAX_BODY, body=ConversationBody, answer=ConversationShape)
    async def create() -> Response:
        """Begin a conversation. Without a title it is called after its first message."""
        body = await read_body(ConversationBody)
        made = await conversations.create(current_actor(), Space.CHAT, title=body.title)
        return json_response(conversation_shape(config, made))

    return table


def _one(services: Services) -> Routes:
    table = Routes()
    config, conversations = services.config, services.conversations

    @table.get(ONE, access=VIEW.name, answer=ConversationShape)
    async def get(conversation_id: str) -> Response:
        """Show a conversation."""
        found = await conversations.get(current_actor(), reading.conversation_id(conversation_id), space=Space.CHAT)
        return json_response(conversation_shape(config, found))

    @table.patch(ONE, access=WRITE.name, max_body=MAX_BODY, body=ChangeBody, answer=Said)
    async def change(conversation_id: str) -> Response:
        """Give a conversation another title, or set by what its next answers are made."""
        ref, body = reading.conversation_id(conversation_id), await read_body(ChangeBody)
        wanted = body.settings.given() if body.settings is not None else {}
        await services.settings.change(current_actor(), ref, title=body.title, wanted=wanted, space=Space.CHAT)
        said = "Conversation changed" if body.title is None else "Conversation renamed"
        return json_response({"message": said})

    @table.delete(ONE, access=WRITE.name, max_body=MAX_BODY, answer=Said)
    async def delete(conversation_id: str) -> Response:
        """Delete a conversation with all its messages. An answer that is being made is stopped."""
        await conversations.delete(current_actor(), reading.conversation_id(conversation_id), space=Space.CHAT)
        return json_response({"message": "Conversation deleted"})

    return table


def _branches(services: Services) -> Routes:
    table = Routes()
    config, conversations = services.config, services.conversations

    @table.put(ONE + "/head", access=WRITE.name, max_body=MAX_BODY, body=MessageRefBody, answer=ConversationShape)
    async def set_head(conversation_id: str) -> Response:
        """Show the branch that a message is on, to its newest end. What is said next goes on from there."""
        ref, body = reading.conversation_id(conversation_id), await read_body(MessageRefBody)
        changed = await conversations.set_head(current_actor(), ref, body.message_id, space=Space.CHAT)
        return json_response(conversation_shape(config, changed))

    @table.post(ONE + "/fork", access=WRITE.name, max_body=MAX_BODY, body=MessageRefBody, answer=ConversationShape)
    async def fork(conversation_id: str) -> Response:
        """Copy a message and all that led to it into a conversation of its own."""
        ref, body = reading.conversation_id(conversation_id), await read_body(MessageRefBody)
        made = await conversations.fork(current_actor(), ref, body.message_id, space=Space.CHAT)
        return json_response(conversation_shape(config, made))

    return table
