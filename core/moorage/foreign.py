"""What plugins say, made fit to be told on: text that can be sent, JSON that can be written, objects, within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 1_000_000
"""Bytes of JSON that one plugin may add to an answer."""


def is_text(text: object) -> bool:
    """Whether it is text that can be sent: without halves of surrogate pairs."""
    return isinstance(text, str) and sendable(text) == text


def sendable(text: str) -> str:
    """The text with "?" for each half of a surrogate pair: names that come from bytes may hold some."""
    return text.encode("utf-8", "replace").decode()


def objects(said: Iterable[object] | None, kind: type[T], most: int) -> list[T]:
    """Of the first `most`, since it may have no end, those that are of the kind. Raises what it raises when read."""
    return [one for one in islice(said or (), most) if isinstance(one, kind)]


def json_object(said: object, most: int = MOST) -> dict[str, Any] | None:
    """A copy of what is a JSON object; None for all else, and for one that is too large to be written."""
    if not isinstance(said, Mapping):
        return None
    try:
        text = json.dumps(dict(said), ensure_ascii=False, allow_nan=False).encode()
        return dict(json.loads(text)) if len(text) <= most else None
    except (TypeError, ValueError, RecursionError):  # Also half of a surrogate pair.
        return None
