"""Masks secrets in what is logged or kept for audit: by the name of a key, and by how a value looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
_KEY = re.compile(r"password|passwd|passphrase|token|secret|authorization|cookie|api[_-]?key|credential|csrf", re.I)
_KEY_ALLOWED = re.compile(r"(?:^|_)(?:id|prefix|kind|name|count|tokens_in|tokens_out|max_tokens)$", re.I)
"""Keys that speak about a secret without holding it: `token_id`, `key_prefix`."""
_HINT = re.compile(
    r"mcp_|m(?:ses|set|ref|dev)_|bearer|basic|token|secret|password|cookie|key|://|authorization|eyj", re.I
)
"""A cheap first look: text without any of these is left alone."""
_VALUES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(mcp_[0-9a-zA-Z]{1,16})_[A-Za-z0-9_-]{8,}"), rf"\1_{MASK}"),
    (re.compile(r"\b(mses|mset|mref|mdev)_[A-Za-z0-9_-]{16,}"), rf"\1_{MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}", re.I), rf"\1 {MASK}"),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), rf"\1{MASK}@"),
    (
        re.compile(
            r"((?:password|passwd|token|secret|api[_-]?key|authorization|cookie|csrf)"
            r"""["']?\s*[=:]\s*["']?)(?!(?:bearer|basic)\b)[^\s"',;&}]+""",
            re.I,
        ),
        rf"\1{MASK}",
    ),
)
_DEPTH = 8


def redact_text(text: str) -> str:
    """`text` with what looks like a secret masked: our keys and tokens, JWTs, `Bearer …`, `password=…`, `://u:p@`."""
    if _HINT.search(text) is None:
        return text
    for pattern, replacement in _VALUES:
        text = pattern.sub(replacement, text)
    return text


def secret_key(name: str) -> bool:
    """Whether a key of this name holds a secret."""
    return _KEY.search(name) is not None and _KEY_ALLOWED.search(name) is None


def redact(data: Mapping[str, Any], depth: int = 0) -> dict[str, Any]:
    """A copy of `data` with secrets masked, at any depth. True, False and None are never secrets."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        name = key if isinstance(key, str) else str(key)
        if value is None or value is True or value is False:
            found[name] = value
        elif secret_key(name):
            found[name] = MASK
        else:
            found[name] = _value(value, depth)
    return found


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, int | float):
        return value
    if depth >= _DEPTH:
        return MASK
    if isinstance(value, Mapping):
        return redact(value, depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return [_value(inner, depth + 1) for inner in value]
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    return redact_text(str(value))
