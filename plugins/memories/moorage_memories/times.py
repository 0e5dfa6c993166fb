"""Times as text."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: datetime) -> str:
    """A time in UTC, to the microsecond, so that what goes out comes in again as it was."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
