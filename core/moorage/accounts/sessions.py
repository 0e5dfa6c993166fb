"""Sessions: made at login, looked up by the digest of their token, ended by time, logout or an operator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from moorage.access import Actor, UserInfo
from moorage.accounts.actors import COOKIE, SessionInfo, session_actor, session_method, user_info
from moorage.accounts.models import DeviceCode, Session, User
from moorage.accounts.names import storable
from moorage.accounts.secrets import digest, new_pid, new_session_token
from moorage.accounts.shared import ClientInfo, Login, Shared
from moorage.accounts.touches import BATCH, WRITE_EVERY, Touches

MAX_PER_USER = 100
"""Open sessions of one user; a login beyond it ends the one that was unused for the longest time."""
KEEP_ENDED = timedelta(days=7)
"""How long the row of an ended session is kept."""
SLIDE_EVERY = timedelta(days=1)
"""How old the end of an access token in use becomes before it is moved."""


class Sessions:
    """The rows of `core_sessions`."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._idle = timedelta(seconds=shared.settings.session_idle_seconds)
        self.touches = Touches(min(WRITE_EVERY, shared.settings.session_idle_seconds / 4))

    async def create(self, user: User, client: ClientInfo, *, kind: str = COOKIE) -> Login:
        """A fresh session with a fresh token; sessions beyond the bound end. Inside a transaction."""
        now = self._shared.now()
        token = new_session_token()
        row = await Session.create(
            pid=new_pid("sess"),
            user=user,
            token_hash=digest(token),
            kind=kind,
            address=client.address[:64],
            user_agent=client.user_agent[:256],
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(seconds=self._shared.settings.session_max_seconds),
        )
        beyond = Session.filter(user_id=user.id, revoked_at__isnull=True, expires_at__gt=now)
        await self._revoke(
            await beyond.order_by("-last_seen_at", "-id").offset(MAX_PER_USER).limit(BATCH), "too many sessions"
        )
        csrf = self._shared.seal.csrf_token(row.pid)
        return Login(session_actor(row, user, csrf), token, csrf, row.expires_at)

    async def load(self, token: str, *, touch: bool = True) -> Actor | None:
        """The actor of a session token, read from the database; None when it does not hold. touch: it is a use."""
        return await self._believed(
            await Session.filter(token_hash=digest(token)).select_related("user").first(), touch
        )

    async def load_pid(self, pid: str, *, touch: bool = True) -> Actor | None:
        """The same for the string id of a session, which proves nothing by itself."""
        if len(pid) > 32 or not storable(pid):
            return None
        return await self._believed(await Session.filter(pid=pid).select_related("user").first(), touch)

    async def fresh(self, ids: Iterable[int]) -> dict[int, Actor]:
        """The actors of those of the sessions that still hold, by id."""
        found: dict[int, Actor] = {}
        wanted = list(ids)
        for start in range(0, len(wanted), BATCH):
            rows = await Session.filter(id__in=wanted[start : start + BATCH]).select_related("user")
            found |= {row.id: self.actor(row) for row in rows if self._holds(row)}
        return found

    def actor(self, row: Session) -> Actor:
        """The actor of a session whose user was read with it."""
        return session_actor(row, row.user, self._shared.seal.csrf_token(row.pid) if row.kind == COOKIE else None)

    async def page(self, user_id: int) -> list[SessionInfo]:
        """The open sessions of a user, the last used first."""
        now = self._shared.now()
        rows = await Session.filter(user_id=user_id, revoked_at__isnull=True, expires_at__gt=now)
        found = [self._info(row) for row in rows]
        return sorted((one for one in found if now - one.last_seen_at < self._idle), key=_recent, reverse=True)

    async def latest(
        self, user_id: int | None, *, offset: int, limit: int
    ) -> tuple[list[tuple[SessionInfo, UserInfo]], int]:
        """Open sessions with their users, one user's or everybody's, the last used first; and how many there are."""
        now = self._shared.now()
        wanted = Session.filter(revoked_at__isnull=True, expires_at__gt=now, last_seen_at__gt=now - self._idle)
        if user_id is not None:
            wanted = wanted.filter(user_id=user_id)
        rows = await wanted.order_by("-last_seen_at", "-id").offset(offset).limit(limit).select_related("user")
        return [(self._info(row), user_info(row.user)) for row in rows], await wanted.count()

    async def find(self, pid: str) -> SessionInfo | None:
        """The open session with this string id."""
        if len(pid) > 32 or not storable(pid):
            return None
        row = await Session.filter(pid=pid, revoked_at__isnull=True).first()
        return None if row is None else self._info(row)

    async def end(self, session_id: int, reason: str) -> bool:
        """End one session; False when it had ended before. Inside a transaction."""
        rows = await Session.filter(id=session_id, revoked_at__isnull=True).select_for_update()
        await self._revoke(rows, reason)
        return bool(rows)

    async def end_all(self, user_id: int, reason: str, *, keep: int | None = None) -> int:
        """End every open session of a user but `keep`; how many there were. Inside a transaction."""
        # A login that was approved and not yet fetched would begin after the end of all the others.
        await DeviceCode.filter(user_id=user_id, status="approved").update(status="denied")
        rows = await Session.filter(user_id=user_id, revoked_at__isnull=True).order_by("id").select_for_update()
        rows = [row for row in rows if row.id != keep]
        await self._revoke(rows, reason)
        return len(rows)

    async def flush(self) -> None:
        """Write when sessions were last seen."""
        for ids, at in self.touches.take():
            await Session.filter(id__in=ids, last_seen_at__lt=at).update(last_seen_at=at)

    async def sweep(self) -> None:
        """Delete the rows of sessions that ended a while ago."""
        now = self._shared.now()
        await Session.filter(expires_at__lt=now - KEEP_ENDED).delete()
        await Session.filter(last_seen_at__lt=now - self._idle - KEEP_ENDED).delete()
        await Session.filter(revoked_at__lt=now - KEEP_ENDED).delete()

    def _info(self, row: Session) -> SessionInfo:
        return SessionInfo(
            id=row.id,
            pid=row.pid,
            user_id=row.user_id,
            kind=row.kind,
            client_id=row.client_id,
            client_name=row.client_name,
            resource=row.resource,
            scope=row.scope,
            address=row.address,
            user_agent=row.user_agent,
            created_at=row.created_at,
            last_seen_at=self.touches.latest(row.id, row.last_seen_at) or row.last_seen_at,
            expires_at=row.expires_at,
        )

    async def _believed(self, row: Session | None, touch: bool) -> Actor | None:
        if row is None or not self._holds(row):
            return None
        if touch:
            self.touches.note(row.id, row.last_seen_at, self._shared.now())
            await self._slide(row)
        return self.actor(row)

    def lives(self, row: Session, user: User) -> bool:
        """Whether the session goes on, whatever its access token."""
        now = self._shared.now()
        seen = self.touches.latest(row.id, row.last_seen_at) or row.last_seen_at
        return row.revoked_at is None and user.active and now < row.expires_at and now - seen < self._idle

    def _holds(self, row: Session) -> bool:
        in_time = row.token_expires_at is None or self._shared.now() < row.token_expires_at
        return in_time and self.lives(row, row.user)

    async def _slide(self, row: Session) -> None:
        """Move the end of a device's access token that is in use: one write a day, or in half of its life if less."""
        if row.token_expires_at is None or row.token_expires_at >= row.expires_at or row.resource is not None:
            return
        life = timedelta(seconds=self._shared.settings.device.token_seconds)
        ends = min(self._shared.now() + life, row.expires_at)
        if ends - row.token_expires_at < min(SLIDE_EVERY, life / 2):
            return
        # A refresh that came first has replaced the token, and said when the new one ends.
        mine = Session.filter(id=row.id, token_hash=row.token_hash, token_expires_at__lt=ends)
        if await mine.update(token_expires_at=ends):
            row.token_expires_at = ends

    async def _revoke(self, rows: Sequence[Session], reason: str) -> None:
        now = self._shared.now()
        for start in range(0, len(rows), BATCH):
            ids = [row.id for row in rows[start : start + BATCH]]
            await Session.filter(id__in=ids).update(revoked_at=now, revoke_reason=reason)
        for row in rows:
            self._shared.revoked(session_method(row.kind), row.id, row.user_id)


def _recent(session: SessionInfo) -> datetime:
    return session.last_seen_at
