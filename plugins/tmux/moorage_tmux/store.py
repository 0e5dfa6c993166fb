"""Keeps the table of claims equal to the claims in memory, off the way of those who claim."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moorage_tmux.background import Background
from moorage_tmux.models import TmuxClaim

if TYPE_CHECKING:
    from moorage_tmux.claims import Claim


RETRY_SECONDS = 5.0


class ClaimStore:
    """Writes behind: the latest state of each claim, one after the other. `db` is the core's Database.

    where: names the tmux server, since others that share the database have claims of their own.
    """

    def __init__(self, db: Any, background: Background, log: Any, where: str) -> None:
        self._db, self._background, self._log = db, background, log
        self._prefix = hashlib.sha256(where.encode()).hexdigest()[:12] + "/"
        self._waiting: dict[str, Claim | None] = {}
        self._scheduled = False
        self._failing = False
        self._retry: asyncio.TimerHandle | None = None
        self._writing = asyncio.Lock()

    async def load(self) -> list[TmuxClaim]:
        """What was stored of this tmux server, by the keys of its sessions; what has expired is deleted."""
        async with self._db.transaction():
            await TmuxClaim.filter(expires_at__lte=datetime.now(UTC)).delete()
            rows = await TmuxClaim.filter(session_key__startswith=self._prefix)
        for row in rows:
            row.session_key = row.session_key.removeprefix(self._prefix)
        return rows

    def save(self, claim: Claim) -> None:
        """Store a claim as it is."""
        self._put(claim.key, claim)

    def delete(self, key: str) -> None:
        """Forget a claim."""
        self._put(key, None)

    async def flush(self) -> None:
        """Write everything that waits. What cannot be written is tried again later, and the error raised."""
        async with self._writing:
            waiting, self._waiting = self._waiting, {}
            failure: Exception | None = None
            for key, claim in waiting.items():
                try:
                    await self._write(key, claim)
                except Exception as error:
                    failure = error
                    self._waiting.setdefault(key, claim)
            if failure is None:
                self._failing = False
                return
            if not self._failing:
                self._log.error("claims cannot be stored: they would not outlive a restart", exc_info=failure)
            self._failing = True
            if self._retry is None:
                self._retry = self._background.later(RETRY_SECONDS, self._again)
            raise failure

    async def close(self) -> None:
        """Write what waits, if that can be done."""
        if self._retry is not None:
            self._retry.cancel()
        await self._run()
        if self._retry is not None:
            self._retry.cancel()

    def _put(self, key: str, claim: Claim | None) -> None:
        self._waiting[key] = claim
        if not self._scheduled:
            self._scheduled = True
            self._background.spawn(self._run(), "claims")

    def _again(self) -> None:
        self._retry = None
        self._background.spawn(self._run(), "claims")

    async def _run(self) -> None:
        self._scheduled = False
        with contextlib.suppress(Exception):  # It was logged, and who waits for it has it.
            await self.flush()

    async def _write(self, key: str, claim: Claim | None) -> None:
        async with self._db.transaction():
            if claim is None:
                await TmuxClaim.filter(session_key=self._prefix + key).delete()
                return
            await TmuxClaim.update_or_create(
                session_key=self._prefix + key,
                defaults={
                    "session_name": claim.session_name,
                    "user_id": claim.user.id,
                    "claimed_at": claim.claimed_at,
                    "expires_at": claim.expires_at,
                },
            )
