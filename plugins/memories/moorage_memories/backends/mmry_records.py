"""mmry's records as ours, and ours as its: memories, and the names of stores. Source: mmry's HTTP service."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from moorage.api import UpstreamError

from moorage_memories.records import Draft, Memory, MemoryType

DEFAULT = "default"
MAX_NAME = 64
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Names:
    """How a user's stores are called in the service.

    kind "owner": `u12.notes`, so that users are apart; "project": as they are, and the default one is the service's.
    """

    kind: Literal["owner", "project"]

    def theirs(self, owner_id: int, store: str) -> str | None:
        """A store's name in the service; None: the service's default."""
        if self.kind == "project":
            return None if store == DEFAULT else store
        prefix = _prefix(owner_id)
        # One that was cut is in the list by its cut name, which is short enough to stay as it is.
        return prefix + _short(store, MAX_NAME - len(prefix))

    def ours(self, owner_id: int, name: str, default: str) -> str | None:
        """The same back; None where it is not the owner's. default: the name of the service's default."""
        if self.kind == "project":
            return DEFAULT if name == default else name
        prefix = _prefix(owner_id)
        return name.removeprefix(prefix) if name.startswith(prefix) and name != prefix else None

    def of_project(self, project: str) -> str:
        """The store of a project: after the last part of its path, and in "owner" also after all of it."""
        last = _NOT_IN_NAMES.sub("-", project.rstrip("/").rpartition("/")[2]).strip("-.") or "project"
        if self.kind == "project":
            return _short(last, MAX_NAME)
        digest = hashlib.sha256(project.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        return f"{last[:32]}-{digest}"


def memory_of(value: object, store: str, draft: Draft | None = None) -> Memory:
    """A memory as the service tells it. draft: what was added; an older one tells less. UpstreamError."""
    if not isinstance(value, dict):
        raise UpstreamError("The mmry service answered what is no memory")
    id, content = value.get("id"), value.get("content", draft.content if draft is not None else None)
    if not isinstance(id, str) or not isinstance(content, str):
        raise UpstreamError("The mmry service answered with a memory that lacks its id or its content")
    created = _time(value.get("created_at")) or datetime.now(UTC)
    tags = value.get("tags", list(draft.tags) if draft is not None else [])
    return Memory(
        id=id,
        store=store,
        content=content,
        memory_type=_type(value.get("memory_type")),
        category=_text(value.get("category")) or DEFAULT,
        tags=tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else (),
        importance=min(max(_whole(value.get("importance")) or 5, 1), 10),
        metadata=_metadata(value.get("metadata")),
        created_at=created,
        updated_at=_time(value.get("updated_at")) or created,
        parent_id=_text(value.get("parent_id")),
        chunk_index=_whole(value.get("chunk_index")),
        total_chunks=_whole(value.get("total_chunks")),
        score=_score(value.get("score")),
    )


def draft_body(one: Draft) -> dict[str, Any]:
    """What is sent to add a memory."""
    body: dict[str, Any] = {
        "content": one.content,
        "category": one.category,
        "memory_type": one.memory_type.value,
        "tags": list(one.tags),
        "importance": one.importance,
    }
    return {**body, "metadata": dict(one.metadata)} if one.metadata else body


def _prefix(owner_id: int) -> str:
    return f"u{owner_id}."


def _short(name: str, most: int) -> str:
    if len(name) <= most:
        return name
    return f"{name[: most - 13]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _type(value: object) -> MemoryType:
    text = value.lower() if isinstance(value, str) else ""
    return MemoryType(text) if text in {kind.value for kind in MemoryType} else MemoryType.SEMANTIC


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _score(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None


def _metadata(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    # chrono writes nanoseconds, of which Python takes six digits.
    text = re.sub(r"(\.\d{6})\d+", r"\1", value)
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
