"""What the parts of the plugin hand to each other: conversations, messages, generations, as frozen records."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


class Space(enum.StrEnum):
    """Whose list a conversation is in: each contract's clients see their own, unless the operator joins them."""

    CHAT = "chat"
    ORBITAL = "orbital"


class Role(enum.StrEnum):
    """Who says a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class MessageStatus(enum.StrEnum):
    """RUNNING: an answer that is being made; it has its place and is in no list."""

    RUNNING = "running"
    COMPLETE = "complete"
    PARTIAL = "partial"
    """Broken off by a fault or by the server's end."""
    CANCELED = "canceled"
    """Stopped by somebody."""


class GenerationStatus(enum.StrEnum):
    """The states of a generation; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    OK = "ok"
    CANCELED = "canceled"
    ERROR = "error"
    INTERRUPTED = "interrupted"

    @property
    def active(self) -> bool:
        """Whether it goes on."""
        return self in (GenerationStatus.QUEUED, GenerationStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of a user. head_id: the newest message of the branch that is shown, None for an empty one.

    title_source: "default", "first_line", "model" or "user". provider, model: of the last generation or retry.
    settings: what the user, or a retry, has set for the next answers. shared_at: since when there is a share link.
    """

    id: int
    pid: str
    user_id: int
    user_pid: str
    space: Space
    title: str
    title_source: str
    mode: str
    head_id: int | None
    provider: str | None
    model: str | None
    created_at: datetime
    updated_at: datetime
    settings: Mapping[str, Any] = field(default_factory=dict)
    shared_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message. seq: its place in the conversation, in the order of writing; parent_id: what it follows.

    retry_of: the message of which it is a copy. usage: {"prompt_tokens", "completion_tokens", "total_tokens"} and
    "estimated": true where the provider told nothing. parts: what is not text: {"reasoning": str, "tool_calls": […],
    "tool_call_id": str, …}.
    """

    id: int
    pid: str
    conversation_id: int
    seq: int
    parent_id: int | None
    role: Role
    content: str
    status: MessageStatus
    created_at: datetime
    retry_of: int | None = None
    generation_id: str | None = None
    usage: Mapping[str, Any] | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    provider: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One run of a model for a conversation. id: a UUID, as clients see it. message_id: the answer's message.

    error_code, error_message: one of `providers.base.ErrorCode` and a text that may be shown.
    """

    id: str
    conversation_id: int
    user_id: int
    message_id: int | None
    provider: str
    model: str
    status: GenerationStatus
    started_at: datetime
    ended_at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None
    usage: Mapping[str, Any] | None = None


class Event(NamedTuple):
    """An event of a generation. seq: its number, from 1; 0 for one that is in no log. data: without `generation_id`."""

    seq: int
    type: str
    data: Mapping[str, Any]
