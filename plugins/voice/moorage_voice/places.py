"""How many may be served at once: in all, and of one user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from moorage.api import Actor

BUSY = "server busy - maximum concurrent sessions reached"
"""What speech servers say then, to the letter. Source: eaRS."""


class NoPlace(Exception):
    """As many as may be are already."""


class Places:
    """Counts those who are served, on this server."""

    def __init__(self, most: int, most_per_user: int) -> None:
        self._most, self._most_per_user = most, most_per_user
        self._taken: Counter[int] = Counter()

    @property
    def taken(self) -> int:
        """By all."""
        return self._taken.total()

    @contextmanager
    def one(self, actor: Actor) -> Iterator[None]:
        """A place for as long as it lasts. NoPlace."""
        user = actor.user.id if actor.user is not None else 0
        if self.taken >= self._most or self._taken[user] >= self._most_per_user:
            raise NoPlace(BUSY)
        self._taken[user] += 1
        try:
            yield
        finally:
            self._taken[user] -= 1
            if not self._taken[user]:
                del self._taken[user]
