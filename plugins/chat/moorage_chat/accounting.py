"""What was used, for those who used it and for administrators; and users' own limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from moorage.api import Actor, Hub, NotFound, Unauthorized, UserInfo

from moorage_chat.limits import Limits, resets_at
from moorage_chat.rights import LIMITS, USAGE
from moorage_chat.store import usage
from moorage_chat.store.usage import TOTAL, Allowed, Used, UsedOf

MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Day:
    """A day (UTC). models: each one's share; an answer is counted there when it has ended."""

    day: date
    used: Used
    models: Sequence[UsedOf]


@dataclass(frozen=True, slots=True)
class Report:
    """What a user has used. days: the newest first, those without any use left out. own: the limits are the user's."""

    user: UserInfo
    today: Used
    allowed: Allowed
    own: bool
    resets_at: datetime
    days: Sequence[Day]


class Accounting:
    """Reads the counts, and sets the limits."""

    def __init__(self, hub: Hub, limits: Limits) -> None:
        self._hub, self._limits = hub, limits

    async def report(self, actor: Actor, *, days: int, user_id: int | None = None) -> Report:
        """What a user (None: the actor) has used in the last days, today among them.

        Forbidden, NotFound (USER_NOT_FOUND).
        """
        if actor.user is None:
            raise Unauthorized
        user_id = actor.user.id if user_id is None else user_id
        self._hub.access.require(actor, USAGE.name, owner_id=user_id)
        user = actor.user if user_id == actor.user.id else await self._user(user_id)
        if user is not actor.user:
            await self._hub.audit.note_read("chat_usage", actor=actor, data={"user_id": user.id})
        return await self.of(user, days)

    async def of(self, user: UserInfo, days: int) -> Report:
        """The same, whoever asks."""
        today = datetime.now(UTC).date()
        rows = await usage.of_days(user.id, _first(today, days), today)
        own = await usage.allowed(user.id)
        found = [
            Day(row.day, row.used, [one for one in rows if one.day == row.day and one.provider != TOTAL])
            for row in rows
            if row.provider == TOTAL
        ]
        return Report(
            user=user,
            today=found[0].used if found and found[0].day == today else Used(),
            allowed=self._limits.of_role(user.role) if own is None else own,
            own=own is not None,
            resets_at=resets_at(today),
            days=found,
        )

    async def everybody(self, actor: Actor, *, days: int, limit: int, offset: int) -> list[tuple[int, Used]]:
        """(user id, what they used in the last days), who used the most tokens first. Forbidden."""
        self._hub.access.require(actor, USAGE.name)
        await self._hub.audit.note_read("chat_usage", actor=actor)
        return await self.ranking(days=days, limit=limit, offset=offset)

    async def ranking(self, *, days: int, limit: int, offset: int = 0) -> list[tuple[int, Used]]:
        """The same, whoever asks."""
        today = datetime.now(UTC).date()
        return await usage.by_user(_first(today, days), today, limit=limit, offset=offset)

    # -- limits -------------------------------------------------------------------------------------------------

    async def limits(self, actor: Actor) -> Mapping[int, Allowed]:
        """The users with limits of their own. Forbidden."""
        self._hub.access.require(actor, LIMITS.name)
        return await usage.all_allowed()

    async def limits_of(self, actor: Actor, user_id: int) -> tuple[Allowed, bool]:
        """A user's limits, and whether they are their own. Forbidden, NotFound."""
        self._hub.access.require(actor, LIMITS.name)
        user = await self._user(user_id)
        own = await usage.allowed(user.id)
        return (self._limits.of_role(user.role), False) if own is None else (own, True)

    async def set_limits(self, actor: Actor, user_id: int, allowed: Allowed) -> None:
        """Let these hold for a user instead of the role's. Forbidden, NotFound."""
        self._hub.access.require(actor, LIMITS.name)
        user = await self._user(user_id)
        await self.give(actor, user, allowed)

    async def give(self, actor: Actor, user: UserInfo, allowed: Allowed) -> None:
        """The same, whoever asks."""
        await usage.allow(user.id, allowed)
        told = {"messages_per_day": allowed.messages_per_day, "tokens_per_day": allowed.tokens_per_day}
        await self._hub.audit.write("chat.limits_set", actor=actor, target=f"user:{user.pid}", data=told)

    async def clear_limits(self, actor: Actor, user_id: int) -> None:
        """Let the role's limits hold for a user again. Forbidden, NotFound."""
        self._hub.access.require(actor, LIMITS.name)
        await self.take(actor, await self._user(user_id))

    async def take(self, actor: Actor, user: UserInfo) -> None:
        """The same, whoever asks."""
        if await usage.forget_limits(user.id):
            await self._hub.audit.write("chat.limits_cleared", actor=actor, target=f"user:{user.pid}")

    async def _user(self, user_id: int) -> UserInfo:
        user = await self._hub.accounts.get_user(user_id)
        if user is None:
            raise NotFound("User not found", code="USER_NOT_FOUND")
        return user


def _first(today: date, days: int) -> date:
    return today - timedelta(days=days - 1)
