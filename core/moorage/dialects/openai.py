"""Errors as clients of OpenAI's API read them. Source: OpenAI's API reference, Error codes; its SDKs' exceptions."""

from __future__ import annotations

from typing import Any

from moorage.dialects.base import Dialect, members
from moorage.errors import MoorageError

_CODES = {
    "MODEL_NOT_FOUND": "model_not_found",
    "PROVIDER_NOT_FOUND": "model_not_found",
    "CONTEXT_LENGTH": "context_length_exceeded",
    "QUOTA_EXCEEDED": "insufficient_quota",
    "RATE_LIMITED": "rate_limit_exceeded",
    "PROVIDER_RATE_LIMITED": "rate_limit_exceeded",
}
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}


class _OpenAI(Dialect):
    """`{"error": {"message", "type", "param", "code"}}`, whether as an answer or within a stream."""

    name = "openai"

    def status(self, error: MoorageError) -> int:
        """A model that is not there is a 404 here."""
        return 404 if error.error_code in ("MODEL_NOT_FOUND", "PROVIDER_NOT_FOUND") else super().status(error)

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        status = self.status(error)
        kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
        code = "invalid_api_key" if status == 401 else _CODES.get(error.error_code, error.error_code.lower())
        if code == "insufficient_quota":
            kind = code
        problems = error.details.get("problems") or [{}]
        param = problems[0].get("field") or error.details.get("param")
        return {"error": {"message": error.message, "type": kind, "param": param, "code": code}}

    def error_schema(self, status: int) -> dict[str, Any]:
        text = {"type": "string"}
        inner = {"message": text, "type": text, "param": {"type": ["string", "null"]}, "code": text}
        return members({"error": members(inner)})


OPENAI = _OpenAI()
