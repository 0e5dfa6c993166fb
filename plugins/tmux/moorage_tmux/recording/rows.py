"""What the database knows of recordings."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from moorage.api import UserInfo
from tortoise.functions import Sum
from tortoise.queryset import QuerySet

from moorage_tmux import messages
from moorage_tmux.models import TmuxRecording
from moorage_tmux.recording.files import is_pid

if TYPE_CHECKING:
    from moorage_tmux.sessions import SessionInfo

_BASE62 = string.ascii_letters + string.digits


class Rows:
    """All statements about recordings. `db` is the core's Database.

    owner: whose they are; others that share the database have files, and bounds, of their own.
    """

    def __init__(self, db: Any) -> None:
        self._db = db
        self.owner = ""

    def _own(self) -> QuerySet[TmuxRecording]:
        return TmuxRecording.filter(session_key__startswith=self.owner + "/")

    async def add(self, session: SessionInfo, user: UserInfo | None, cols: int, rows: int) -> TmuxRecording:
        """A recording that begins now; user None: the settings began it."""
        async with self._db.transaction():
            return await TmuxRecording.create(
                pid="rec_" + "".join(secrets.choice(_BASE62) for _ in range(12)),
                session_key=f"{self.owner}/{session.key}",
                session_name=_storable(session.name),
                started_by=user.id if user else None,
                started_by_pid=user.pid if user else None,
                started_by_name=_storable(messages.display_name(user)) if user else None,
                started_at=datetime.now(UTC),
                cols=cols,
                rows=rows,
            )

    async def rename(self, pid: str, name: str) -> None:
        """Its session has another name."""
        async with self._db.transaction():
            await TmuxRecording.filter(pid=pid).update(session_name=_storable(name))

    async def end(self, pid: str, *, at: datetime, reason: str, duration: float, size: int) -> bool:
        """It has ended. False when it is not known any more."""
        async with self._db.transaction():
            changed = {"ended_at": at, "end_reason": reason, "duration": duration, "size": size}
            return await TmuxRecording.filter(pid=pid).update(**changed) > 0

    async def remove(self, pid: str) -> bool:
        """Forget it; False when it was not known."""
        async with self._db.transaction():
            return await TmuxRecording.filter(pid=pid).delete() > 0

    async def get(self, pid: str) -> TmuxRecording | None:
        """One of them."""
        return await self._own().get_or_none(pid=pid) if is_pid(pid) else None

    async def page(self, session: str | None, limit: int, offset: int) -> tuple[list[TmuxRecording], int]:
        """Some of them, the newest first, and how many there are."""
        found = self._own() if session is None else self._own().filter(session_name=_storable(session))
        rows = await found.order_by("-started_at", "-id").limit(limit).offset(offset)
        return rows, await found.count()

    async def unfinished(self) -> list[TmuxRecording]:
        """Those that have no end."""
        return await self._own().filter(ended_at=None)

    async def oldest(self, before: datetime | None = None) -> TmuxRecording | None:
        """The one that began first of those that have ended (before that)."""
        ended = self._own().filter(ended_at__not_isnull=True)
        if before is not None:
            ended = ended.filter(ended_at__lt=before)
        return await ended.order_by("started_at", "id").first()

    async def bytes(self) -> int:
        """The sizes of all that have ended, together."""
        sums = await self._own().annotate(total=Sum("size")).values_list("total", flat=True)
        return sum(int(total) for total in cast(list[Any], sums) if total is not None)


def session_key(row: TmuxRecording) -> str:
    """The key of the session that was recorded."""
    return row.session_key.partition("/")[2]


def _storable(text: str) -> str:
    """PostgreSQL takes no NUL."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")
