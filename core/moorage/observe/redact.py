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
    r"mcp_|m(?:ses|set|ref|dev)_|bearer|basic|token|secret|passw|passphrase|cookie|key|://|%3a%2f%2f|authorization|eyj",
    re.I,
)
"""A cheap first look: text without any of these is left alone."""
_NAME = r"(?:password|passwd|passphrase|token|secret|api[_-]?key|authorization|cookie|csrf)"
_NO_SCHEME = r"(?!(?:bearer|basic)\b)"
_VALUES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(mcp_[0-9a-zA-Z]{1,16})_[A-Za-z0-9_-]{8,}"), rf"\1_{MASK}"),
    (re.compile(r"\b(mses|mset|mref|mdev)_[A-Za-z0-9_-]{16,}"), rf"\1_{MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{6,}", re.I), rf"\1 {MASK}"),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), rf"\1{MASK}@"),
    # In quotes it ends with them, and may hold blanks, commas and escaped quotes; JSON may stand within JSON.
    (re.compile(rf"""({_NAME}["']?\s*[=:]\s*"){_NO_SCHEME}(?:[^"\\]|\\.)+""", re.I | re.S), rf"\1{MASK}"),
    (re.compile(rf"""({_NAME}["']?\s*[=:]\s*'){_NO_SCHEME}(?:[^'\\]|\\.)+""", re.I | re.S), rf"\1{MASK}"),
    (re.compile(rf"""({_NAME}\\"\s*:\s*\\"){_NO_SCHEME}[^"\\]+""", re.I), rf"\1{MASK}"),
    # As drivers of databases take it, `host=db password=…`: only a blank ends it there, and `&` in an address.
    (re.compile(r"""(pass(?:word|wd|phrase)=)(?!\*\*\*|["']\*\*\*)[^\s&]+""", re.I), rf"\1{MASK}"),
    (re.compile(rf"""({_NAME}["']?\s*[=:]\s*["']?){_NO_SCHEME}(?!\*\*\*)[^\s"',;&}}]+""", re.I), rf"\1{MASK}"),
)
_RUN = re.compile(r"[^\s\"<>]+")
_USER = re.compile(r"://[^\s/:]*:")
_ENCODED_USER = re.compile(r"%3a%2f%2f(?:(?!%3a|%40)[^&\s]){0,256}%3a", re.I)
_DEPTH = 8


def redact_text(text: str) -> str:
    """`text` with what looks like a secret masked: our keys and tokens, JWTs, `Bearer …`, `password=…`, `://u:p@`."""
    if _HINT.search(text) is None:
        return text
    for pattern, replacement in _VALUES:
        text = pattern.sub(replacement, text)
    if "://" in text and "@" in text:
        text = _RUN.sub(lambda run: _without_password(run[0], _USER, "@"), text)
    if "%40" in text:
        text = _RUN.sub(lambda run: _without_password(run[0], _ENCODED_USER, "%40"), text)
    return text


def _without_password(run: str, user: re.Pattern[str], ends: str) -> str:
    """An address up to its last @: a password that nobody escaped may hold any of the characters that would end it."""
    last = run.rfind(ends)
    if last < 0 or (found := user.search(run, 0, last)) is None:
        return run
    return run[: found.end()] + MASK + run[last:]


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
