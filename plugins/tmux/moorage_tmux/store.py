"""Keeps the table of claims equal to the claims in memory, off the way of those who claim."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moorage_tmux.background import Background
from moorage_tmux.models import TmuxClaim

if TYPE_CHECKING:
    from moorage_tmux.claims import Claim


class ClaimStore:
    """Writes behind: the latest state of each claim, one after the other. `db` is the core's Database."""

    def __init__(self, db: Any, background: Background, log: Any) -> None:
        self._db, self._background, self._log = db, background, log
        self._waiting: dict[str, Claim | None] = {}
        self._scheduled = False
        self._writing = asyncio.Lock()

    async def load(self) -> list[TmuxClaim]:
        """What was stored; what has expired meanwhile is deleted."""
        async with self._db.transaction():
            await TmuxClaim.filter(expires_at__lte=datetime.now(UTC)).delete()
            return await TmuxClaim.all()

    def save(self, claim: Claim) -> None:
        """Store a claim as it is."""
        self._put(claim.key, claim)

    def delete(self, key: str) -> None:
        """Forget a claim."""
        self._put(key, None)

    async def flush(self) -> None:
        """Write everything that waits; an error is logged, and what could not be written is dropped."""
        async with self._writing:
            while self._waiting:
                key = next(iter(self._waiting))
                claim = self._waiting.pop(key)
                try:
                    await self._write(key, claim)
                except Exception:
                    self._log.exception("a claim could not be stored: it will not outlive a restart", session=key)

    def _put(self, key: str, claim: Claim | None) -> None:
        self._waiting[key] = claim
        if not self._scheduled:
            self._scheduled = True
            self._background.spawn(self._run(), "claims")

    async def _run(self) -> None:
        self._scheduled = False
        await self.flush()

    async def _write(self, key: str, claim: Claim | None) -> None:
        async with self._db.transaction():
            if claim is None:
                await TmuxClaim.filter(session_key=key).delete()
                return
            await TmuxClaim.update_or_create(
                session_key=key,
                defaults={
                    "session_name": claim.session_name,
                    "user_id": claim.user.id,
                    "claimed_at": claim.claimed_at,
                    "expires_at": claim.expires_at,
                },
            )
