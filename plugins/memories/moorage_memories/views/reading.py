"""What the views read: queries and bodies, in the variants that mmry's and Octo's clients send.

Members that are not known are let pass: clients of several generations send what only some servers know.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any, TypeVar

from moorage.api import UnsupportedMediaType, parse_json, validate
from pydantic import BaseModel, BeforeValidator, Field, StrictInt, StrictStr, model_validator
from quart import request

from moorage_memories import bounds
from moorage_memories.config import MemoriesConfig
from moorage_memories.records import Change, Draft, Filter, MemoryType, Mode

T = TypeVar("T", bound=BaseModel)
MAX_BODY = 256 * 1024
"""Bytes of a body beside the memory in it."""
OF_BACKENDS: dict[int, Any] = {502: None}
"""What every route may answer as well, where memories are kept by a service."""
LONG = 256 * 1024
"""Bytes of a body that others do not wait for while it is read."""
SLACK = 6
"""Bytes with which JSON may write one of a text: `\\u00e9` for two, `\\u0001` for one."""


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _known_mode(value: Any) -> Any:
    """A mode that there is not counts as none, as mmry has it."""
    known = {mode.value for mode in Mode}
    lowered = _lower(value)
    return lowered if isinstance(lowered, str) and lowered in known else None


def _split(value: Any) -> Any:
    """Tags of a query, with commas between them."""
    return value.split(",") if isinstance(value, str) else value


Text = Annotated[StrictStr, Field(max_length=bounds.MAX_QUERY)]
Name = Annotated[str, Field(max_length=256)]
Kind = Annotated[MemoryType, BeforeValidator(_lower)]
Tags = Annotated[list[StrictStr], Field(max_length=1000)]
Wanted = Annotated[int, Field(ge=1, le=2**31)]


class StoreQuery(BaseModel):
    """store: one of one's stores; "all" or none: each of them, and the default one for what is added."""

    store: Name | None = None


class Filters(BaseModel):
    """Which memories. tags: all of these. since (included), until (not): when they were made."""

    category: Name | None = None
    memory_type: Kind | None = None
    tags: Annotated[Tags, BeforeValidator(_split)] | None = None
    min_importance: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def filter(self) -> Filter:
        """As the service takes it."""
        return Filter(
            category=self.category or None,
            memory_type=self.memory_type,
            tags=tuple(self.tags or ()),
            min_importance=self.min_importance,
            since=self.since,
            until=self.until,
        )


class ListQuery(Filters, StoreQuery):
    """Which part of which memories. limit: at most 100 are given."""

    limit: Wanted = 50
    offset: Annotated[int, Field(ge=0, le=bounds.MAX_OFFSET)] = 0


class WorkspaceQuery(StoreQuery):
    """workspace_path: the project."""

    workspace_path: Annotated[str, Field(max_length=8192)] = ""


class WorkspaceListQuery(ListQuery, WorkspaceQuery):
    """Which part of which memories of a project."""


class SearchBody(Filters):
    """A search. mode: hybrid, keyword, fuzzy, semantic, bm25 or sparse; others count as the server's own choice.

    limit: at most 100 are given. rerank: taken, and changes nothing.
    """

    query: StrictStr
    limit: Wanted | None = None
    mode: Annotated[Mode | None, BeforeValidator(_known_mode)] = None
    rerank: bool | None = None
    store: Name | None = None


class _Content(BaseModel):
    """A text by any of its three names; the first that is there counts."""

    @model_validator(mode="before")
    @classmethod
    def read_content(cls, data: Any) -> Any:
        """Find the text."""
        if not isinstance(data, dict) or data.get("content") is not None:
            return data
        for name in ("text", "memory"):
            if data.get(name) is not None:
                return {**data, "content": data[name]}
        return data


class AddBody(_Content):
    """A memory. content: its text, also as `text` or `memory`. importance: 1 to 10. agent_id: kept in metadata."""

    content: StrictStr
    category: StrictStr | None = None
    memory_type: Kind | None = None
    tags: Tags | None = None
    importance: StrictInt | None = None
    metadata: dict[str, Any] | None = None
    parent_id: StrictStr | None = None
    chunk_index: StrictInt | None = None
    total_chunks: StrictInt | None = None
    agent_id: Text | None = None
    store: Name | None = None

    def draft(self) -> Draft:
        """As the service takes it."""
        agent = {"agent_id": self.agent_id} if self.agent_id else {}
        return Draft(
            content=self.content,
            memory_type=self.memory_type or MemoryType.SEMANTIC,
            category=self.category or "default",
            tags=tuple(self.tags or ()),
            importance=5 if self.importance is None else self.importance,
            metadata={**agent, **(self.metadata or {})},
            parent_id=self.parent_id,
            chunk_index=self.chunk_index,
            total_chunks=self.total_chunks,
        )


class ChangeBody(_Content):
    """What to change; what is not there, or null, stays."""

    content: StrictStr | None = None
    category: StrictStr | None = None
    memory_type: Kind | None = None
    tags: Tags | None = None
    importance: StrictInt | None = None
    metadata: dict[str, Any] | None = None
    store: Name | None = None

    def change(self) -> Change:
        """As the service takes it."""
        return Change(
            content=self.content,
            category=self.category,
            memory_type=self.memory_type,
            tags=tuple(self.tags) if self.tags is not None else None,
            importance=self.importance,
            metadata=self.metadata,
        )


def body_bytes(config: MemoriesConfig) -> int:
    """The longest body with a memory."""
    return SLACK * config.max_content_bytes + MAX_BODY


async def read_body(model: type[T]) -> T:
    """The body of the view in hand, a long one beside the event loop. BadRequest, ValidationFailed, wrong types."""
    kind = request.mimetype
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType("Expected a body of type application/json")
    data: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
    if len(data) < LONG:
        return validate(model, parse_json(data))
    return await asyncio.to_thread(lambda: validate(model, parse_json(data)))
