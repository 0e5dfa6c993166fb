"""The one tree of errors: a status, a machine code and a text that may be shown to anybody.

Raise these anywhere below the gate; the dialect of the route's owner decides how they are spelled.
`message` is public. What must not be seen goes into `__cause__` or the log.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class MoorageError(Exception):
    """An error with a public face. `details` is JSON-able, `headers` are added to the answer."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"
    default_message: ClassVar[str] = "Internal server error"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message or self.default_message
        self.error_code = code or self.code
        self.details: dict[str, Any] = dict(details or {})
        self.headers: dict[str, str] = dict(headers or {})
        super().__init__(self.message)


class BadRequest(MoorageError):
    """The request cannot be understood: malformed JSON, a wrong type of body."""

    status, code, default_message = 400, "BAD_REQUEST", "Bad request"


class Unreadable(BadRequest):
    """The body is no JSON, or no object. CHROTE calls it by the code of wrong fields."""


class ValidationFailed(MoorageError):
    """Understood, but a field is missing or wrong. `problems` is [{"field", "message"}].

    The status depends on the dialect (400 or 422).
    """

    status, code, default_message = 400, "VALIDATION_ERROR", "Invalid input data"

    def __init__(self, message: str | None = None, *, problems: list[dict[str, str]] | None = None) -> None:
        self.problems = problems or []
        super().__init__(message, details={"problems": self.problems} if self.problems else None)


class Unauthorized(MoorageError):
    """No credentials, or ones that do not hold."""

    status, code, default_message = 401, "UNAUTHORIZED", "Authentication required"


class Forbidden(MoorageError):
    """Known, but not allowed. Name the missing permission in `details["required"]`."""

    status, code, default_message = 403, "FORBIDDEN", "Insufficient permissions"


class NotFound(MoorageError):
    """No such thing, or none that this actor may know of."""

    status, code, default_message = 404, "NOT_FOUND", "Not found"


class MethodNotAllowed(MoorageError):
    """The path exists under other methods; they are in the `Allow` header."""

    status, code, default_message = 405, "METHOD_NOT_ALLOWED", "Method not allowed"


class RequestTimeout(MoorageError):
    """The client did not send its request in time."""

    status, code, default_message = 408, "REQUEST_TIMEOUT", "The request took too long to arrive"


class Conflict(MoorageError):
    """The state of the thing forbids it now."""

    status, code, default_message = 409, "CONFLICT", "Conflict"


class Gone(MoorageError):
    """It was here, and is switched off for good."""

    status, code, default_message = 410, "GONE", "No longer available"


class PayloadTooLarge(MoorageError):
    """The body passes the route's limit."""

    status, code, default_message = 413, "PAYLOAD_TOO_LARGE", "Request body too large"


class UnsupportedMediaType(MoorageError):
    """The body is of a kind that the route does not read."""

    status, code, default_message = 415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported media type"


class UriTooLong(MoorageError):
    """The path and query pass the limit."""

    status, code, default_message = 414, "URI_TOO_LONG", "Request target too long"


class HeadersTooLarge(MoorageError):
    """The header block passes the limit."""

    status, code, default_message = 431, "HEADERS_TOO_LARGE", "Request header fields too large"


class TooManyRequests(MoorageError):
    """A limit was reached. `retry_after` is whole seconds."""

    status, code, default_message = 429, "RATE_LIMITED", "Rate limit exceeded"

    def __init__(self, message: str | None = None, *, retry_after: int = 60) -> None:
        self.retry_after = max(1, retry_after)
        super().__init__(message, headers={"Retry-After": str(self.retry_after)})


class UpstreamError(MoorageError):
    """Something behind us answered wrongly or not at all."""

    status, code, default_message = 502, "BAD_GATEWAY", "Upstream error"


class Unavailable(MoorageError):
    """Not now: starting, draining, a plugin that failed, a dependency that is away."""

    status, code, default_message = 503, "SERVICE_UNAVAILABLE", "Service unavailable"


class DeadlineExceeded(MoorageError):
    """We did not finish in the time that the route allows."""

    status, code, default_message = 504, "TIMEOUT", "The server took too long to answer"


class StartError(Exception):
    """The server cannot start. The text is one paragraph for the operator: what, where, and the mend.

    `exit_code` 2 = configuration, 3 = a required plugin, 4 = database or data folder, 5 = listener.
    """

    def __init__(self, text: str, *, exit_code: int = 2) -> None:
        self.exit_code = exit_code
        super().__init__(text)


class ConfigError(StartError):
    """The configuration is wrong; `problems` are one line each, with key, reason and mend."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems), exit_code=2)
