"""Memories as files: JSON lines, a memory each, out and in again. mmry's own files are read as well.

A line is what `GET …/{memory_id}` answers, without the copies of its text.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from moorage.api import BadRequest, ValidationFailed, parse_json
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, StrictStr, ValidationError

from moorage_memories.records import Draft, Memory, MemoryType
from moorage_memories.times import rfc3339

MAX_LINES = 200_000
"""Memories of one file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory of a file, the store that it was in, and the number of its line."""

    draft: Draft
    store: str | None
    line: int = 0


class Line(BaseModel):
    """A line of a file. What else is in it is let pass."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    content: StrictStr
    id: StrictStr | None = None
    store: Annotated[StrictStr, Field(max_length=64)] | None = None
    memory_type: MemoryType = MemoryType.SEMANTIC
    category: StrictStr | None = None
    tags: Annotated[list[StrictStr], Field(max_length=1000)] | None = None
    importance: int | None = None
    metadata: dict[str, Any] | None = None
    created_at: AwareDatetime | NaiveDatetime | None = None
    updated_at: AwareDatetime | NaiveDatetime | None = None
    parent_id: StrictStr | None = None
    chunk_index: int | None = None
    total_chunks: int | None = None

    def entry(self, line: int) -> Entry:
        """As the service takes it."""
        draft = Draft(
            content=self.content,
            memory_type=self.memory_type,
            category=self.category or "default",
            tags=tuple(self.tags or ()),
            importance=5 if self.importance is None else self.importance,
            metadata=self.metadata or {},
            parent_id=self.parent_id,
            chunk_index=self.chunk_index,
            total_chunks=self.total_chunks,
            id=self.id,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )
        return Entry(draft, self.store, line)


def line_of(one: Memory) -> str:
    """A memory as a line, with its end."""
    kept: dict[str, Any] = {
        "id": one.id,
        "store": one.store,
        "memory_type": one.memory_type.value,
        "content": one.content,
        "category": one.category,
        "tags": list(one.tags),
        "importance": one.importance,
        "metadata": dict(one.metadata),
        "created_at": rfc3339(one.created_at),
        "updated_at": rfc3339(one.updated_at),
    }
    chunk = {"parent_id": one.parent_id, "chunk_index": one.chunk_index, "total_chunks": one.total_chunks}
    kept.update({name: value for name, value in chunk.items() if value is not None})
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")) + "\n"


class Entries:
    """What a file holds, read anew each time that it is iterated over, which takes seconds for a large one.

    BadRequest and ValidationFailed meanwhile, with the line's number.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data.removeprefix(b"\xef\xbb\xbf")

    def __iter__(self) -> Iterator[Entry]:
        count = 0
        # Only line feeds: JSON may hold what else Python takes for the end of a line. One by one: as a list, the lines
        # of a file of nothing but line feeds take twenty times as much as the file.
        for number, line in enumerate(io.BytesIO(self._data), 1):
            if not line.strip():
                continue
            count += 1
            if count > MAX_LINES:
                raise BadRequest(f"The file has more than {MAX_LINES} memories: divide it")
            yield _entry(line, number)


def _entry(line: bytes, number: int) -> Entry:
    try:
        value = parse_json(line)
    except BadRequest as error:
        raise BadRequest(f"line {number}: {error.message}") from None
    if not isinstance(value, dict):
        raise BadRequest(f"line {number}: no JSON object")
    try:
        return Line.model_validate(value).entry(number)
    except ValidationError as error:
        problems = [
            {"field": f"line {number}: " + ".".join(str(part) for part in item["loc"]), "message": item["msg"]}
            for item in error.errors(include_url=False, include_input=False, include_context=False)[:20]
        ]
        text = "; ".join(f"{one['field']}: {one['message']}" for one in problems[:3])
        raise ValidationFailed(text, problems=problems) from None
