"""What was used of models, and the limits of users: our own, in the contract's dialect."""

from __future__ import annotations

from typing import Annotated, Literal

from moorage.api import Route, Routes, current_actor, json_response, read_query
from pydantic import BaseModel, Field, StrictInt
from quart import Response
from typing_extensions import TypedDict

from moorage_chat.accounting import MOST_DAYS, Day, Report
from moorage_chat.config import ChatConfig
from moorage_chat.rights import LIMITS, USAGE
from moorage_chat.store.rows import MAX_ID
from moorage_chat.store.usage import Allowed, Used
from moorage_chat.views import reading
from moorage_chat.views.reading import Own, read_body
from moorage_chat.views.services import Services
from moorage_chat.views.shapes import Said, stamp

MOST_MESSAGES, MOST_TOKENS = 2**31 - 1, 2**53 - 1


class UsageQuery(BaseModel):
    """Of how many days, today among them; and whose, for administrators."""

    days: int = Field(30, ge=1, le=MOST_DAYS)
    user_id: int | None = Field(None, ge=1, le=MAX_ID)


class RankingQuery(BaseModel):
    """Of how many days, and which part of the list."""

    days: int = Field(30, ge=1, le=MOST_DAYS)
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=MAX_ID)


class LimitsBody(Own):
    """PUT /chat/limits/users/{user_id}. null: no limit."""

    messages_per_day: Annotated[StrictInt, Field(ge=0, le=MOST_MESSAGES)] | None = None
    tokens_per_day: Annotated[StrictInt, Field(ge=0, le=MOST_TOKENS)] | None = None


class UsedShape(TypedDict):
    """Answers of models, and tokens."""

    messages: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ModelUsedShape(UsedShape):
    """The share of one model."""

    provider_id: str
    model: str


class DayShape(UsedShape):
    """A day in UTC, YYYY-MM-DD."""

    day: str
    models: list[ModelUsedShape]


class UserUsedShape(UsedShape):
    """A user's."""

    user_id: int


class AllowedShape(TypedDict):
    """A day's limits; null: none. source: the user's own, or those of the role."""

    messages_per_day: int | None
    tokens_per_day: int | None
    source: Literal["user", "role"]


class UsageAnswer(TypedDict):
    """GET /chat/usage. resets_at: when `today` begins anew."""

    user_id: int
    today: UsedShape
    limits: AllowedShape
    resets_at: str
    days: list[DayShape]


class RankingAnswer(TypedDict):
    """GET /chat/usage/users."""

    users: list[UserUsedShape]


class UserLimitsShape(AllowedShape):
    """A user's limits."""

    user_id: int


class LimitsAnswer(TypedDict):
    """GET /chat/limits."""

    users: list[UserLimitsShape]


def routes(services: Services) -> list[Route]:
    """`/chat/usage` and `/chat/limits`."""
    table = Routes()
    accounting = services.accounting

    @table.get("/chat/usage", access=USAGE.name, query=UsageQuery, answer=UsageAnswer)
    async def usage() -> Response:
        """Show what one has used of models: today, what is left, and by day and model."""
        query = read_query(UsageQuery)
        report = await accounting.report(current_actor(), days=query.days, user_id=query.user_id)
        return json_response(usage_shape(services.config, report))

    @table.get("/chat/usage/users", access=USAGE.name, query=RankingQuery, answer=RankingAnswer)
    async def ranking() -> Response:
        """Show who has used how much, the most tokens first; for administrators."""
        query = read_query(RankingQuery)
        rows = await accounting.everybody(current_actor(), days=query.days, limit=query.limit, offset=query.offset)
        answer: RankingAnswer = {"users": [{**used_shape(used), "user_id": user_id} for user_id, used in rows]}
        return json_response(answer)

    @table.get("/chat/limits", access=LIMITS.name, answer=LimitsAnswer)
    async def limits() -> Response:
        """List the users who have limits of their own."""
        found = await accounting.limits(current_actor())
        users = [user_limits(user_id, allowed, own=True) for user_id, allowed in found.items()]
        answer: LimitsAnswer = {"users": users}
        return json_response(answer)

    @table.get("/chat/limits/users/{user_id}", access=LIMITS.name, answer=UserLimitsShape)
    async def user(user_id: str) -> Response:
        """Show a user's limits."""
        number = reading.user_id(user_id)
        allowed, own = await accounting.limits_of(current_actor(), number)
        return json_response(user_limits(number, allowed, own=own))

    @table.put("/chat/limits/users/{user_id}", access=LIMITS.name, body=LimitsBody, answer=UserLimitsShape)
    async def set_limits(user_id: str) -> Response:
        """Give a user limits of their own, which hold instead of those of the role, from the next answer on."""
        number, body = reading.user_id(user_id), await read_body(LimitsBody)
        allowed = Allowed(body.messages_per_day, body.tokens_per_day)
        await accounting.set_limits(current_actor(), number, allowed)
        return json_response(user_limits(number, allowed, own=True))

    @table.delete("/chat/limits/users/{user_id}", access=LIMITS.name, answer=Said)
    async def clear_limits(user_id: str) -> Response:
        """Let the role's limits hold for a user again."""
        await accounting.clear_limits(current_actor(), reading.user_id(user_id))
        answer: Said = {"message": "Limits cleared"}
        return json_response(answer)

    return list(table)


def usage_shape(config: ChatConfig, report: Report) -> UsageAnswer:
    """A report as its answer."""
    allowed = report.allowed
    return {
        "user_id": report.user.id,
        "today": used_shape(report.today),
        "limits": allowed_shape(allowed, own=report.own),
        "resets_at": stamp(config, report.resets_at),
        "days": [day_shape(day) for day in report.days],
    }


def day_shape(day: Day) -> DayShape:
    """A day with its models."""
    models: list[ModelUsedShape] = [
        {**used_shape(one.used), "provider_id": one.provider, "model": one.model} for one in day.models
    ]
    return {**used_shape(day.used), "day": day.day.isoformat(), "models": models}


def used_shape(used: Used) -> UsedShape:
    """What was used."""
    return {
        "messages": used.messages,
        "prompt_tokens": used.tokens_in,
        "completion_tokens": used.tokens_out,
        "total_tokens": used.tokens,
    }


def allowed_shape(allowed: Allowed, *, own: bool) -> AllowedShape:
    """Limits, and whose they are."""
    return {
        "messages_per_day": allowed.messages_per_day,
        "tokens_per_day": allowed.tokens_per_day,
        "source": "user" if own else "role",
    }


def user_limits(user_id: int, allowed: Allowed, *, own: bool) -> UserLimitsShape:
    """The same of a user."""
    return {**allowed_shape(allowed, own=own), "user_id": user_id}
