"""What the account page asks besides the account APIs: the rule for passwords, and rights in words."""

from __future__ import annotations

from quart import Response
from typing_extensions import TypedDict

from moorage.context import current_actor
from moorage.dialects import PROBLEM
from moorage.errors import Unauthorized
from moorage.hub import Hub
from moorage.routes import AUTHENTICATED, Route, Routes
from moorage.web import json_response


class RightShape(TypedDict):
    """A permission in words. held: the actor has it, and may lend it to a program."""

    name: str
    summary: str
    held: bool


class AccountAnswer(TypedDict):
    """GET /api/console/account. has_password: False for who always came by a provider."""

    has_password: bool
    rights: list[RightShape]


def routes(hub: Hub) -> list[Route]:
    """`/api/console/account`."""
    table = Routes()
    accounts, access = hub.accounts, hub.access

    @table.get("/api/console/account", access=AUTHENTICATED, dialect=PROBLEM, answer=AccountAnswer)
    async def account() -> Response:
        """Say whether one has a password, and what each permission is about."""
        actor = current_actor()
        known = await accounts.users.details(actor.user.id) if actor.user is not None else None
        if known is None:
            raise Unauthorized
        rights: list[RightShape] = [
            {"name": one.name, "summary": one.summary, "held": access.holds(actor, one.name)}
            for one in access.permissions()
        ]
        answer: AccountAnswer = {"has_password": known.has_password, "rights": rights}
        return json_response(answer)

    return list(table)
