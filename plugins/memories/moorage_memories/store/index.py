"""The index of memories: what finds them by their words and by their meaning. Its tables are beside the memories'."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from moorage.api import Hub, Unavailable, sql

from moorage_memories.config import MemoriesConfig
from moorage_memories.embeddings.encoder import Encoder
from moorage_memories.records import Filter, Mode, Scope
from moorage_memories.store import backfill, conditions, lookup
from moorage_memories.store.alike import Alike, covered
from moorage_memories.store.backfill import Backfill
from moorage_memories.store.conditions import Condition
from moorage_memories.store.lookup import Hits, Shelf
from moorage_memories.store.meaning import Meaning
from moorage_memories.store.words import Term, wanted, words

LONG = 20_000
"""Characters of texts that are cut into words beside the event loop."""
ALIKE = 0.8
"""What a word is worth at most that is only like one of the search."""
WORDS = 0.5
"""What all words of a search are worth, as a cosine."""
SHORT = 3
"""Letters of a word that alone brings nothing into a hybrid search: "the", "is", "and"."""
JOINED = 100
"""Memories of each list that are joined."""


class Index:
    """One object; used from the event loop. `start` before anything, `close` last."""

    def __init__(self, hub: Hub, config: MemoriesConfig, encoder: Encoder) -> None:
        self._hub, self._encoder = hub, encoder
        self._alike = Alike(hub)
        self._meaning = Meaning(hub, encoder, config.vectors_mb * 1024 * 1024)
        self._backfill = Backfill(hub, encoder)

    async def start(self) -> None:
        """Begin to make vectors in the background: of what is written from now on, and of what has none yet."""
        self._backfill.start()

    async def close(self) -> None:
        """Stop doing so."""
        await self._backfill.close()

    async def describe(self) -> str:
        """What is wrong or lacking now, for operators; "": nothing."""
        model = self._encoder.lacking if self._encoder.on else ""
        return "; ".join(one for one in (model, self._alike.lacking) if one)

    async def waiting(self) -> int:
        """How many memories have no vector yet."""
        return await self._backfill.waiting()

    # -- writing -------------------------------------------------------------------------------------------------

    async def cut(self, texts: Sequence[str]) -> list[list[str]]:
        """Texts cut into words, for `put`. Before the transaction: of a megabyte it takes a tenth of a second."""
        if sum(map(len, texts)) < LONG:
            return [words(text) for text in texts]
        return await asyncio.to_thread(lambda: [words(text) for text in texts])

    async def put(
        self, user_id: int, store_id: int, ids: Sequence[int], cut: Sequence[Sequence[str]], *, changed: bool = False
    ) -> None:
        """Take memories in, in the transaction that writes them.

        ids: of their rows in `memories_entries`; cut: what `cut` made of their contents. changed: they may be in it
        already. Vectors follow by themselves, after the transaction.
        """
        if changed:
            await self.remove(ids)
        await lookup.put(self._hub, Shelf(user_id, store_id), ids, cut)
        await backfill.put(self._hub, ids)
        self._hub.db.after_commit(lambda: self._written(user_id, cut))

    async def remove(self, ids: Sequence[int]) -> None:
        """Forget memories, in the transaction that deletes them."""
        await lookup.remove(self._hub, ids)
        await backfill.remove(self._hub, ids)

    def forget(self, user_id: int) -> None:
        """Let go of what is in memory of a user."""
        self._alike.forget(user_id)
        self._meaning.forget(user_id)

    def _written(self, user_id: int, cut: Sequence[Sequence[str]]) -> None:
        self._alike.written(user_id, cut)
        self._backfill.wake()

    # -- searching -----------------------------------------------------------------------------------------------

    async def search(
        self, scope: Scope, filter: Filter, query: str, *, mode: Mode, limit: int
    ) -> tuple[list[tuple[int, float]], Mode]:
        """The best: (row's id, score), best first, and how was searched. Unavailable, with the mend, when the mode
        needs what is not installed.
        """
        if mode is Mode.SPARSE:
            mode = Mode.BM25
        shelf = await self._shelf(scope)
        if shelf is None:
            return [], mode
        condition, filtered = conditions.of(scope, filter), filter != Filter()
        only = condition if filtered else None
        if mode is Mode.SEMANTIC:
            return await self._meaning.nearest(shelf, query, condition, filtered=filtered, limit=limit), mode
        terms = wanted(query)
        if mode is Mode.HYBRID:
            return await self._hybrid(shelf, query, terms, condition, filtered, limit)
        if not terms:
            return [], mode
        if mode is Mode.KEYWORD:
            return await lookup.newest(self._hub, shelf, terms, condition, limit), mode
        if mode is Mode.FUZZY:
            return await self._alike.find(shelf, terms, only, limit), mode
        return await self._ranked(shelf, terms, only, limit), mode

    async def _hybrid(
        self, shelf: Shelf, query: str, terms: Sequence[Term], condition: Condition, filtered: bool, limit: int
    ) -> tuple[Hits, Mode]:
        """By words and by meaning. Where there is no model, by words alone."""
        count, only = max(JOINED, limit), condition if filtered else None
        if self._encoder.lacking:
            ranked = await self._ranked(shelf, terms, only, count) if terms else []
            return ranked[:limit], Mode.BM25
        # Short words are in most memories, all of which would be ranked. What is found is weighed by all words.
        telling = [one for one in terms if one.part or len(one.text) > SHORT or not one.text.isalpha()] or terms
        ranked = await self._ranked(shelf, telling, only, count) if terms else []
        try:
            by_meaning = await self._meaning.nearest(shelf, query, condition, filtered=filtered, limit=count)
        except Unavailable as error:
            self._hub.log.warning("memories are searched by words alone", reason=error.message)
            return ranked[:limit], Mode.BM25
        by_words = await self._weighed(ranked, terms)
        if terms and await self._alike.strange(shelf.user_id, terms):
            by_words += [(id, ALIKE * score) for id, score in await self._alike.find(shelf, terms, only, count)]
        return fused(by_words, by_meaning)[:limit], Mode.HYBRID

    async def _weighed(self, ranked: Hits, terms: Sequence[Term]) -> Hits:
        """BM25's hits with scores up to 1: how much of the search is there, the half of it by BM25's own score."""
        if not ranked:
            return []
        most = max(ranked[0][1], 1e-9)
        likes = [{one.text: 1.0} for one in terms]
        shares = await covered(self._hub, [id for id, _ in ranked], terms, likes)
        return [
            (id, share * (1 + max(score, 0.0) / most) / 2)
            for (id, score), (_, share) in zip(ranked, shares, strict=True)
        ]

    async def _ranked(self, shelf: Shelf, terms: Sequence[Term], condition: Condition | None, limit: int) -> Hits:
        return await lookup.ranked(self._hub, shelf, [one.text for one in terms], condition, limit)

    async def _shelf(self, scope: Scope) -> Shelf | None:
        if scope.store is None:
            return Shelf(scope.owner_id, None)
        asked = 'SELECT "id" FROM "memories_stores" WHERE "user_id" = ? AND "name" = ?'
        found = await sql.query(self._hub, asked, [scope.owner_id, scope.store])
        return Shelf(scope.owner_id, found[0]["id"]) if found else None


def fused(by_words: Hits, by_meaning: Hits) -> Hits:
    """Both lists by their scores together: cosines, and what words are worth (up to 1) by `WORDS` of that.

    Not by their ranks: who shares only "is the" with a question would come before what it means, since it is in both
    lists and the first of one of them.
    """
    scores = dict(by_meaning)
    best: dict[int, float] = {}
    for id, score in by_words:
        best[id] = max(score, best.get(id, 0.0))
    for id, score in best.items():
        scores[id] = scores.get(id, 0.0) + WORDS * score
    return sorted(((id, score / (1 + WORDS)) for id, score in scores.items()), key=lambda one: -one[1])
