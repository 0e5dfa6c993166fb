"""Memories by words that are like those of a search: typing errors, other endings.

The words of a user's memories are kept in memory while they search so. Those that are like the wanted ones are looked
up in the index, and what is found is ordered by how much it is like all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from moorage.api import Hub, Unavailable

from moorage_memories.store import lookup
from moorage_memories.store.conditions import Condition
from moorage_memories.store.lookup import Hits, Shelf
from moorage_memories.store.words import Term

MEND = "Search by words that are alike needs rapidfuzz: pip install 'moorage[memories]'"
Likes = dict[str, float]
"""Words that count for one of a search, and how much: 1 for itself."""
RATIO = 72.0
"""Of 100: how like a word must be."""
SAME_BEGINNING = 0.75
"""How like two words are at least that begin alike."""
SHORTEST = 4
"""Letters of a word of which others are looked for."""
MOST_ALIKE = 8
"""Words that are looked up for one of the search."""
CANDIDATES = 300
"""Memories that are compared."""
WORDS, ALL_WORDS = 200_000, 1_000_000
"""That are kept in memory: of a user, and of all."""
AT_ONCE = 2_000
COMPARING = 2
"""Searches that compare words at once. Of more, each would wait as long, and so would all else that the server does."""
SECONDS = 600.0
"""After which a user's words are read again: of a memory that another server changed, the new ones are not seen."""


@dataclass(slots=True)
class _Vocabulary:
    words: dict[str, None] = field(default_factory=dict)
    last: int = 0
    read_at: float = field(default_factory=time.monotonic)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Alike:
    """Finds by words that are alike."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._users: OrderedDict[int, _Vocabulary] = OrderedDict()
        self._free = asyncio.Semaphore(COMPARING)

    @property
    def lacking(self) -> str:
        """What is not installed, with the mend; "": nothing."""
        return MEND if find_spec("rapidfuzz") is None else ""

    async def find(self, shelf: Shelf, terms: Sequence[Term], condition: Condition | None, limit: int) -> Hits:
        """Memories with words like these, the most alike first: scores up to 1. Unavailable."""
        if lacking := self.lacking:
            raise Unavailable(lacking)
        vocabulary = await self._read(shelf.user_id)
        async with self._free:
            likes = await asyncio.to_thread(lambda: [alike(term, vocabulary.words) for term in terms])
        wanted = dict.fromkeys(word for like in likes for word in like)
        hits = await lookup.ranked(self._hub, shelf, list(wanted), condition, max(CANDIDATES, limit))
        scored = await covered(self._hub, [id for id, _ in hits], terms, likes)
        return sorted(scored, key=lambda one: -one[1])[:limit]

    async def strange(self, user_id: int, terms: Sequence[Term]) -> bool:
        """Whether one of the words is in none of the user's memories: as one with a typing error is."""
        if self.lacking:
            return False
        vocabulary = await self._read(user_id)
        return any(_kept(one.text) and one.text not in vocabulary.words for one in terms if not one.part)

    def written(self, user_id: int, cut: Iterable[Iterable[str]]) -> None:
        """Words that this server has written."""
        vocabulary = self._users.get(user_id)
        if vocabulary is not None:
            for words in cut:
                _learn(vocabulary, words)

    def forget(self, user_id: int) -> None:
        """Let go of a user's words."""
        self._users.pop(user_id, None)

    async def _read(self, user_id: int) -> _Vocabulary:
        """A user's words, with those of new memories."""
        vocabulary = self._users.get(user_id)
        if vocabulary is None or time.monotonic() - vocabulary.read_at > SECONDS:
            vocabulary = self._users[user_id] = _Vocabulary()
        self._users.move_to_end(user_id)
        shelf = Shelf(user_id, None)
        async with vocabulary.turn:
            while rows := await lookup.after(self._hub, shelf, vocabulary.last, AT_ONCE):
                await asyncio.to_thread(_learn_all, vocabulary, [words for _, words in rows])
                vocabulary.last = rows[-1][0]
        while sum(len(one.words) for one in self._users.values()) > ALL_WORDS and len(self._users) > 1:
            self._users.popitem(last=False)
        return vocabulary


async def covered(hub: Hub, ids: Sequence[int], terms: Sequence[Term], likes: Sequence[Likes]) -> Hits:
    """How much of a search each memory has, in the order given: 1 where all of the words are there.

    Long words say more than short ones, which in most languages are those that stand everywhere.
    """
    texts = await lookup.texts(hub, ids)
    weights = [min(len(term.text), 8) ** 2 for term in terms]
    hits = []
    for id in ids:
        there = texts.get(id, frozenset())
        best = [max((like[word] for word in like.keys() & there), default=0.0) for like in likes]
        hits.append((id, sum(one * weight for one, weight in zip(best, weights, strict=True)) / sum(weights)))
    return hits


def alike(term: Term, words: Iterable[str]) -> Likes:
    """The words that are like one, with how much: itself 1, whether it is among them or not."""
    from rapidfuzz import fuzz, process

    found = {term.text: 1.0}
    if term.part or len(term.text) < SHORTEST or term.text.isdigit():
        return found
    for word, ratio, _ in process.extract(
        term.text, list(words), scorer=fuzz.ratio, processor=None, score_cutoff=RATIO, limit=MOST_ALIKE
    ):
        found.setdefault(word, ratio / 100)
    beginning = term.text[: max(SHORTEST, len(term.text) * 2 // 3)]
    same = sorted((word for word in list(words) if word.startswith(beginning)), key=len)
    for word in same[:MOST_ALIKE]:
        found[word] = max(found.get(word, 0.0), SAME_BEGINNING)
    return found


def _learn_all(vocabulary: _Vocabulary, rows: Iterable[str | list[str]]) -> None:
    for words in rows:
        _learn(vocabulary, lookup.split(words))


def _learn(vocabulary: _Vocabulary, words: Iterable[str]) -> None:
    """Only words of letters: of numbers and keys, others are no likeness and there is no end."""
    if len(vocabulary.words) < WORDS:
        vocabulary.words.update((word, None) for word in words if _kept(word))


def _kept(word: str) -> bool:
    return len(word) >= SHORTEST and word.isalpha()
