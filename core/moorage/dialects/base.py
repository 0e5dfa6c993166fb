"""The interface of a dialect."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from moorage.errors import MoorageError


class Dialect:
    """Spells errors, times and roles for the clients of one contract. Stateless."""

    name = "base"
    validation_status = 400
    content_type = "application/json"
    headers: Mapping[str, str] = {}
    """Of every error, beside its own."""

    def status(self, error: MoorageError) -> int:
        """The HTTP status of an error."""
        return self.validation_status if error.error_code == "VALIDATION_ERROR" else error.status

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        """The JSON body of an error."""
        raise NotImplementedError

    def error_schema(self, status: int) -> dict[str, Any]:
        """The JSON schema of what `error` gives for errors of that status, for OpenAPI."""
        return {"type": "object", "minProperties": 1}

    def timestamp(self, at: datetime) -> str:
        """An instant as the contract writes it; `at` is aware."""
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def role(self, role: str) -> str:
        """A core role as the contract names it."""
        return role


def milliseconds(at: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z, as JavaScript writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def members(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """The JSON schema of an object with these members and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }
