"""The plugin's tables."""

from __future__ import annotations

from typing import Any

from tortoise import fields
from tortoise.models import Model


class MemoryOwner(Model):
    """A user who has, or had, memories. Its row is locked by who adds some: so their number is never wrong."""

    user_id = fields.IntField(primary_key=True, generated=False)
    memories = fields.IntField(default=0)

    class Meta:
        table = "memories_owners"


class MemoryStore(Model):
    """A named part of a user's memories. project: a folder's absolute path; project_hash: SHA-256 of it, for the index.

    memories: how many there are in it.
    """

    id = fields.IntField(primary_key=True)
    user_id = fields.IntField()
    name = fields.CharField(max_length=64)
    project = fields.TextField(null=True)
    project_hash = fields.CharField(max_length=64, null=True)
    memories = fields.IntField(default=0)
    created_at = fields.DatetimeField()

    class Meta:
        table = "memories_stores"
        unique_together = (("user_id", "name"), ("user_id", "project_hash"))


class MemoryEntry(Model):
    """A memory. pid: its UUID, of which no two are one user's. See `records.Memory`.

    Both indexes have all that `records.Filter` asks for but tags: a list is found, and counted, in the index alone.
    """

    id = fields.IntField(primary_key=True)
    pid = fields.CharField(max_length=36)
    user_id = fields.IntField()
    store_id = fields.IntField()
    content = fields.TextField()
    memory_type = fields.CharField(max_length=16)
    category = fields.CharField(max_length=128)
    tags: fields.Field[list[str]] = fields.JSONField()
    importance = fields.SmallIntField()
    metadata: fields.Field[dict[str, Any]] = fields.JSONField()
    parent_id = fields.CharField(max_length=36, null=True)
    chunk_index = fields.IntField(null=True)
    total_chunks = fields.IntField(null=True)
    created_at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "memories_entries"
        unique_together = (("pid", "user_id"),)
        indexes = (
            ("store_id", "created_at", "id", "category", "memory_type", "importance"),
            ("user_id", "created_at", "id", "category", "memory_type", "importance"),
        )


class MemoryTag(Model):
    """A tag of a memory, to find it by."""

    id = fields.IntField(primary_key=True)
    user_id = fields.IntField()
    tag = fields.CharField(max_length=128)
    memory_id = fields.IntField(db_index=True)

    class Meta:
        table = "memories_tags"
        indexes = (("user_id", "tag", "memory_id"),)


class MemoryVector(Model):
    """What a memory, or a part of it, means. vector: float16, little-endian, of unit length. See `store.backfill`.

    model: by which it was made. A row is never changed. store_id: the memory's.
    """

    id = fields.IntField(primary_key=True)
    user_id = fields.IntField()
    store_id = fields.IntField()
    memory_id = fields.IntField(db_index=True)
    model = fields.CharField(max_length=16)
    vector = fields.BinaryField()

    class Meta:
        table = "memories_vectors"
        indexes = (("user_id", "id"),)


class MemoryPending(Model):
    """A memory that waits for its vectors. Its number is another one each time that the memory is changed."""

    id = fields.IntField(primary_key=True)
    memory_id = fields.IntField(unique=True)

    class Meta:
        table = "memories_pending"
