"""Conversations and messages of Orbital. Source: `api/orbital.md`, Chat Endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Annotated, Literal, NotRequired

from moorage.api import ORBITAL, Route, Routes, current_actor, json_response, read_query
from pydantic import BaseModel, Field, StrictStr
from quart import Response
from typing_extensions import TypedDict

from moorage_chat.records import Conversation, Message, Role, Space
from moorage_chat.rights import VIEW, WRITE
from moorage_chat.views import reading
from moorage_chat.views.listing import answer, array, compact
from moorage_chat.views.messages import batches
from moorage_chat.views.reading import MAX_BODY, PageQuery, Title, conversation_pid, read_body
from moorage_chat.views.services import Services

MANY = "/api/conversations"
ONE = MANY + "/{id}"
MESSAGES = ONE + "/messages"


class ListQuery(PageQuery):
    """GET /api/conversations. A page past the end is empty."""

    messages: Literal["newest", "all"] = Field("newest", description='"all": not only the newest message of each.')


class NewBody(BaseModel):
    """POST /api/conversations. An empty title is none."""

    mode: Literal["chat", "tool", "agent"] | None = None
    title: Title | None = None


class TitleBody(BaseModel):
    """PUT /api/conversations/{id}. An empty title is none: the first line becomes it again."""

    title: Title


class SaidBody(BaseModel):
    """POST /api/conversations/{id}/messages. content: text, whatever it holds."""

    role: Literal["user", "assistant", "system", "tool"]
    content: Annotated[StrictStr, Field(min_length=1)]


class ListedMessage(TypedDict):
    """A message within its conversation."""

    id: str
    role: str
    content: str
    createdAt: str


class OrbitalMessage(ListedMessage):
    """A message by itself."""

    conversationId: str


class OrbitalConversation(TypedDict):
    """A conversation. messages: in the order of their writing; of lists, the newest alone."""

    id: str
    userId: str
    title: str
    mode: str
    createdAt: str
    updatedAt: str
    messages: NotRequired[list[ListedMessage]]


def routes(services: Services) -> list[Route]:
    """All of them."""
    return [*_many(services), *_one(services), *_messages(services)]


def _many(services: Services) -> Routes:
    table = Routes()
    conversations = services.conversations

    @table.post(MANY, access=WRITE.name, dialect=ORBITAL, max_body=MAX_BODY, body=NewBody, answer=OrbitalConversation)
    async def create() -> Response:
        """Begin a conversation. Without a title it is called after its first message."""
        body = await read_body(NewBody)
        made = await conversations.create(current_actor(), Space.ORBITAL, title=body.title, mode=body.mode or "chat")
        return json_response(conversation_shape(made))

    @table.get(MANY, access=VIEW.name, dialect=ORBITAL, query=ListQuery, answer=list[OrbitalConversation])
    async def list_conversations() -> Response:
        """List one's conversations, the one that changed last first, each with its newest message."""
        query = read_query(ListQuery)
        found = await conversations.page(current_actor(), Space.ORBITAL, limit=query.limit, offset=query.offset)
        if query.messages == "all":
            return await answer(_all(services, found))
        newest: Mapping[int, Message] = await services.messages.newest([one.id for one in found])
        return json_response([conversation_shape(one, [newest[one.id]] if one.id in newest else []) for one in found])

    return table


def _one(services: Services) -> Routes:
    table = Routes()
    conversations = services.conversations

    @table.get(ONE, access=VIEW.name, dialect=ORBITAL, answer=OrbitalConversation)
    async def get(id: str) -> Response:
        """Show a conversation with all its messages."""
        found = await conversations.get(current_actor(), conversation_pid(id), space=Space.ORBITAL)
        return await answer(_whole(services, found))

    @table.put(ONE, access=WRITE.name, dialect=ORBITAL, max_body=MAX_BODY, body=TitleBody, answer=OrbitalConversation)
    async def rename(id: str) -> Response:
        """Give a conversation another title."""
        ref, body = conversation_pid(id), await read_body(TitleBody)
        changed = await conversations.change(current_actor(), ref, title=body.title, space=Space.ORBITAL)
        return json_response(conversation_shape(changed))

    @table.delete(ONE, access=WRITE.name, dialect=ORBITAL, max_body=MAX_BODY, answer=dict[str, bool])
    async def delete(id: str) -> Response:
        """Delete a conversation with all its messages."""
        await conversations.delete(current_actor(), conversation_pid(id), space=Space.ORBITAL)
        return json_response({"success": True})

    return table


def _messages(services: Services) -> Routes:
    table = Routes()
    conversations, messages = services.conversations, services.messages

    @table.post(
        MESSAGES,
        access=WRITE.name,
        dialect=ORBITAL,
        max_body=reading.message_bytes(services.config),
        body=SaidBody,
        answer=OrbitalMessage,
    )
    async def append(id: str) -> Response:
        """Write down what somebody said, the user or the client's own model; no model is asked."""
        ref, body = conversation_pid(id), await read_body(SaidBody)
        found = await conversations.get(current_actor(), ref, WRITE, space=Space.ORBITAL)
        made = await messages.append(found, Role(body.role), body.content)
        return json_response(message_shape(found, made))

    @table.get(MESSAGES, access=VIEW.name, dialect=ORBITAL, answer=list[OrbitalMessage])
    async def list_messages(id: str) -> Response:
        """List a conversation's messages in the order of their writing."""
        found = await conversations.get(current_actor(), conversation_pid(id), space=Space.ORBITAL)
        shown = batches(services, found)
        return await answer(array([message_shape(found, one) for one in batch] async for batch in shown))

    return table


async def _whole(services: Services, found: Conversation) -> AsyncIterator[bytes]:
    """A conversation with all its messages, as JSON in pieces."""
    yield compact(conversation_shape(found))[:-1] + b',"messages":'
    async for piece in array([_listed(one) for one in batch] async for batch in batches(services, found)):
        yield piece
    yield b"}"


async def _all(services: Services, found: Iterable[Conversation]) -> AsyncIterator[bytes]:
    """The same of several, as a JSON array."""
    yield b"["
    for number, one in enumerate(found):
        yield b"," if number else b""
        async for piece in _whole(services, one):
            yield piece
    yield b"]"


def conversation_shape(found: Conversation, said: list[Message] | None = None) -> OrbitalConversation:
    """A conversation, with messages if there is to be a list of them."""
    shown: OrbitalConversation = {
        "id": found.pid,
        "userId": found.user_pid,
        "title": found.title,
        "mode": found.mode,
        "createdAt": ORBITAL.timestamp(found.created_at),
        "updatedAt": ORBITAL.timestamp(found.updated_at),
    }
    if said is not None:
        shown["messages"] = [_listed(one) for one in said]
    return shown


def message_shape(conversation: Conversation, found: Message) -> OrbitalMessage:
    """A message by itself."""
    return {**_listed(found), "conversationId": conversation.pid}


def _listed(found: Message) -> ListedMessage:
    return {
        "id": found.pid,
        "role": found.role.value,
        "content": found.content,
        "createdAt": ORBITAL.timestamp(found.created_at),
    }
