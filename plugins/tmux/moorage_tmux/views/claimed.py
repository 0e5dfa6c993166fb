"""The refusal to one who is not the holder, as the contract has it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, NotRequired

from moorage.api import Forbidden, json_response
from quart import Response
from typing_extensions import TypedDict

View = Callable[..., Awaitable[Response]]


class ClaimRefused(TypedDict):
    """Another has the session: who, and until when, both at the top and in the details. Else the right is missing."""

    error: str
    message: str
    claimedBy: NotRequired[str]
    expiresAt: NotRequired[str]
    details: dict[str, Any]


def tells_who_claimed(view: View) -> View:
    """A view whose refusals put the holder and the end beside the error, as the contract does."""

    @functools.wraps(view)
    async def telling(**params: Any) -> Response:
        try:
            return await view(**params)
        except Forbidden as error:
            if "expiresAt" not in error.details:
                raise
            return json_response(
                {
                    "error": error.error_code,
                    "message": error.message,
                    "claimedBy": error.details["claimedBy"],
                    "expiresAt": error.details["expiresAt"],
                    "details": error.details,
                },
                error.status,
            )

    return telling
