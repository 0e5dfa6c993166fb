"""Rows as records, and the ids that rows are given."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from moorage_chat.models import ChatConversation, ChatMessage
from moorage_chat.records import Conversation, Message, MessageStatus, Role, Space

MAX_ID = 2**31 - 1
"""The greatest number of a row: PostgreSQL INT. A greater one in a request is nobody's."""
AT_ONCE = 500
"""Ids or rows in one statement: SQLite takes some hundred parameters everywhere."""
_ALPHABET = string.ascii_lowercase + string.digits
MESSAGE_COLUMNS = (
    "id",
    "pid",
    "conversation_id",
    "seq",
    "parent_id",
    "role",
    "content",
    "status",
    "created_at",
    "retry_of",
    "generation_id",
    "usage",
    "parts",
    "provider",
    "model",
)
"""In the order of `Message`'s fields."""


def new_pid(letter: str) -> str:
    """A public id: a letter and 24 of [a-z0-9], 124 random bits."""
    return letter + "".join(secrets.choice(_ALPHABET) for _ in range(24))


def conversation_of(row: ChatConversation) -> Conversation:
    """A row as a record."""
    return Conversation(
        id=row.id,
        pid=row.pid,
        user_id=row.user_id,
        user_pid=row.user_pid,
        space=Space(row.space),
        title=row.title,
        title_source=row.title_source,
        mode=row.mode,
        head_id=row.head_id,
        provider=row.provider,
        model=row.model,
        created_at=aware(row.created_at),
        updated_at=aware(row.updated_at),
        settings=row.settings,
        shared_at=aware(row.shared_at) if row.shared_at is not None else None,
    )


def message_of(values: Iterable[Any]) -> Message:
    """The values of `MESSAGE_COLUMNS` as a record."""
    id, pid, conversation_id, seq, parent_id, role, content, status, created_at, *rest = values
    return Message(
        id, pid, conversation_id, seq, parent_id, Role(role), content, MessageStatus(status), aware(created_at), *rest
    )


def message_of_row(row: ChatMessage) -> Message:
    """A row as a record."""
    return message_of(getattr(row, name) for name in MESSAGE_COLUMNS)


def aware(at: datetime) -> datetime:
    """A time of the database, in UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
