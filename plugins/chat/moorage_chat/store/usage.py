"""What users have used of models by the day, and their own limits: every query of the two tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from moorage.api import Hub, sql
from tortoise.expressions import F
from tortoise.functions import Sum

from moorage_chat.models import ChatUsage, ChatUserLimit

TOTAL = ""
"""As provider and model: the row of a user's day that counts all; changed first where an answer is let in."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was used: answers of models, tokens asked and tokens answered."""

    messages: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def tokens(self) -> int:
        """Both."""
        return self.tokens_in + self.tokens_out


@dataclass(frozen=True, slots=True)
class UsedOf:
    """What one user used on one day (UTC) of one provider's model."""

    user_id: int
    day: date
    provider: str
    model: str
    used: Used


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a user may use in a day; None: without end."""

    messages_per_day: int | None = None
    tokens_per_day: int | None = None


# -- counting ----------------------------------------------------------------------------------------------------


async def count_one(hub: Hub, user_id: int, day: date) -> tuple[Used, Allowed | None]:
    """Count one more answer; what the user had used on that day before it, and their own limits, if they have any.

    In a transaction, within which nobody else counts for that day.
    """
    await count(hub, user_id, day, Used(messages=1))
    (row,) = await sql.query(
        hub,
        'SELECT u."messages", u."tokens_in", u."tokens_out", l."user_id" AS "own", l."messages_per_day", '
        'l."tokens_per_day" FROM "chat_usage" u LEFT JOIN "chat_user_limits" l ON l."user_id" = u."user_id" '
        'WHERE u."user_id" = ? AND u."day" = ? AND u."provider" = ? AND u."model" = ?',
        [user_id, _day(hub, day), TOTAL, TOTAL],
    )
    own = None if row["own"] is None else Allowed(row["messages_per_day"], row["tokens_per_day"])
    return Used(row["messages"] - 1, row["tokens_in"], row["tokens_out"]), own


async def count(hub: Hub, user_id: int, day: date, more: Used, provider: str = TOTAL, model: str = TOTAL) -> None:
    """Add to what was used: of a provider's model, or of all. By hand: it is on the way of each answer, twice."""
    if not await _add(hub, user_id, day, more, provider, model):
        await _make(user_id, day, provider, model)
        await _add(hub, user_id, day, more, provider, model)


async def _add(hub: Hub, user_id: int, day: date, more: Used, provider: str, model: str) -> bool:
    changed = await sql.execute(
        hub,
        'UPDATE "chat_usage" SET "messages" = "messages" + ?, "tokens_in" = "tokens_in" + ?, '
        '"tokens_out" = "tokens_out" + ? WHERE "user_id" = ? AND "day" = ? AND "provider" = ? AND "model" = ?',
        [more.messages, more.tokens_in, more.tokens_out, user_id, _day(hub, day), provider, model],
    )
    return changed > 0


def _day(hub: Hub, day: date) -> date | str:
    return day.isoformat() if hub.db.dialect == "sqlite" else day


async def _make(user_id: int, day: date, provider: str, model: str) -> None:
    # Another one may be making it at the same time: then theirs is taken.
    row = ChatUsage(user_id=user_id, day=day, provider=provider, model=model)
    await ChatUsage.bulk_create([row], ignore_conflicts=True)


# -- reading -----------------------------------------------------------------------------------------------------


async def of_days(user_id: int, first: date, last: date) -> list[UsedOf]:
    """What a user has used on some days: the totals (`TOTAL`) and each model's share, newest day first."""
    rows = await ChatUsage.filter(user_id=user_id, day__gte=first, day__lte=last).order_by("-day", "provider", "model")
    return [
        UsedOf(row.user_id, row.day, row.provider, row.model, Used(row.messages, row.tokens_in, row.tokens_out))
        for row in rows
    ]


async def by_user(first: date, last: date, *, limit: int, offset: int = 0) -> list[tuple[int, Used]]:
    """(user id, what they used in those days in all), who used the most tokens first."""
    rows = (
        await ChatUsage.filter(day__gte=first, day__lte=last, provider=TOTAL, model=TOTAL)
        .annotate(asked=Sum("tokens_in"), answered=Sum("tokens_out"), answers=Sum("messages"))
        .annotate(tokens=Sum(F("tokens_in") + F("tokens_out")))
        .group_by("user_id")
        .order_by("-tokens", "user_id")
        .offset(offset)
        .limit(limit)
        .values("user_id", "answers", "asked", "answered")
    )
    return [(row["user_id"], Used(int(row["answers"]), int(row["asked"]), int(row["answered"]))) for row in rows]


# -- users' own limits -------------------------------------------------------------------------------------------


async def allowed(user_id: int) -> Allowed | None:
    """A user's own limits; None when those of the role hold."""
    row = await ChatUserLimit.get_or_none(user_id=user_id)
    return None if row is None else Allowed(row.messages_per_day, row.tokens_per_day)


async def all_allowed() -> Mapping[int, Allowed]:
    """The limits of all users who have their own, by user id."""
    return {
        row.user_id: Allowed(row.messages_per_day, row.tokens_per_day)
        for row in await ChatUserLimit.all().order_by("user_id")
    }


async def allow(user_id: int, limits: Allowed) -> None:
    """Give a user limits of their own."""
    values = {
        "messages_per_day": limits.messages_per_day,
        "tokens_per_day": limits.tokens_per_day,
        "updated_at": datetime.now(UTC),
    }
    if not await ChatUserLimit.filter(user_id=user_id).update(**values):
        await ChatUserLimit.bulk_create([ChatUserLimit(user_id=user_id, **values)], ignore_conflicts=True)


async def forget_limits(user_id: int) -> bool:
    """Let the role's limits hold again; False when they did already."""
    return bool(await ChatUserLimit.filter(user_id=user_id).delete())
