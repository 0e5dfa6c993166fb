"""What the three spellings of invites share: bounded fields, and how they are turned into what the service takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from moorage.accounts.invite_rules import MAX_AHEAD, MAX_NOTE, MAX_USES
from moorage.errors import ValidationFailed

MAX_BODY = 16 * 1024
MAX_ROW = 2**31 - 1
MAX_SECONDS = int(MAX_AHEAD.total_seconds())


def _aware(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar") from None


Role = Annotated[str, Field(min_length=1, max_length=64)]
Note = Annotated[str, Field(max_length=MAX_NOTE)]
Uses = Annotated[int, Field(strict=True, ge=1, le=MAX_USES)]
Seconds = Annotated[int, Field(strict=True, ge=1, le=MAX_SECONDS)]
Instant = Annotated[datetime, AfterValidator(_aware)]
"""A time; without a zone it is UTC."""


def core_role(role: str | None) -> str:
    """The core's role of a contract that knows "user" and "admin"; its own names are taken too."""
    return "operator" if role in (None, "user") else str(role)


def ends(at: datetime | None, seconds: int | None) -> datetime | None:
    """When an invite ends: at a time, or after so many seconds. ValidationFailed for both."""
    if at is not None and seconds is not None:
        problem = {"field": "expires_at", "message": "is given in two ways"}
        raise ValidationFailed("expires_at is given in two ways", problems=[problem])
    return datetime.now(UTC) + timedelta(seconds=seconds) if seconds is not None else at
