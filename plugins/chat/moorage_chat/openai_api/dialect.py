"""Failures of providers as answers of `/v1`."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.api import (
    BadRequest,
    DeadlineExceeded,
    MoorageError,
    NotFound,
    TooManyRequests,
    Unavailable,
    UpstreamError,
)

from moorage_chat.providers.base import ErrorCode, ProviderError

NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}
"""OpenAI's SDKs ask again after 429 and 5xx unless this says that it is of no use."""
_KINDS: Mapping[ErrorCode, type[MoorageError]] = {
    ErrorCode.UNREACHABLE: Unavailable,
    ErrorCode.TIMEOUT: DeadlineExceeded,
    ErrorCode.AUTH: UpstreamError,
    ErrorCode.MODEL_NOT_FOUND: NotFound,
    ErrorCode.CONTEXT_LENGTH: BadRequest,
    ErrorCode.CONTENT_FILTER: BadRequest,
    ErrorCode.ERROR: UpstreamError,
    ErrorCode.INCOMPLETE: UpstreamError,
}


def refusal(error: ProviderError, text: str, *, spent: bool) -> MoorageError:
    """A provider's failure as an answer to the client. text: what may be told of it. spent: once more may cost more."""
    headers = dict(NO_RETRY) if spent else {}
    if error.code is ErrorCode.RATE_LIMITED:
        limited = TooManyRequests(text, retry_after=int(error.retry_after or 5))
        limited.error_code = error.code.value
        limited.headers |= headers
        return limited
    if error.code is ErrorCode.UNREACHABLE:
        headers["Retry-After"] = "5"
    return _KINDS.get(error.code, UpstreamError)(text, code=error.code.value, headers=headers)
