"""Answers that are given again when their request comes again with the same Idempotency-Key.

Source: draft-ietf-httpapi-idempotency-key-header: another request with a used key is 422, one that comes while the
first is being answered is 409. A key belongs to its user and is good for a day.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moorage.api import Actor, BadRequest, Conflict, Hub, MoorageError, Unauthorized
from tortoise.exceptions import IntegrityError

from moorage_chat.models import ChatIdempotency

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
"""On an answer that was given before."""
LASTS = timedelta(hours=24)
BEGUN_LASTS = timedelta(seconds=60)
"""After which a request that has given no answer counts as lost with the server that it was at."""
MAX_KEY = 255
CLEAN_SECONDS = 600.0


class KeyReused(MoorageError):
    """A key that was used for another request."""

    status, code = 422, "IDEMPOTENCY_KEY_REUSED"
    default_message = "This Idempotency-Key was used for another request"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as a user has sent it. digest: SHA-256 of the request that it stands for."""

    user_id: int
    text: str
    digest: str


class _Taken(Exception):
    """Somebody has the key."""


def read_key(actor: Actor, text: str | None, route: str, body: bytes) -> Key | None:
    """The key of a request, None without one. route: method and path. BadRequest, Unauthorized."""
    if text is None:
        return None
    if not 1 <= len(text) <= MAX_KEY or not text.isascii() or not text.isprintable():
        raise BadRequest(f"{HEADER} must have 1 to {MAX_KEY} visible ASCII characters")
    if actor.user is None:
        raise Unauthorized
    return Key(actor.user.id, text, hashlib.sha256(route.encode() + b"\n" + body).hexdigest())


class Idempotency:
    """Keys and their answers."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._cleaned = time.monotonic()

    async def once(self, key: Key | None, do: Callable[[], Awaitable[dict[str, Any]]]) -> tuple[dict[str, Any], bool]:
        """What `do` gives, or gave the first time; and whether it was given before. Without a key, `do` is called.

        What `do` writes and the key are one transaction, so there is never one without the other: it must not wait
        for the network. An error of it leaves the key free. KeyReused, Conflict.
        """
        if key is None:
            return await do(), False
        while True:
            try:
                async with self._hub.db.transaction():
                    row = await self._take(key, LASTS)
                    answer = await do()
                    row.response = answer
                    await row.save(update_fields=("response",))
                return answer, False
            except _Taken:
                if (kept := await self._kept(key)) is not None:
                    return dict(kept), True

    async def begin(self, key: Key | None) -> Mapping[str, Any] | None:
        """Take a key for what cannot be one transaction; the answer where it was given before. KeyReused, Conflict.

        After None comes `keep` or `drop`.
        """
        if key is None:
            return None
        while True:
            try:
                async with self._hub.db.transaction():
                    await self._take(key, BEGUN_LASTS)
                return None
            except _Taken:
                if (kept := await self._kept(key)) is not None:
                    return kept

    async def keep(self, key: Key | None, answer: dict[str, Any]) -> None:
        """Keep the answer for the next time; best in the transaction that what it tells of is written in."""
        if key is not None:
            found = ChatIdempotency.filter(user_id=key.user_id, key=key.text, body_hash=key.digest)
            await found.update(response=answer, expires_at=datetime.now(UTC) + LASTS)

    async def drop(self, key: Key | None) -> None:
        """Nothing came of it: the key is free."""
        if key is not None:
            await ChatIdempotency.filter(user_id=key.user_id, key=key.text, response__isnull=True).delete()

    async def _take(self, key: Key, lasts: timedelta) -> ChatIdempotency:
        """In a transaction, which is lost when the key is taken."""
        await self._clean()
        try:
            return await ChatIdempotency.create(
                user_id=key.user_id, key=key.text, body_hash=key.digest, expires_at=datetime.now(UTC) + lasts
            )
        except IntegrityError:
            raise _Taken from None

    async def _kept(self, key: Key) -> Mapping[str, Any] | None:
        """The answer of a taken key; None when it is free by now."""
        row = await ChatIdempotency.get_or_none(user_id=key.user_id, key=key.text)
        if row is None:
            return None
        if row.expires_at.replace(tzinfo=row.expires_at.tzinfo or UTC) <= datetime.now(UTC):
            await ChatIdempotency.filter(id=row.id, expires_at=row.expires_at).delete()
            return None
        if row.body_hash != key.digest:
            raise KeyReused
        if row.response is None:
            raise Conflict(
                "The first request with this Idempotency-Key is being answered",
                code="IDEMPOTENCY_IN_PROGRESS",
                headers={"Retry-After": "1"},
            )
        return row.response

    async def _clean(self) -> None:
        """Now and then, forget those whose time is over."""
        if time.monotonic() - self._cleaned >= CLEAN_SECONDS:
            self._cleaned = time.monotonic()
            await ChatIdempotency.filter(expires_at__lte=datetime.now(UTC)).delete()
