"""The full-text index of messages: FTS5 on SQLite, `tsvector` on PostgreSQL. Both only look up what `words` cut.

With each message's words stand two that no text can have, its user and its conversation, so that the index itself
finds the user's own among everybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from moorage.api import Hub, sql

from moorage_chat.store.words import Term, words

LONG = 20_000
"""Characters of texts that are cut into words beside the event loop."""
_USER, _CONVERSATION = "\ue000", "\ue001"
"""Of Unicode's private use: part of no word."""


async def cut(*texts: str) -> list[list[str]]:
    """The words of texts, for `put`. Before the transaction: of a megabyte it takes a tenth of a second."""
    if sum(map(len, texts)) < LONG:
        return [words(text) for text in texts]
    return await asyncio.to_thread(lambda: [words(text) for text in texts])


async def put(hub: Hub, user_id: int, conversation_id: int, ids: Sequence[int], found: Sequence[Sequence[str]]) -> None:
    """Take messages of a conversation in, in the transaction that writes them: numbers, and what `cut` found in each.

    Once for each.
    """
    marks = [f"{_USER}{user_id}", f"{_CONVERSATION}{conversation_id}"]
    rows = [(id, [*marks, *one]) for id, one in zip(ids, found, strict=True) if one]
    if hub.db.dialect == "sqlite":
        statement = 'INSERT INTO "chat_search" ("rowid", "words") VALUES (?, ?)'
        await sql.execute_many(hub, statement, [(id, " ".join(one)) for id, one in rows])
    else:
        statement = 'INSERT INTO "chat_search" ("id", "words") VALUES (?, array_to_tsvector(CAST(? AS text[])))'
        await sql.execute_many(hub, statement, rows)


async def remove(hub: Hub, ids: Sequence[int]) -> None:
    """Forget messages, at most `sql.AT_ONCE`."""
    key = "rowid" if hub.db.dialect == "sqlite" else "id"
    await sql.execute(hub, f'DELETE FROM "chat_search" WHERE "{key}" IN ({sql.marks(ids)})', ids)  # noqa: S608


def found(hub: Hub) -> str:
    """A query of the messages' numbers, as `id`, with one `?`: what `lookup` says."""
    if hub.db.dialect == "sqlite":
        return 'SELECT "rowid" AS "id" FROM "chat_search" WHERE "chat_search" MATCH ?'
    return 'SELECT "id" FROM "chat_search" WHERE "words" @@ CAST(CAST(? AS text) AS tsquery)'


def lookup(hub: Hub, wanted: Sequence[Term], *, user_id: int, conversation_id: int | None = None) -> str:
    """What the index is asked: for a user's messages (of a conversation) that have all of `wanted`."""
    marks = [f"{_USER}{user_id}"] + ([f"{_CONVERSATION}{conversation_id}"] if conversation_id is not None else [])
    # Words are letters and digits, so nothing in them can end a quote.
    if hub.db.dialect == "sqlite":
        terms = [f'"{one.text}"' + ("" if one.whole else " *") for one in wanted]
        return " AND ".join([*(f'"{mark}"' for mark in marks), *terms])
    terms = [f"'{one.text}'" + ("" if one.whole else ":*") for one in wanted]
    return " & ".join([*(f"'{mark}'" for mark in marks), *terms])
