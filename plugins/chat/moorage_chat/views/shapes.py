"""Conversations and messages as the chat contract's answers show them. Source: `api/chat.md`; the rest is ours."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired

from moorage.api import CHAT
from typing_extensions import TypedDict

from moorage_chat.config import ChatConfig
from moorage_chat.records import Conversation, Generation, Message


class ConversationShape(TypedDict):
    """A conversation. provider_id, model: of the last answer or retry. head_id: the newest message of the branch that
    is shown. title_source: "default", "first_line", "model" or "user". settings: what was set for the next answers, as
    `PATCH` takes it. shared: whether there is a link by which anybody can read it.
    """

    id: int
    title: str
    created_at: str
    updated_at: str
    title_source: str
    mode: str
    head_id: int | None
    provider_id: str | None
    model: str | None
    settings: dict[str, Any]
    shared: bool


class MessageShape(TypedDict):
    """A message. seq: its place in the order of writing; parent_id: what it follows. What is not known is left out.

    status: "complete"; "partial", broken off by a fault or the server's end; "canceled". token_usage:
    prompt_tokens, completion_tokens, total_tokens, and "estimated": true where the provider counted nothing. retry_of:
    the message of which it is a copy. parts: what is no text: reasoning, tool_calls …
    """

    id: int
    role: str
    content: str
    created_at: str
    seq: int
    parent_id: int | None
    status: str
    token_usage: NotRequired[dict[str, Any]]
    retry_of: NotRequired[int]
    provider_id: NotRequired[str]
    model: NotRequired[str]
    generation_id: NotRequired[str]
    parts: NotRequired[dict[str, Any]]


class FaultShape(TypedDict):
    """Why an answer is not whole."""

    code: str
    message: str


class GenerationShape(TypedDict):
    """An answer, while it is made and after. message_id: left out where it left no message.

    status: "queued", "running"; and when it is over "ok", "canceled", "error" or "interrupted". token_usage: as of
    messages.
    """

    generation_id: str
    conversation_id: int
    message_id: NotRequired[int]
    provider_id: str
    model: str
    status: str
    started_at: str
    ended_at: NotRequired[str]
    error: NotRequired[FaultShape]
    token_usage: NotRequired[dict[str, Any]]


class Said(TypedDict):
    """What was done, in words."""

    message: str


class AppendedAnswer(TypedDict):
    """Where a new message is."""

    message_id: int
    conversation_id: int


def stamp(config: ChatConfig, at: datetime) -> str:
    """An instant as the contract writes it: UTC without a zone, unless the operator wants one."""
    return CHAT.timestamp(at) + ("Z" if config.timestamps == "z" else "")


def conversation_shape(config: ChatConfig, found: Conversation) -> ConversationShape:
    """A conversation."""
    return {
        "id": found.id,
        "title": found.title,
        "created_at": stamp(config, found.created_at),
        "updated_at": stamp(config, found.updated_at),
        "title_source": found.title_source,
        "mode": found.mode,
        "head_id": found.head_id,
        "provider_id": found.provider,
        "model": found.model,
        "settings": dict(found.settings),
        "shared": found.shared_at is not None,
    }


def message_shape(config: ChatConfig, found: Message) -> MessageShape:
    """A message."""
    shown: MessageShape = {
        "id": found.id,
        "role": found.role.value,
        "content": found.content,
        "created_at": stamp(config, found.created_at),
        "seq": found.seq,
        "parent_id": found.parent_id,
        "status": found.status.value,
    }
    if found.usage is not None:
        shown["token_usage"] = dict(found.usage)
    if found.retry_of is not None:
        shown["retry_of"] = found.retry_of
    if found.provider is not None:
        shown["provider_id"] = found.provider
    if found.model is not None:
        shown["model"] = found.model
    if found.generation_id is not None:
        shown["generation_id"] = found.generation_id
    if found.parts:
        shown["parts"] = dict(found.parts)
    return shown


def generation_shape(config: ChatConfig, found: Generation) -> GenerationShape:
    """A generation."""
    shown: GenerationShape = {
        "generation_id": found.id,
        "conversation_id": found.conversation_id,
        "provider_id": found.provider,
        "model": found.model,
        "status": found.status.value,
        "started_at": stamp(config, found.started_at),
    }
    if found.message_id is not None:
        shown["message_id"] = found.message_id
    if found.ended_at is not None:
        shown["ended_at"] = stamp(config, found.ended_at)
    if found.error_code is not None:
        shown["error"] = {"code": found.error_code, "message": found.error_message or ""}
    if found.usage is not None:
        shown["token_usage"] = dict(found.usage)
    return shown
