"""What the views answer. The words are mmry's, of all its generations at once; source: its HTTP API, and Octo's client.

Octo's own page reads the text of a memory as `content`, `text` or `memory`, so it is given by all three names.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from moorage_memories.records import Memory, StoreInfo
from moorage_memories.times import rfc3339


class MemoryShape(TypedDict):
    """A memory. text, memory: the same as content. embedding, sparse_embedding: never told.

    parent_id, chunk_index, total_chunks: of a text that was cut. score: of a search, null elsewhere.
    """

    id: str
    store: str
    memory_type: str
    content: str
    text: str
    memory: str
    embedding: None
    sparse_embedding: None
    metadata: dict[str, Any]
    importance: int
    created_at: str
    updated_at: str
    category: str
    tags: list[str]
    parent_id: str | None
    chunk_index: int | None
    total_chunks: int | None
    score: float | None


class PageShape(TypedDict):
    """Memories, newest first. total: how many there are."""

    memories: list[MemoryShape]
    total: int
    offset: int
    limit: int


class AddedShape(TypedDict):
    """A memory that was added: as older servers tell it, and whole in `memory`, as newer ones do.

    facts_extracted, bridge_block_id, is_new_topic: of what older ones make of a text beside keeping it; nothing here.
    """

    id: str
    memory_type: str
    category: str
    tags: list[str]
    importance: int
    facts_extracted: int
    bridge_block_id: str | None
    is_new_topic: bool
    created_at: str
    memory: MemoryShape


class ChangedShape(TypedDict):
    """A memory that was changed."""

    memory: MemoryShape


class DeletedShape(TypedDict):
    """A memory that is no more."""

    deleted: bool
    id: str


class FoundShape(TypedDict):
    """What was found, best first. mode: how it was searched."""

    memories: list[MemoryShape]
    mode: str


class StoreShape(TypedDict):
    """A store. memories: how many are in it, where that is known. project: the folder that it belongs to."""

    name: str
    memories: int | None
    project: str | None


class StoresShape(TypedDict):
    """Stores; default: where memories go unless it is said otherwise."""

    stores: list[StoreShape]
    default: str


class ImportedShape(TypedDict):
    """What was brought in. skipped: what was there already."""

    imported: int
    skipped: int


def memory_shape(one: Memory) -> MemoryShape:
    """A memory as all routes tell it."""
    return {
        "id": one.id,
        "store": one.store,
        "memory_type": one.memory_type.value,
        "content": one.content,
        "text": one.content,
        "memory": one.content,
        "embedding": None,
        "sparse_embedding": None,
        "metadata": dict(one.metadata),
        "importance": one.importance,
        "created_at": rfc3339(one.created_at),
        "updated_at": rfc3339(one.updated_at),
        "category": one.category,
        "tags": list(one.tags),
        "parent_id": one.parent_id,
        "chunk_index": one.chunk_index,
        "total_chunks": one.total_chunks,
        "score": one.score,
    }


def added_shape(one: Memory) -> AddedShape:
    """A memory that was added."""
    return {
        "id": one.id,
        "memory_type": one.memory_type.value,
        "category": one.category,
        "tags": list(one.tags),
        "importance": one.importance,
        "facts_extracted": 0,
        "bridge_block_id": None,
        "is_new_topic": False,
        "created_at": rfc3339(one.created_at),
        "memory": memory_shape(one),
    }


def store_shape(one: StoreInfo) -> StoreShape:
    """A store."""
    return {"name": one.name, "memories": one.memories, "project": one.project}
