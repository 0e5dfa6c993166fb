"""The dialects of the five contracts, and problem details (RFC 9457) for what belongs to none of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from moorage.dialects.base import Dialect, members, milliseconds
from moorage.errors import Forbidden, MoorageError, TooManyRequests, Unauthorized, Unreadable

_TEXT = {"type": "string"}
_CODE = {"type": "string", "description": "A code for programs"}
_SENTENCE = {"type": "string", "description": "A text for people"}
_DETAILS = {"type": "object", "description": "What the error is about"}
_PROBLEMS = {"type": "array", "items": members({"field": _TEXT, "message": _TEXT})}


def _two_roles(role: str) -> str:
    return "admin" if role in ("admin", "owner") else "user"


class _Octo(Dialect):
    """Octo: a human sentence in `error`, codes beside it. Source: `api/octo.md`, its program's errors."""

    name = "octo"
    validation_status = 422
    _prefix = {
        400: "Bad request",
        401: "Unauthorized",
        403: "Forbidden",
        404: "Resource not found",
        409: "Conflict",
        422: "Bad request",
        500: "Internal server error",
        502: "Gateway error",
        503: "Service unavailable",
    }

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        status = self.status(error)
        prefix = self._prefix.get(status)
        text = error.message if prefix is None or error.message == prefix else f"{prefix}: {error.message}"
        body: dict[str, Any] = {"error": text, "code": error.error_code, "error_code": error.error_code.lower()}
        if error.details:
            body["details"] = error.details
        return body

    def error_schema(self, status: int) -> dict[str, Any]:
        return members({"error": _SENTENCE, "code": _CODE, "error_code": _CODE}, {"details": _DETAILS})

    def role(self, role: str) -> str:
        return _two_roles(role)


class _Chrote(Dialect):
    """CHROTE: a code in `error`, a text in `message`, an object in `details`. Source: `api/chrote.md`."""

    name = "chrote"
    _lacking = ("required", "current", "action")

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        code = "VALIDATION_ERROR" if isinstance(error, Unreadable) else error.error_code
        body = {"error": code, "message": error.message, "details": error.details}
        # What is lacking stands at the top as well, where a permission is.
        return body | {key: error.details[key] for key in self._lacking if key in error.details}

    def error_schema(self, status: int) -> dict[str, Any]:
        lacking = dict.fromkeys(self._lacking, _TEXT) if status == 403 else {}
        return members({"error": _CODE, "message": _SENTENCE, "details": _DETAILS}, lacking)

    def timestamp(self, at: datetime) -> str:
        return milliseconds(at)


class _Octoprox(Dialect):
    """Octoprox: `{"detail"}`; 429 has its own shape. Source: `api/octoprox.md`."""

    name = "octoprox"
    validation_status = 422
    _texts: ClassVar[dict[type[MoorageError], str]] = {
        Unauthorized: "Not authenticated",
        Forbidden: "Not authorized to access this resource",
    }

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        if isinstance(error, TooManyRequests):
            return {"error": "Rate limit exceeded", "retry_after": error.retry_after}
        text = self._texts.get(type(error), error.message) if error.message == error.default_message else error.message
        return {"detail": text} | ({"errors": error.details["problems"]} if "problems" in error.details else {})

    def error_schema(self, status: int) -> dict[str, Any]:
        if status == TooManyRequests.status:
            return members({"error": _SENTENCE, "retry_after": {"type": "integer", "minimum": 1}})
        return members({"detail": _SENTENCE}, {"errors": _PROBLEMS})

    def role(self, role: str) -> str:
        return _two_roles(role)


class _Orbital(Dialect):
    """Orbital: code, text, and `details` as a string. Source: `api/orbital.md`."""

    name = "orbital"

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        body = {"error": error.error_code, "message": error.message}
        if error.details:
            body["details"] = ", ".join(f"{key}: {value}" for key, value in error.details.items())
        return body

    def error_schema(self, status: int) -> dict[str, Any]:
        return members({"error": _CODE, "message": _SENTENCE}, {"details": _TEXT})

    def timestamp(self, at: datetime) -> str:
        return milliseconds(at)


class _Chat(Dialect):
    """Chat: `{code, message, request_id}`, naive UTC times. Source: `api/chat.md` and its program."""

    name = "chat"

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        # By this code the page knows that it has to sign in.
        code = "AUTH_REQUIRED" if error.error_code == "UNAUTHORIZED" else error.error_code
        body: dict[str, Any] = {"code": code, "message": error.message, "request_id": request_id}
        if error.details:
            body["detail"] = error.details.get("problems", [error.details])
        return body

    def error_schema(self, status: int) -> dict[str, Any]:
        detail = {"type": "array", "items": {"type": "object"}}
        return members({"code": _CODE, "message": _SENTENCE, "request_id": _TEXT}, {"detail": detail})

    def timestamp(self, at: datetime) -> str:
        return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")

    def role(self, role: str) -> str:
        return _two_roles(role)


class _Problem(Dialect):
    """RFC 9457 problem details: the core's own."""

    name = "problem"
    validation_status = 422
    content_type = "application/problem+json"

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        return {
            "type": "about:blank",
            "title": error.default_message,
            "status": self.status(error),
            "detail": error.message,
            "code": error.error_code,
            "request_id": request_id,
            **({"details": error.details} if error.details else {}),
        }

    def error_schema(self, status: int) -> dict[str, Any]:
        return members(
            {
                "type": _TEXT,
                "title": _TEXT,
                "status": {"type": "integer"},
                "detail": _SENTENCE,
                "code": _CODE,
                "request_id": _TEXT,
            },
            {"details": _DETAILS},
        )


OCTO, CHROTE, OCTOPROX, ORBITAL, CHAT, PROBLEM = _Octo(), _Chrote(), _Octoprox(), _Orbital(), _Chat(), _Problem()
DIALECTS: dict[str, Dialect] = {d.name: d for d in (OCTO, CHROTE, OCTOPROX, ORBITAL, CHAT, PROBLEM)}
