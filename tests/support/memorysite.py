"""Memories over HTTP: what the tests of all their surfaces say and expect."""

from __future__ import annotations

import re

MEMORIES = {"enabled": True, "required": True, "default_mode": "keyword", "max_content_bytes": 4096}
"""Settings of the plugin: searches that need no model unless one is asked for."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NO_SUCH = "00000000-0000-4000-8000-000000000000"
FIELDS = {
    "id", "memory_type", "content", "embedding", "sparse_embedding", "metadata", "importance", "created_at",
    "updated_at", "category", "tags", "parent_id", "chunk_index", "total_chunks",
}  # fmt: skip
"""What mmry's memories have."""
OURS = {"text", "memory", "store", "score"}
"""What is beside it: the text by the names that Octo's page reads, and two members of our own."""
ADDED = {
    "id", "memory_type", "category", "tags", "importance", "facts_extracted", "bridge_block_id", "is_new_topic",
    "created_at",
}  # fmt: skip
"""What an older mmry answers when one was added."""


def check(memory, **expected):
    """That it is a memory as mmry has it, and what is expected of it."""
    assert set(memory) == FIELDS | OURS
    assert memory["text"] == memory["memory"] == memory["content"]
    assert (memory["embedding"], memory["sparse_embedding"]) == (None, None)
    assert UUID.fullmatch(memory["id"])
    assert TIME.fullmatch(memory["created_at"])
    assert TIME.fullmatch(memory["updated_at"])
    for name, value in expected.items():
        assert memory[name] == value, name
    return memory


def contents(answer):
    """The texts of a list or a search, in their order."""
    assert answer.status_code == 200, answer.text
    return [memory["content"] for memory in answer.json()["memories"]]
