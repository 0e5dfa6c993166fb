"""The tree of a conversation's messages: ways through it, and whole trees written at once.

A message is written after its parent, so that its `seq` is greater: a path is in the order of `seq`, and the newest of
all that follow a message is the end of a branch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from moorage.api import Hub, NotFound, sql

from moorage_chat.models import ChatConversation, ChatMessage
from moorage_chat.records import Message, MessageStatus, Role
from moorage_chat.store import index, rows
from moorage_chat.store.rows import MAX_ID, new_pid

ONE_BY_ONE = 4
"""Messages that are looked for by a query each, before all are taken in one."""


def gone() -> NotFound:
    """What is said of a message that is not in the conversation."""
    return NotFound("Message not found", code="MESSAGE_NOT_FOUND")


async def find(hub: Hub, conversation_id: int, ref: int | str) -> Message:
    """The message of that number or public id. NotFound (MESSAGE_NOT_FOUND), also for one of another conversation."""
    if isinstance(ref, int) and not 0 < ref <= MAX_ID:
        raise gone()
    by = '"id" = ?' if isinstance(ref, int) else '"pid" = ?'
    found = await rows.messages(hub, f'"conversation_id" = ? AND {by}', [conversation_id, ref])
    if not found:
        raise gone()
    return found[0]


async def path(
    hub: Hub, conversation_id: int, leaf_id: int | None, *, after_seq: int = 0, limit: int | None = None
) -> list[Message]:
    """The messages from the first (behind a place) to that one, without one that is still being written."""
    way = await path_ids(hub, conversation_id, leaf_id, after_seq=after_seq)
    found: list[Message] = []
    for some in sql.chunks(way, sql.AT_ONCE if limit is None else min(sql.AT_ONCE, max(1, limit))):
        wanted = f'"id" IN ({sql.marks(some)}) AND "status" <> ? ORDER BY "seq"'
        found += await rows.messages(hub, wanted, [*some, MessageStatus.RUNNING.value])
        if limit is not None and len(found) >= limit:
            break
    return found[:limit]


async def listed(hub: Hub, conversation_id: int, *, after_seq: int = 0, limit: int | None = None) -> list[Message]:
    """All messages by their places, from behind one on, without one that is still being written."""
    found: list[Message] = []
    wanted = '"conversation_id" = ? AND "seq" > ? AND "status" <> ? ORDER BY "seq" LIMIT ?'
    while limit is None or len(found) < limit:
        most = sql.AT_ONCE if limit is None else min(sql.AT_ONCE, limit - len(found))
        last = found[-1].seq if found else after_seq
        some = await rows.messages(hub, wanted, [conversation_id, last, MessageStatus.RUNNING.value, most])
        found += some
        if len(some) < most:
            break
    return found


async def path_ids(hub: Hub, conversation_id: int, leaf_id: int | None, *, after_seq: int = 0) -> list[int]:
    """As `path`: the numbers, with one that is being written."""
    if leaf_id is None:
        return []
    # By hand: models take several times as long, and the event loop waits for them.
    known = await sql.query(
        hub,
        'SELECT "id", "parent_id" FROM "chat_messages" WHERE "conversation_id" = ? AND "seq" > ? AND "id" <= ?',
        [conversation_id, after_seq, leaf_id],
    )
    parents = {row["id"]: row["parent_id"] for row in known}
    way: list[int] = []
    at: int | None = leaf_id
    while at is not None and at in parents:
        way.append(at)
        at = parents.pop(at)  # Each once, so that no data can make it endless.
    way.reverse()
    return way


async def upwards(conversation_id: int, leaf_id: int | None) -> AsyncIterator[tuple[int, Role, MessageStatus]]:
    """From a message to the first that led to it, each once: number, who says it, how it is.

    One by one to begin with, since most look for the first or second; then all at once, in one query.
    """
    known: dict[int, tuple[int | None, str, str]] = {}
    seen: set[int] = set()
    at = leaf_id
    while at is not None and at not in seen:
        if at not in known:
            rest = {"id": at} if len(seen) < ONE_BY_ONE else {"id__lte": at}
            found = ChatMessage.filter(conversation_id=conversation_id, **rest)
            known |= {id: row for id, *row in await found.values_list("id", "parent_id", "role", "status")}
        if at not in known:
            return
        seen.add(at)
        parent_id, role, status = known[at]
        yield at, Role(role), MessageStatus(status)
        at = parent_id


async def running(ids: Sequence[int]) -> set[int]:
    """Those of some messages, at most sql.AT_ONCE, that are still being written."""
    found = await ChatMessage.filter(id__in=ids, status=MessageStatus.RUNNING.value).values_list("id", flat=True)
    return set(found)  # type: ignore[arg-type]


async def newest_below(hub: Hub, conversation_id: int, message: Message) -> int:
    """The end of the branch that a message is in: the newest of all that follow it, or itself."""
    later = await sql.query(
        hub,
        'SELECT "id", "parent_id" FROM "chat_messages" WHERE "conversation_id" = ? AND "seq" > ? ORDER BY "seq"',
        [conversation_id, message.seq],
    )
    below, newest = {message.id}, message.id
    for row in later:
        if row["parent_id"] in below:
            newest = row["id"]
            below.add(newest)
    return newest


async def newest(hub: Hub, conversation_ids: Sequence[int]) -> list[Message]:
    """The newest message of each of some conversations; at most sql.AT_ONCE of them."""
    found = await sql.query(
        hub,
        'SELECT (SELECT m."id" FROM "chat_messages" m WHERE '  # noqa: S608 - only question marks are put in.
        'm."conversation_id" = c."id" AND m."status" <> ? ORDER BY m."seq" DESC LIMIT 1) AS "newest" '
        'FROM "chat_conversations" c '
        f'WHERE c."id" IN ({sql.marks(conversation_ids)})',
        [MessageStatus.RUNNING.value, *conversation_ids],
    )
    ids = [row["newest"] for row in found if row["newest"] is not None]
    return await rows.messages(hub, f'"id" IN ({sql.marks(ids)})', ids) if ids else []


async def write(hub: Hub, row: ChatConversation, messages: Sequence[Message]) -> dict[int, int]:
    """Write messages into an empty conversation: their new numbers by those that they have.

    Their parents, and what they are copies of, are among them and stand before them. Some at a time, each in a
    transaction: others write in between.
    """
    ids: dict[int, int] = {}
    for start, some in zip(range(1, len(messages) + 1, sql.AT_ONCE), sql.chunks(messages), strict=True):
        words = await index.cut(*(one.content for one in some))
        async with hub.db.transaction():
            await ChatMessage.bulk_create(
                [_row(row.id, seq, message) for seq, message in enumerate(some, start)], batch_size=40
            )
            last = start + len(some) - 1
            places = ChatMessage.filter(conversation_id=row.id, seq__gte=start, seq__lte=last).order_by("seq")
            for message, id in zip(some, await places.values_list("id", flat=True), strict=True):
                assert isinstance(id, int)
                ids[message.id] = id
            await index.put(hub, row.user_id, row.id, [ids[one.id] for one in some], words)
            links = [(_new(ids, one.parent_id), _new(ids, one.retry_of), ids[one.id]) for one in some]
            await sql.execute_many(
                hub, 'UPDATE "chat_messages" SET "parent_id" = ?, "retry_of" = ? WHERE "id" = ?', links
            )
    return ids


def _new(ids: Mapping[int, int], old: int | None) -> int | None:
    return None if old is None else ids.get(old)


def _row(conversation_id: int, seq: int, message: Message) -> ChatMessage:
    return ChatMessage(
        pid=new_pid("m"),
        conversation_id=conversation_id,
        seq=seq,
        role=message.role.value,
        content=message.content,
        status=message.status.value,
        parts=dict(message.parts),
        usage=dict(message.usage) if message.usage is not None else None,
        provider=message.provider,
        model=message.model,
        created_at=message.created_at,
    )
