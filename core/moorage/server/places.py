"""Places for what stays open for long, WebSockets and endless streams: so many for each user, and not more."""

from __future__ import annotations

from collections import Counter

from moorage.context import RequestInfo
from moorage.errors import TooManyRequests
from moorage.limits.service import network

Holder = int | str
"""A user's id, or the network of an address that is not signed in."""


class Places:
    """Who has how many."""

    def __init__(self) -> None:
        self._taken: Counter[Holder] = Counter()

    def take(self, info: RequestInfo, most: int) -> Holder:
        """One more for who asks; hand what is returned to `free` at its end. TooManyRequests beyond `most`."""
        user = info.actor.user
        holder = user.id if user is not None else network(info.address)
        if self._taken[holder] >= most:
            raise TooManyRequests(f"No more than {most} sockets and streams may be open at once", retry_after=10)
        self._taken[holder] += 1
        return holder

    def free(self, holder: Holder) -> None:
        """One less."""
        self._taken[holder] -= 1
        if not self._taken[holder]:
            del self._taken[holder]
