"""What somebody has going, and what is found of it: gathered of all plugins at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field, field_validator
from quart import Response
from typing_extensions import TypedDict

from moorage.access import Actor
from moorage.console.mounts import Mounts
from moorage.context import current_actor
from moorage.dialects import PROBLEM
from moorage.errors import MoorageError
from moorage.foreign import objects, sendable
from moorage.hub import Hub
from moorage.pages import Entry
from moorage.routes import AUTHENTICATED, Route, Routes
from moorage.web import json_response, read_query

SECONDS = 2.0
"""For each plugin."""
LONGEST = 300
"""Characters of a title or a detail that are given."""
KIND_LONGEST = 64
EARLIEST = datetime.min.replace(tzinfo=UTC)
CORE = "core"
"""Whose entries are what administrators search for."""

Search = Callable[[Actor, str, int], Awaitable[list[Entry]]]


class EntryShape(TypedDict):
    """Something of the user's. plugin: whose it is. updated_at: ISO 8601 in UTC, or null. live: it runs now."""

    plugin: str
    kind: str
    title: str
    href: str
    detail: str
    updated_at: str | None
    live: bool


class OverviewAnswer(TypedDict):
    """What was found. missing: plugins that failed, or did not answer in time."""

    entries: list[EntryShape]
    missing: list[str]


class OverviewQuery(BaseModel):
    """limit: entries of each plugin."""

    limit: int = Field(10, ge=1, le=50)


class SearchQuery(BaseModel):
    """q: the text, of 1 to 200 characters. limit: entries of each plugin."""

    q: str = Field(max_length=200)
    limit: int = Field(10, ge=1, le=50)

    @field_validator("q")
    @classmethod
    def check_text(cls, text: str) -> str:
        """Trimmed, and not empty."""
        if not (text := text.strip()):
            raise ValueError("type what to look for")
        return text


def routes(hub: Hub, mounts: Mounts, administration: Search) -> list[Route]:
    """`/api/console/overview` and `/api/console/search`. administration: finds what is no plugin's."""
    table = Routes()

    @table.get(
        "/api/console/overview", access=AUTHENTICATED, dialect=PROBLEM, query=OverviewQuery, answer=OverviewAnswer
    )
    async def overview() -> Response:
        """Show what one has going, what runs first, then the last used."""
        limit = read_query(OverviewQuery).limit
        found, missing = await _gather(hub, mounts(), "moorage_overview", limit, actor=current_actor())
        found.sort(key=lambda pair: (pair[1].live, pair[1].updated_at or EARLIEST), reverse=True)
        return _answer(found, missing)

    @table.get("/api/console/search", access=AUTHENTICATED, dialect=PROBLEM, query=SearchQuery, answer=OverviewAnswer)
    async def search() -> Response:
        """Search one's own things, each plugin's best; then users and plugins, for who may see them."""
        query, actor = read_query(SearchQuery), current_actor()
        asked = {"actor": actor, "query": query.q}
        (found, missing), known = await asyncio.gather(
            _gather(hub, mounts(), "moorage_search", query.limit, **asked),
            _administered(hub, administration(actor, query.q, query.limit)),
        )
        if known is None:
            return _answer(found, [*missing, CORE])
        return _answer([*found, *((CORE, entry) for entry in known)], missing)

    return list(table)


async def _gather(
    hub: Hub, here: Container[str], hook: str, limit: int, **arguments: Any
) -> tuple[list[tuple[str, Entry]], list[str]]:
    """(plugin, entry) of the plugins that the page can reach, in plugin order; and the names of those that failed."""
    names = [name for name in hub.hooks.implementers(hook) if name in here]
    answers = await asyncio.gather(*(_ask(hub, hook, name, limit, arguments) for name in names))
    given = list(zip(names, answers, strict=True))
    entries = [(name, entry) for name, found in given if found is not None for entry in found]
    return entries, [name for name, found in given if found is None]


async def _ask(hub: Hub, hook: str, plugin: str, limit: int, arguments: dict[str, Any]) -> list[Entry] | None:
    try:
        said = await hub.hooks.await_one(hook, plugin, timeout=SECONDS, limit=limit, **arguments)
        return objects(said, Entry, limit)
    except Exception as error:
        hub.log.warning("a plugin did not say what somebody has", plugin=plugin, hook=hook, reason=str(error))
        return None


async def _administered(hub: Hub, found: Awaitable[list[Entry]]) -> list[Entry] | None:
    try:
        return await asyncio.wait_for(found, SECONDS)
    except (MoorageError, TimeoutError) as error:
        hub.log.warning("users and plugins could not be searched", reason=str(error) or "late")
        return None


def _answer(found: list[tuple[str, Entry]], missing: list[str]) -> Response:
    answer: OverviewAnswer = {"entries": [_shape(plugin, entry) for plugin, entry in found], "missing": missing}
    return json_response(answer)


def _shape(plugin: str, entry: Entry) -> EntryShape:
    at = entry.updated_at
    return {
        "plugin": plugin,
        "kind": sendable(entry.kind[:KIND_LONGEST]),
        "title": sendable(entry.title[:LONGEST]),
        "href": sendable(entry.href),
        "detail": sendable(entry.detail[:LONGEST]),
        "updated_at": PROBLEM.timestamp(at) if at is not None else None,
        "live": entry.live,
    }
