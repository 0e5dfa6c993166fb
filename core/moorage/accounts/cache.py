"""The memory of proven credentials: the one look-up that every request makes."""

from __future__ import annotations

from datetime import datetime
from time import monotonic

from moorage.access import Actor
from moorage.accounts.secrets import digest_bytes

MAX_ENTRIES = 10_000


class CredentialCache:
    """Actors by the SHA-256 of their token, for a short while.

    By the digest and not by the token: half a microsecond more, and in exchange neither a core dump nor a debugger
    finds tokens kept here, and how long a look-up takes says nothing about any token.

    Whatever a revocation touches, everything is forgotten: revocations are rare and a look-up in the database is
    cheap, so there is no index to get wrong. `generation` tells a reader of the database that it was overtaken.
    """

    def __init__(self, ttl: float, size: int = MAX_ENTRIES) -> None:
        self.generation = 0
        self._ttl = ttl
        self._size = size
        self._entries: dict[bytes, tuple[Actor, float]] = {}

    def get(self, token: str) -> Actor | None:
        """The actor of a token that was proven within the time to live, else None."""
        entry = self._entries.get(digest_bytes(token))
        if entry is None or entry[1] <= monotonic():
            return None
        return entry[0]

    def put(self, token: str, actor: Actor, *, generation: int, now: datetime) -> None:
        """Remember an actor that was read while `generation` was current; one that was overtaken is dropped."""
        if generation != self.generation or self._ttl <= 0:
            return
        seconds = self._ttl
        if actor.credential is not None and actor.credential.expires_at is not None:
            seconds = min(seconds, (actor.credential.expires_at - now).total_seconds())
        key = digest_bytes(token)
        # Taken out first, so that the order of the dict is the order of age and its head is what may go.
        self._entries.pop(key, None)
        if len(self._entries) >= self._size:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = (actor, monotonic() + seconds)

    def clear(self) -> None:
        """Forget everything, also what is being read right now."""
        self.generation += 1
        self._entries.clear()

    def prune(self) -> None:
        """Let go of entries whose time is over."""
        now = monotonic()
        for key in [key for key, (_, until) in self._entries.items() if until <= now]:
            del self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)
