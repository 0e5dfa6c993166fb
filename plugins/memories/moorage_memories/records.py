"""What a memory is, and what can be asked of memories. The words are mmry's, so that its clients know them."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class MemoryType(enum.StrEnum):
    """What kind of memory it is."""

    EPISODIC = "episodic"
    SEMANTIC = "semantic"
    PROCEDURAL = "procedural"


class Mode(enum.StrEnum):
    """How memories are searched."""

    HYBRID = "hybrid"
    """By words and by meaning, both scores together."""
    KEYWORD = "keyword"
    """All of the words, newest first."""
    FUZZY = "fuzzy"
    """Words that are alike: typing errors, other endings."""
    SEMANTIC = "semantic"
    """By meaning."""
    BM25 = "bm25"
    """Any of the words, the rarer and the more often the better."""
    SPARSE = "sparse"
    """mmry's learned weights of words; here as bm25."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memories, and which of them. owner_id: the user's number. store: the name of one of the owner's stores.

    None means the owner's default store when something is added, and all of the owner's stores otherwise.
    """

    owner_id: int
    store: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory. id: a UUID (version 4). importance: 1–10. parent_id …: of a text that was cut into chunks.

    score: in the answer to a search, the higher the better, only comparable within that answer.
    """

    id: str
    store: str
    content: str
    memory_type: MemoryType
    category: str
    tags: tuple[str, ...]
    importance: int
    metadata: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    parent_id: str | None = None
    chunk_index: int | None = None
    total_chunks: int | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory to be added. id, created_at, updated_at: of an imported one."""

    content: str
    memory_type: MemoryType = MemoryType.SEMANTIC
    category: str = "default"
    tags: tuple[str, ...] = ()
    importance: int = 5
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parent_id: str | None = None
    chunk_index: int | None = None
    total_chunks: int | None = None
    id: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of a memory; None: leave as it is."""

    content: str | None = None
    memory_type: MemoryType | None = None
    category: str | None = None
    tags: tuple[str, ...] | None = None
    importance: int | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which memories count. tags: all of them. since (included), until (not): by created_at."""

    category: str | None = None
    memory_type: MemoryType | None = None
    tags: tuple[str, ...] = ()
    min_importance: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, one: Memory) -> bool:
        """Whether a memory counts: for backends that look at them one by one."""
        return (
            (self.category is None or one.category == self.category)
            and (self.memory_type is None or one.memory_type is self.memory_type)
            and set(self.tags) <= set(one.tags)
            and (self.min_importance is None or one.importance >= self.min_importance)
            and (self.since is None or one.created_at >= self.since)
            and (self.until is None or one.created_at < self.until)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some memories, newest first. total: how many there are in all."""

    memories: Sequence[Memory]
    total: int


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a search, best first. mode: how it was searched, which is less than asked for where parts of the
    server are not installed.
    """

    memories: Sequence[Memory]
    mode: Mode


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """One of a user's stores. project: the path of the project that it belongs to, None for others."""

    name: str
    memories: int | None = None
    project: str | None = None
