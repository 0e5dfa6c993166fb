"""Rows as records, and the ids that rows are given."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from moorage.api import Hub, sql

from moorage_chat.models import ChatConversation, ChatMessage
from moorage_chat.records import Conversation, Message, MessageStatus, Role, Space

MAX_ID = 2**31 - 1
"""The greatest number of a row: PostgreSQL INT. A greater one in a request is nobody's."""
_ALPHABET = string.digits + string.ascii_lowercase
_COLUMNS = (
    '"id", "pid", "conversation_id", "seq", "parent_id", "role", "content", "status", "created_at", "retry_of", '
    '"generation_id", "usage", "parts", "provider", "model"'
)
"""In the order of `Message`'s fields."""


def new_pid(letter: str) -> str:
    """A public id: a letter and 24 of [a-z0-9], 124 random bits."""
    number, digits = secrets.randbelow(36**24), [letter]
    for _ in range(24):
        number, digit = divmod(number, 36)
        digits.append(_ALPHABET[digit])
    return "".join(digits)


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


async def messages(hub: Hub, condition: str, values: Sequence[Any]) -> list[Message]:
    """Messages by SQL that stands behind WHERE, with `?` for values: for thousands, models take ten times as long."""
    found = await sql.query(hub, f'SELECT {_COLUMNS} FROM "chat_messages" WHERE {condition}', values)  # noqa: S608
    return [_message(*row.values()) for row in found]


def _message(
    id: int,
    pid: str,
    conversation_id: int,
    seq: int,
    parent_id: int | None,
    role: str,
    content: str,
    status: str,
    created_at: str | datetime,
    retry_of: int | None,
    generation_id: str | None,
    usage: Any,
    parts: Any,
    provider: str | None,
    model: str | None,
) -> Message:
    at = datetime.fromisoformat(created_at) if isinstance(created_at, str) else created_at
    return Message(
        id,
        pid,
        conversation_id,
        seq,
        parent_id,
        Role(role),
        content,
        MessageStatus(status),
        aware(at),
        retry_of,
        generation_id,
        _json(usage),
        _json(parts),
        provider,
        model,
    )


def message_of_row(row: ChatMessage) -> Message:
    """A row as a record."""
    return _message(
        row.id,
        row.pid,
        row.conversation_id,
        row.seq,
        row.parent_id,
        row.role,
        row.content,
        row.status,
        row.created_at,
        row.retry_of,
        row.generation_id,
        row.usage,
        row.parts,
        row.provider,
        row.model,
    )


def _json(value: Any) -> Any:
    """A column of JSON: drivers give its text, models what is in it."""
    if not isinstance(value, str):
        return value
    return {} if value == "{}" else json.loads(value)


def aware(at: datetime) -> datetime:
    """A time of the database, in UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
