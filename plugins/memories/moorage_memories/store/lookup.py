"""Memories by their words: FTS5 on SQLite, `tsvector` on PostgreSQL. Both only look up what `words` cut.

With each memory's words stand two that no text can have, its user and its store: so the index itself finds one user's
among everybody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from moorage.api import Hub, sql

from moorage_memories.store.conditions import Condition
from moorage_memories.store.words import Term

Hits = list[tuple[int, float]]
"""Rows' ids with their scores, best first."""
_USER, _STORE = "\ue000", "\ue001"
"""Of Unicode's private use: part of no word."""
_SQLITE_ENTRIES = 'CROSS JOIN "memories_entries" m ON m."id" = '
_POSTGRES_ENTRIES = 'CROSS JOIN LATERAL (SELECT * FROM "memories_entries" e WHERE e."id" = {} OFFSET 0) m'
"""Both say in which order: words first, then each memory by its id. Else either may look at all of a user's memories
for each that was found, PostgreSQL as long as it has not counted them anew.
"""
MOST_TIMES = 20
"""How often a word is counted in one memory on PostgreSQL: more changes next to nothing."""
K1, B = 1.2, 0.75
"""BM25's, as FTS5 has them."""


class Shelf(NamedTuple):
    """Whose memories are looked up: a user's, of one store or of all."""

    user_id: int
    store_id: int | None

    @property
    def mark(self) -> str:
        """The word that they, and no others, have."""
        return f"{_USER}{self.user_id}" if self.store_id is None else f"{_STORE}{self.store_id}"


async def put(hub: Hub, shelf: Shelf, ids: Sequence[int], cut: Sequence[Sequence[str]]) -> None:
    """Take memories in that are not there, in the transaction that writes them."""
    marks = f"{_USER}{shelf.user_id} {_STORE}{shelf.store_id}"
    if hub.db.dialect == "sqlite":
        statement = 'INSERT INTO "memories_search" ("rowid", "owner", "words") VALUES (?, ?, ?)'
        rows = [(id, marks, " ".join(words)) for id, words in zip(ids, cut, strict=True)]
        await sql.execute_many(hub, statement, rows)
        return
    statement = (
        'INSERT INTO "memories_search" ("id", "user_id", "length", "words") '
        "VALUES (?, ?, ?, CAST(CAST(? AS text) AS tsvector))"
    )
    vectors = [f"{marks} {_vector(words)}" for words in cut]
    lengths = map(len, cut)
    await sql.execute_many(
        hub, statement, [(id, shelf.user_id, *row) for id, *row in zip(ids, lengths, vectors, strict=True)]
    )


async def remove(hub: Hub, ids: Sequence[int]) -> None:
    """Forget memories."""
    key = "rowid" if hub.db.dialect == "sqlite" else "id"
    for some in sql.chunks(ids):
        await sql.execute(hub, f'DELETE FROM "memories_search" WHERE "{key}" IN ({sql.marks(some)})', some)  # noqa: S608


async def newest(hub: Hub, shelf: Shelf, terms: Sequence[Term], condition: Condition, limit: int) -> Hits:
    """Those that have all of the words, or words that begin so: the newest."""
    if hub.db.dialect == "sqlite":
        words = " AND ".join(f'"{one.text}"' + ("" if _whole(one) else " *") for one in terms)
        asked = f'owner : "{shelf.mark}" AND words : ({words})'
        found = 'SELECT "rowid" AS "id" FROM "memories_search" WHERE "memories_search" MATCH ?'
    else:
        words = " & ".join(f"'{one.text}'" + ("" if _whole(one) else ":*") for one in terms)
        asked = f"'{shelf.mark}' & {words}"
        found = 'SELECT "id" FROM "memories_search" WHERE "words" @@ CAST(CAST(? AS text) AS tsquery)'
    entries = _entries(hub, 's."id"')
    rows = await sql.query(
        hub,
        f'SELECT m."id" FROM ({found}) s {entries} '  # noqa: S608 - nothing typed.
        f'WHERE {condition.sql} ORDER BY m."created_at" DESC, m."id" DESC LIMIT ?',
        [asked, *condition.values, limit],
    )
    return [(row["id"], 1.0) for row in rows]


async def ranked(hub: Hub, shelf: Shelf, words: Sequence[str], condition: Condition | None, limit: int) -> Hits:
    """Those that have any of the words, by BM25: the rarer a word, the more often and the shorter, the better.

    condition: None lets all of the shelf through, which is faster.
    """
    if hub.db.dialect == "sqlite":
        return await _ranked_sqlite(hub, shelf, words, condition, limit)
    return await _ranked_postgres(hub, shelf, words, condition, limit)


async def _ranked_sqlite(hub: Hub, shelf: Shelf, words: Sequence[str], condition: Condition | None, limit: int) -> Hits:
    asked = f'owner : "{shelf.mark}" AND words : (' + " OR ".join(f'"{one}"' for one in words) + ")"
    join, values = _joined(hub, condition, 's."rowid"')
    rows = await sql.query(
        hub,
        # The first column, whose they are, weighs nothing.
        'SELECT s."rowid" AS "id", -bm25("memories_search", 0.0, 1.0) AS "score" '  # noqa: S608 - nothing typed.
        f'FROM "memories_search" s{join} AND "memories_search" MATCH ? ORDER BY "score" DESC, "id" DESC LIMIT ?',
        [*values, asked, limit],
    )
    return [(row["id"], row["score"]) for row in rows]


async def _ranked_postgres(
    hub: Hub, shelf: Shelf, words: Sequence[str], condition: Condition | None, limit: int
) -> Hits:
    """PostgreSQL ranks by how often a word is there, and not by how rare it is. So its rank only gives the number:

    of one word that is there n times, `ts_rank` is the sum of 1/k² up to n, divided by π²/6. What that lacks to 1 is
    some 6/π² / (n + 1/2).
    """
    numbers = range(len(words))
    asked = ", ".join(f'CAST(CAST(? AS text) AS tsquery) AS "q{n}"' for n in numbers)
    ranks = ", ".join(f"""ts_rank('{{1,1,1,1}}', s."words", "q{n}") AS "n{n}\"""" for n in numbers)
    seen = ", ".join(f'COUNT(*) FILTER (WHERE "n{n}" > 0) AS "c{n}"' for n in numbers)
    score = " + ".join(_worth(n) for n in numbers)
    join, values = _joined(hub, condition, 's."id"')
    async with hub.db.transaction():
        # Compiling the formula takes seconds, and computing it a few milliseconds.
        await sql.query(hub, "SELECT set_config('jit', 'off', true)")
        rows = await sql.query(
            hub,
            f'WITH "asked" AS MATERIALIZED (SELECT CAST(CAST(? AS text) AS tsquery) AS "any", {asked}), '  # noqa: S608
            f'"found" AS MATERIALIZED (SELECT s."id", s."length", {ranks} FROM "memories_search" s, "asked" '
            'WHERE s."words" @@ "any"), '
            f'"known" AS (SELECT COUNT(*) AS "all", AVG("length") AS "mean", {seen} FROM "found"), '
            '"size" AS (SELECT "memories" FROM "memories_owners" WHERE "user_id" = ?) '
            f'SELECT s."id", {score} AS "score" FROM "found" s CROSS JOIN "known" CROSS JOIN "size"{join} '
            'ORDER BY "score" DESC, s."id" DESC LIMIT ?',
            [_any(shelf, words), *(f"'{one}'" for one in words), shelf.user_id, *values, limit],
        )
    return [(row["id"], float(row["score"])) for row in rows]


def _worth(n: int) -> str:
    """What a word adds to a memory's score: its rarity among the user's memories, by how often it is in this one."""
    rarity = f'LN(1 + (GREATEST("memories", "all") - "c{n}" + 0.5) / ("c{n}" + 0.5))'
    times = f'(1 / (1.644934 * (1 - "n{n}")) - 0.5)'
    norm = f'{K1} * ({1 - B} + {B} * s."length" / GREATEST("mean", 1))'
    return f'CASE WHEN "n{n}" > 0 THEN {rarity} * {times} * {K1 + 1} / ({times} + {norm}) ELSE 0 END'


async def texts(hub: Hub, ids: Sequence[int]) -> Mapping[int, frozenset[str]]:
    """The different words of memories."""
    found: dict[int, frozenset[str]] = {}
    for some in sql.chunks(ids):
        rows = await sql.query(hub, f"{_words(hub)} {_key(hub)} IN ({sql.marks(some)})", some)
        found.update((row["id"], frozenset(split(row["words"]))) for row in rows)
    return found


async def after(hub: Hub, shelf: Shelf, last: int, limit: int) -> list[tuple[int, str | list[str]]]:
    """Ids and words (for `split`) of the user's memories whose ids come after `last`, in that order."""
    if hub.db.dialect == "sqlite":
        condition, value = '"memories_search" MATCH ?', f'owner : "{shelf.mark}"'
        values = [value, last, limit]
    else:
        condition, values = '"user_id" = ?', [shelf.user_id, last, limit]
    key = _key(hub)
    rows = await sql.query(hub, f"{_words(hub)} {condition} AND {key} > ? ORDER BY {key} LIMIT ?", values)
    return [(row["id"], row["words"]) for row in rows]


def split(words: str | list[str]) -> Iterable[str]:
    """A column of words: a text on SQLite, a list on PostgreSQL, with the marks."""
    if isinstance(words, str):
        return words.split()
    return (one for one in words if one[0] not in (_USER, _STORE))


def _words(hub: Hub) -> str:
    if hub.db.dialect == "sqlite":
        return 'SELECT "rowid" AS "id", "words" FROM "memories_search" WHERE'
    return 'SELECT "id", tsvector_to_array("words") AS "words" FROM "memories_search" WHERE'


def _key(hub: Hub) -> str:
    return '"rowid"' if hub.db.dialect == "sqlite" else '"id"'


def _joined(hub: Hub, condition: Condition | None, id: str) -> tuple[str, Sequence[object]]:
    """What lets through only what the condition does."""
    if condition is None:
        return " WHERE 1 = 1", ()
    return f" {_entries(hub, id)} WHERE {condition.sql}", condition.values


def _entries(hub: Hub, id: str) -> str:
    """The memories, as `m`, of the ids that were found."""
    return _SQLITE_ENTRIES + id if hub.db.dialect == "sqlite" else _POSTGRES_ENTRIES.format(id)


def _any(shelf: Shelf, words: Sequence[str]) -> str:
    # Words are letters and digits, so nothing in them can end a quote.
    return f"'{shelf.mark}' & (" + " | ".join(f"'{one}'" for one in words) + ")"


def _whole(term: Term) -> bool:
    """Whether it is looked for as a word: too much begins with a single letter."""
    return len(term.text) == 1 and not term.part


def _vector(words: Sequence[str]) -> str:
    """Words with places, by which PostgreSQL counts them."""
    counted = Counter(words)
    return " ".join(
        f"'{word}':{','.join(map(str, range(1, min(times, MOST_TIMES) + 1)))}" for word, times in counted.items()
    )
