"""The messages of `/api/ws` as text: encoded once for all who get them, and never larger than a client can take."""

from __future__ import annotations

import json
from typing import Any

from moorage.api import PreparedText

MAX_MESSAGE = 512 * 1024
"""Characters of an event. What is larger loses the ends of its longest texts, and says so by `truncated`."""
_LONG_TEXT = 16 * 1024
_BULK = ("data", "result", "input", "message", "metadata", "details", "questions")


def encode(message: dict[str, Any], *, limit: int | None = MAX_MESSAGE) -> PreparedText:
    """As text. limit: None sends it whole."""
    text = _dump(message)
    if limit is not None and len(text) > limit:
        short = _shortened(message) | {"truncated": True}
        text = _dump(short)
        if len(text) > limit:
            text = _dump({name: value for name, value in short.items() if name not in _BULK})
    return text


def error(text: str, session_id: str | None = None, code: str | None = None) -> PreparedText:
    """An `error` of the contract. code: for programs; the contract has none."""
    message: dict[str, Any] = {"type": "error", "message": text}
    if session_id is not None:
        message["session_id"] = session_id
    if code is not None:
        message["code"] = code
    return encode(message)


def _dump(message: dict[str, Any]) -> PreparedText:
    text = PreparedText(json.dumps(message, separators=(",", ":"), ensure_ascii=False))
    try:
        _ = text.frame
    except UnicodeEncodeError:  # Half of a surrogate pair, which JSON can write and UTF-8 cannot.
        text = PreparedText(json.dumps(message, separators=(",", ":")))
    return text


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONG_TEXT else value[:_LONG_TEXT] + "…"
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return [_shortened(item) for item in value] if isinstance(value, list) else value
