"""What went wrong with a provider: its errors as our codes, and the texts that clients are told.

Providers say the same thing in many ways: by HTTP status, by OpenAI's `error.code` and `error.type`, by Anthropic's
types, or in words alone (llama.cpp, vLLM, LM Studio, Ollama). The words are only read, and never handed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from moorage_chat.providers.base import ErrorCode, ProviderError

DETAIL_CHARS = 300
"""How much of a provider's own words is kept for the log."""

_TEXTS: Mapping[ErrorCode, str] = {
    ErrorCode.UNREACHABLE: "The provider of the model cannot be reached.",
    ErrorCode.TIMEOUT: "The provider of the model took too long to answer.",
    ErrorCode.RATE_LIMITED: "The provider of the model has too much to do, or its limit of use is reached. Try later.",
    ErrorCode.AUTH: "The provider of the model does not accept this server's key.",
    ErrorCode.MODEL_NOT_FOUND: "The provider does not have this model.",
    ErrorCode.CONTEXT_LENGTH: "The conversation is too long for this model.",
    ErrorCode.CONTENT_FILTER: "The provider's content filter stopped the answer.",
    ErrorCode.ERROR: "The provider of the model failed.",
    ErrorCode.INCOMPLETE: "The answer broke off before its end.",
    ErrorCode.TOOL_LIMIT: "The model used tools again and again without an answer.",
}
FREE = frozenset(
    {
        ErrorCode.UNREACHABLE,
        ErrorCode.AUTH,
        ErrorCode.MODEL_NOT_FOUND,
        ErrorCode.RATE_LIMITED,
        ErrorCode.CONTEXT_LENGTH,
        ErrorCode.ERROR,
    }
)
"""Faults that are counted as no answer, where the provider had not said or counted anything yet."""
_STATUS: Mapping[int, ErrorCode] = {
    401: ErrorCode.AUTH,
    402: ErrorCode.RATE_LIMITED,
    403: ErrorCode.AUTH,
    408: ErrorCode.TIMEOUT,
    413: ErrorCode.CONTEXT_LENGTH,
    429: ErrorCode.RATE_LIMITED,
    502: ErrorCode.UNREACHABLE,
    503: ErrorCode.UNREACHABLE,
    504: ErrorCode.TIMEOUT,
    522: ErrorCode.UNREACHABLE,
    524: ErrorCode.TIMEOUT,
    529: ErrorCode.RATE_LIMITED,
}
_NAMES: Mapping[str, ErrorCode] = {
    # OpenAI and those that follow it.
    "context_length_exceeded": ErrorCode.CONTEXT_LENGTH,
    "string_above_max_length": ErrorCode.CONTEXT_LENGTH,
    "content_filter": ErrorCode.CONTENT_FILTER,
    "content_policy_violation": ErrorCode.CONTENT_FILTER,
    "responsibleaipolicyviolation": ErrorCode.CONTENT_FILTER,
    "model_not_found": ErrorCode.MODEL_NOT_FOUND,
    "invalid_api_key": ErrorCode.AUTH,
    "insufficient_quota": ErrorCode.RATE_LIMITED,
    "rate_limit_exceeded": ErrorCode.RATE_LIMITED,
    # llama.cpp.
    "exceed_context_size_error": ErrorCode.CONTEXT_LENGTH,
    "unavailable_error": ErrorCode.UNREACHABLE,
    # Anthropic.
    "authentication_error": ErrorCode.AUTH,
    "permission_error": ErrorCode.AUTH,
    "billing_error": ErrorCode.RATE_LIMITED,
    "rate_limit_error": ErrorCode.RATE_LIMITED,
    "overloaded_error": ErrorCode.RATE_LIMITED,
    "request_too_large": ErrorCode.CONTEXT_LENGTH,
    "timeout_error": ErrorCode.TIMEOUT,
}
_CONTEXT = re.compile(
    r"context (length|size|window|overflow)|context the overflows|maximum context|max(imum)? model length"
    r"|prompt is too long|too many tokens|exceeds? the (available )?context|input is too long",
    re.IGNORECASE,
)
_FILTER = re.compile(r"content[ _](filter|policy|management)|flagged|moderation", re.IGNORECASE)
_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)


def text(code: ErrorCode) -> str:
    """What a client is told."""
    return _TEXTS[code]


def refused(status: int | None, body: Any) -> ProviderError:
    """The error of a provider that answered with one.

    status: HTTP's, None for an error within an answer of status 200. body: the parsed answer, or its text.
    """
    error = body.get("error", body) if isinstance(body, Mapping) else body
    names, words = [], ""
    if isinstance(error, Mapping):
        names = [str(error[key]) for key in ("code", "type") if error.get(key)]
        words = str(error.get("message") or error.get("detail") or "")
    elif isinstance(error, str):
        words = error
    if status is None:
        # OpenRouter and vLLM tell the status that it would have been.
        status = next((int(name) for name in names if name.isdecimal() and 400 <= int(name) < 600), None)
    detail = f"status {status}, {' '.join(names)}: {words[:DETAIL_CHARS]}"
    return ProviderError(_code(status, names, words), detail)


def _code(status: int | None, names: list[str], words: str) -> ErrorCode:
    named = next((_NAMES[name.lower()] for name in names if name.lower() in _NAMES), None)
    if named is not None:
        return named
    if status is None or status in (400, 403, 404, 413, 422, 500):
        if _CONTEXT.search(words):
            return ErrorCode.CONTEXT_LENGTH
        if status != 500 and _FILTER.search(words):
            return ErrorCode.CONTENT_FILTER
    if status == 404:
        # Without a word of models it is the path that is not there: the operator's base_url is wrong.
        return ErrorCode.MODEL_NOT_FOUND if _MODEL.search(words) else ErrorCode.ERROR
    return _STATUS.get(status or 0, ErrorCode.ERROR)


def seconds(header: str | None) -> float | None:
    """A `Retry-After` in seconds (RFC 9110 section 10.2.3), None for a date or anything else."""
    try:
        value = float(header or "")
    except ValueError:
        return None
    return value if 0 <= value < 86_400 else None
