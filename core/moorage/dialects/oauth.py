"""The dialect of OAuth's endpoints: lower-case codes, whatever went wrong. Source: RFC 6749, 5.2; RFC 8628, 3.5."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from moorage.dialects.base import Dialect, milliseconds
from moorage.errors import MoorageError

_CODES = {
    401: "unauthorized",
    403: "access_denied",
    429: "slow_down",
    503: "temporarily_unavailable",
}
_NO_DESCRIPTION = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")


class _OAuth(Dialect):
    """`error` and `error_description` for OAuth clients, and Orbital's `message`.

    A limit that was reached is spelled as `slow_down`, so that a client that polls does just that.
    """

    name = "oauth"
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}

    def status(self, error: MoorageError) -> int:
        """A body that cannot be read is an invalid request like any other."""
        return 400 if error.status in (415, 422) else super().status(error)

    def error(self, error: MoorageError, request_id: str) -> dict[str, Any]:
        code = error.error_code
        if not code.islower():
            status = self.status(error)
            code = _CODES.get(status, "server_error" if status >= 500 else "invalid_request")
        # Strict clients take no quotes, backslashes or line ends in a description.
        description = _NO_DESCRIPTION.sub("?", error.message.replace('"', "'"))
        return {"error": code, "error_description": description, "message": error.message}

    def timestamp(self, at: datetime) -> str:
        return milliseconds(at)


OAUTH = _OAuth()
