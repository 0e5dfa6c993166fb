"""What a memory, a search and a store's name may be: the checks that hold whatever the surface and the backend."""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from moorage.api import BadRequest, PayloadTooLarge, ValidationFailed

from moorage_memories.records import Change, Draft, Filter, Scope

MAX_CATEGORY = 128
"""Characters of a category."""
MAX_TAGS, MAX_TAG = 64, 128
"""Tags of a memory, and characters of each."""
MAX_METADATA = 16 * 1024
"""Bytes of metadata, as JSON."""
MAX_QUERY = 8 * 1024
"""Characters of what is searched for."""
MAX_LIMIT = 100
"""Memories of a page, and of an answer to a search. mmry's."""
MAX_OFFSET = 2**31 - 1
ALL_STORES = "all"
"""As a store's name: every store. mmry's."""
MAX_CHUNKS = 1_000_000
_STORE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNSOUND = re.compile("[\x00\ud800-\udfff]")
"""Characters that no text may have: PostgreSQL takes no NUL, and neither database halves of a surrogate pair."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def store_name(name: str) -> str:
    """A store's name as it may be. BadRequest."""
    if _STORE.fullmatch(name) is None or not name.strip("."):
        raise BadRequest("A store's name is 1 to 64 letters, digits, '.', '_' or '-', and not only dots")
    return name


def with_store(scope: Scope, *named: str | None, adds: bool = False) -> Scope:
    """The scope, or the store that is named within it; the first that is named counts. BadRequest.

    "all" is every store of the same owner, to which nothing can be added.
    """
    name = next((name for name in named if name), None)
    if name is None:
        return scope
    if name == ALL_STORES:
        if adds:
            raise BadRequest('"all" is not one store: name the one that it is to go to')
        return Scope(scope.owner_id)
    return Scope(scope.owner_id, store_name(name))


def memory_id(text: str) -> str:
    """A memory's id, in lower case. BadRequest."""
    if _UUID.fullmatch(text) is None:
        raise BadRequest("A memory's id is a UUID")
    return str(uuid.UUID(text))


def limit_of(wanted: int) -> int:
    """How many are given when so many are asked for: what is too much is cut, as mmry does."""
    if wanted < 1:
        raise _wrong("limit", "is less than 1")
    return min(wanted, MAX_LIMIT)


def query(text: str) -> str:
    """What is searched for. ValidationFailed."""
    found = _text("query", text.strip())
    if not found:
        raise _wrong("query", "is empty")
    if len(found) > MAX_QUERY:
        raise _wrong("query", f"has more than {MAX_QUERY} characters")
    return found


def draft(one: Draft, max_content: int) -> Draft:
    """A memory to be added, as it may be. max_content: bytes. ValidationFailed; PayloadTooLarge for a text too long."""
    return replace(
        one,
        content=_content(one.content, max_content),
        category=category(one.category) or "default",
        tags=tags(one.tags),
        importance=importance(one.importance),
        metadata=metadata(one.metadata),
        id=memory_id(one.id) if one.id is not None else None,
        parent_id=memory_id(one.parent_id) if one.parent_id is not None else None,
        chunk_index=_number("chunk_index", one.chunk_index, 0),
        total_chunks=_number("total_chunks", one.total_chunks, 1),
        created_at=_time("created_at", one.created_at),
        updated_at=_time("updated_at", one.updated_at),
    )


def change(one: Change, max_content: int) -> Change:
    """A change, as it may be. Errors as of `draft`; ValidationFailed also for one that changes nothing."""
    checked = replace(
        one,
        content=_content(one.content, max_content) if one.content is not None else None,
        category=(category(one.category) or "default") if one.category is not None else None,
        tags=tags(one.tags) if one.tags is not None else None,
        importance=importance(one.importance) if one.importance is not None else None,
        metadata=metadata(one.metadata) if one.metadata is not None else None,
    )
    if checked == Change():
        raise ValidationFailed("Nothing to change: give content, category, tags, importance, memory_type or metadata")
    return checked


def filter_of(one: Filter) -> Filter:
    """What memories must be, as it may be asked. ValidationFailed."""
    return replace(
        one,
        category=category(one.category) if one.category else None,
        tags=tags(one.tags),
        min_importance=importance(one.min_importance) if one.min_importance is not None else None,
        since=_time("since", one.since),
        until=_time("until", one.until),
    )


def category(text: str) -> str:
    """A category. ValidationFailed."""
    found = _text("category", text.strip())
    if len(found) > MAX_CATEGORY:
        raise _wrong("category", f"has more than {MAX_CATEGORY} characters")
    return found


def tags(given: Sequence[str]) -> tuple[str, ...]:
    """Tags, each once. ValidationFailed."""
    found = tuple(dict.fromkeys(tag for tag in (_text("tags", tag.strip()) for tag in given) if tag))
    if len(found) > MAX_TAGS:
        raise _wrong("tags", f"are more than {MAX_TAGS}")
    if any(len(tag) > MAX_TAG for tag in found):
        raise _wrong("tags", f"has one of more than {MAX_TAG} characters")
    return found


def importance(wanted: int) -> int:
    """1 to 10; what is beyond is the nearest of them, as with mmry."""
    return min(max(wanted, 1), 10)


def metadata(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What else is kept with a memory. ValidationFailed."""
    for one in _values(given):
        if isinstance(one, str):
            _text("metadata", one)
    try:
        size = len(json.dumps(given, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, TypeError, RecursionError):
        raise _wrong("metadata", "is nothing that JSON can hold") from None
    # PostgreSQL writes a number out: `1e308` comes back as 309 digits, and must not be too long to be brought in again.
    if size + sum(_zeros(one) for one in _values(given) if isinstance(one, float)) > MAX_METADATA:
        raise _wrong("metadata", f"is more than {MAX_METADATA} bytes")
    return given


def _values(value: Any) -> Iterator[Any]:
    """All texts, keys and numbers in a value of JSON, however deep it is."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, Mapping):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            left += one
        else:
            yield one


def _zeros(number: float) -> int:
    """How many there are about in a number that is written without an exponent."""
    return abs(math.frexp(number)[1]) * 3 // 10


def _content(text: str, most: int) -> str:
    found = _text("content", text)
    if not found.strip():
        raise _wrong("content", "is empty")
    if len(found) > most or len(found.encode()) > most:
        raise PayloadTooLarge(f"A memory is at most {most} bytes")
    return found


def _text(field: str, text: str) -> str:
    if _UNSOUND.search(text):
        raise _wrong(field, "has characters that no text may have: U+0000, or half of a surrogate pair")
    return text


def _number(field: str, number: int | None, least: int) -> int | None:
    if number is not None and not least <= number <= MAX_CHUNKS:
        raise _wrong(field, f"is not from {least} to {MAX_CHUNKS}")
    return number


def _time(field: str, at: datetime | None) -> datetime | None:
    """In UTC; a time without a zone is meant so."""
    if at is None:
        return None
    try:
        found = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise _wrong(field, "is no time that can be kept") from None
    # What a search compares with is counted in seconds, which are few enough for all databases in these years.
    if not 1 < found.year < 9999:
        raise _wrong(field, "is no time that can be kept")
    return found


def _wrong(field: str, reason: str) -> ValidationFailed:
    return ValidationFailed(f"{field}: {reason}", problems=[{"field": field, "message": reason}])
