"""What a limiter says of one request."""

from __future__ import annotations

from typing import NamedTuple


class LimitState(NamedTuple):
    """The outcome for the limit that is nearest to being reached.

    limit: requests per window; 0 where nothing is counted (then the other numbers mean nothing). remaining: how many
    are left now. reset_at: Unix time, whole seconds, at which the next place in the window falls free.
    retry_after: whole seconds, at least 1, when refused; else 0.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_at: int
    retry_after: int

    @property
    def counted(self) -> bool:
        """Whether a limit applies, so that headers make sense."""
        return self.limit > 0


UNLIMITED = LimitState(allowed=True, limit=0, remaining=0, reset_at=0, retry_after=0)
"""Limits are off, or the route is exempt."""
