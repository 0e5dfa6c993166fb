"""Generations and their events in the database: every query of the two tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from moorage.api import sql

from moorage_chat.models import ChatEvents, ChatGeneration, ChatMessage
from moorage_chat.records import Event, Generation, GenerationStatus
from moorage_chat.store.rows import aware

ACTIVE = (GenerationStatus.QUEUED.value, GenerationStatus.RUNNING.value)
PER_ROW = 500
"""Events of one row at most."""
PER_STATEMENT = 100
"""Rows of one statement."""


# -- generations -------------------------------------------------------------------------------------------------


async def create(generation: Generation, server: str, params: Mapping[str, Any]) -> None:
    """Write a new one down. server: where it runs; params: how it was to answer."""
    await ChatGeneration.create(
        id=generation.id,
        conversation_id=generation.conversation_id,
        user_id=generation.user_id,
        message_id=generation.message_id,
        server=server,
        provider=generation.provider,
        model=generation.model,
        params=dict(params),
        status=generation.status.value,
        started_at=generation.started_at,
    )


async def find(id: str) -> Generation | None:
    """One; None when there is none."""
    row = await ChatGeneration.get_or_none(id=id)
    return None if row is None else record(row)


async def of_conversation(conversation_id: int, *, active: bool, limit: int) -> list[Generation]:
    """Those of a conversation, the newest first."""
    query = ChatGeneration.filter(conversation_id=conversation_id)
    if active:
        query = query.filter(status__in=ACTIVE)
    return [record(row) for row in await query.order_by("-started_at", "id").limit(limit)]


async def ids(conversation_id: int) -> list[str]:
    """Those of a conversation, in any order."""
    found = await ChatGeneration.filter(conversation_id=conversation_id).values_list("id", flat=True)
    return [str(id) for id in found]


async def active(server: str | None = None, *, before: datetime | None = None) -> list[tuple[Generation, str]]:
    """Those that are not over, with their servers: of one server, or begun before that time."""
    query = ChatGeneration.filter(status__in=ACTIVE)
    if server is not None:
        query = query.filter(server=server)
    if before is not None:
        query = query.filter(started_at__lt=before)
    return [(record(row), row.server) for row in await query.order_by("started_at")]


async def server_of(id: str) -> str | None:
    """The server that one runs on; None when there is none of that id, or it is over."""
    found = await ChatGeneration.filter(id=id, status__in=ACTIVE).values_list("server", flat=True)
    return str(found[0]) if found else None


async def change(generation: Generation) -> None:
    """Write down how one that is not over is now: whether it waits, and who answers."""
    await ChatGeneration.filter(id=generation.id, status__in=ACTIVE).update(
        status=generation.status.value, provider=generation.provider, model=generation.model
    )


async def end(generation: Generation) -> bool:
    """Write down how one ended. False when it is over already, or not there any more: then nothing is changed."""
    return bool(
        await ChatGeneration.filter(id=generation.id, status__in=ACTIVE).update(
            status=generation.status.value,
            provider=generation.provider,
            model=generation.model,
            message_id=generation.message_id,
            error_code=generation.error_code,
            error_message=generation.error_message,
            usage=None if generation.usage is None else dict(generation.usage),
            ended_at=generation.ended_at,
        )
    )


async def unlink(id: str) -> None:
    """It has left no message."""
    await ChatGeneration.filter(id=id).update(message_id=None)


def record(row: ChatGeneration) -> Generation:
    """A row as what the parts hand to each other."""
    return Generation(
        id=row.id,
        conversation_id=row.conversation_id,
        user_id=row.user_id,
        message_id=row.message_id,
        provider=row.provider,
        model=row.model,
        status=GenerationStatus(row.status),
        started_at=aware(row.started_at),
        ended_at=None if row.ended_at is None else aware(row.ended_at),
        error_code=row.error_code,
        error_message=row.error_message,
        usage=row.usage,
    )


# -- events ------------------------------------------------------------------------------------------------------


def rows(generation_id: str, events: Sequence[Event]) -> list[ChatEvents]:
    """Events of one generation as rows, not written yet."""
    found = []
    for start in range(0, len(events), PER_ROW):
        some = events[start : start + PER_ROW]
        kept = [[event.seq, event.type, dict(event.data)] for event in some]
        found.append(ChatEvents(generation_id=generation_id, first_seq=some[0].seq, last_seq=some[-1].seq, events=kept))
    return found


async def write(new: Sequence[ChatEvents]) -> None:
    """Write rows of events. IntegrityError when some are there already."""
    await ChatEvents.bulk_create(new, batch_size=PER_STATEMENT)


async def last_written(ids: Iterable[str]) -> dict[str, int]:
    """The number of the last event that is there, by generation."""
    found: dict[str, int] = {}
    for id in ids:
        last = await ChatEvents.filter(generation_id=id).order_by("-first_seq").first()
        found[id] = 0 if last is None else last.last_seq
    return found


async def read(id: str, after: int, rows: int = 20) -> list[Event]:
    """The next events after that number, some rows' worth at a time."""
    found = await ChatEvents.filter(generation_id=id, last_seq__gt=after).order_by("first_seq").limit(rows)
    return [Event(seq, type, data) for row in found for seq, type, data in row.events if seq > after]


async def said(message_id: int) -> tuple[str, Mapping[str, Any]]:
    """What is stored of an answer: its text, and its parts that are none."""
    row = await ChatMessage.get_or_none(id=message_id)
    return ("", {}) if row is None else (row.content, row.parts)


# -- what is let go ----------------------------------------------------------------------------------------------


async def forget_events(ids: Sequence[str]) -> None:
    """Remove the events of some generations."""
    for some in sql.chunks(ids):
        await ChatEvents.filter(generation_id__in=some).delete()


async def forget(ids: Sequence[str]) -> None:
    """Remove some generations, their events too."""
    for some in sql.chunks(ids):
        await forget_events(some)
        await ChatGeneration.filter(id__in=some).delete()


async def ended(after: datetime, before: datetime) -> list[str]:
    """Generations that ended in that time."""
    found = await ChatGeneration.filter(ended_at__gte=after, ended_at__lt=before).values_list("id", flat=True)
    return [str(id) for id in found]


async def lost_events(before: datetime, after: str = "", limit: int = 500) -> tuple[list[str], str | None]:
    """Of the next generations that have events: those that are not there any more or ended before that time.

    With the id from which to go on, None at the end.
    """
    ids = await (
        ChatEvents.filter(generation_id__gt=after)
        .order_by("generation_id")
        .distinct()
        .limit(limit)
        .values_list("generation_id", flat=True)
    )
    names = [str(id) for id in ids]
    kept: set[str] = set()
    for some in sql.chunks(names):
        rows = await ChatGeneration.filter(id__in=some)
        kept |= {row.id for row in rows if row.ended_at is None or aware(row.ended_at) >= before}
    return [name for name in names if name not in kept], names[-1] if len(names) == limit else None
