"""The audit log over HTTP with names beside the ids: what the console shows. Exports are `/api/v1/audit`'s."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field
from quart import Response
from typing_extensions import TypedDict

from moorage.context import current_actor
from moorage.hub import Hub
from moorage.observe.audit import AuditJson, AuditRecord
from moorage.observe.audit_query import AuditFilter, page
from moorage.routes import Route, Routes
from moorage.surfaces.octoprox.audit import AuditQuery
from moorage.surfaces.octoprox.shapes import Meta, meta
from moorage.web import json_response, read_query

READ = "core:audit:read"


class EventsQuery(AuditQuery):
    """As that of GET /api/v1/audit, but `actor` and a target `user:…` may be a username or an e-mail address, too."""

    per_page: Annotated[int, Field(ge=1, le=100)] = 50


class EventsAnswer(TypedDict):
    """A page of events, the newest first.

    names: usernames of those who are still there, by what events call them: `user_…` and `user:NUMBER`.
    filter: what was looked for, so that an export can ask for the same.
    """

    events: list[AuditJson]
    names: dict[str, str]
    filter: dict[str, str | int]
    meta: Meta


def routes(hub: Hub) -> list[Route]:
    """`/api/core/admin/audit`."""
    table = Routes()

    @table.get("/api/core/admin/audit", access=READ, query=EventsQuery, answer=EventsAnswer)
    async def events() -> Response:
        """List what was done, the newest first. Who reads is written to the log as well."""
        query = read_query(EventsQuery)
        wanted = await _meant(hub, query.filter())
        await hub.audit.note_read("audit", actor=current_actor(), data={"filters": wanted.as_json()})
        records, total = await page(wanted, offset=query.offset, limit=query.per_page)
        answer: EventsAnswer = {
            "events": [record.as_json() for record in records],
            "names": await _names(hub, records),
            "filter": wanted.as_json(),
            "meta": meta(query, total),
        }
        return json_response(answer)

    return list(table)


async def _meant(hub: Hub, wanted: AuditFilter) -> AuditFilter:
    """With ids in place of names. A name that nobody has stays: it finds nothing."""
    if wanted.actor is not None and (user := await hub.accounts.find_user(wanted.actor)) is not None:
        wanted = replace(wanted, actor=user.pid)
    kind, _, name = (wanted.target or "").partition(":")
    if kind == "user" and name and not name.isdigit() and (user := await hub.accounts.find_user(name)) is not None:
        wanted = replace(wanted, target=f"user:{user.id}")
    return wanted


async def _names(hub: Hub, records: list[AuditRecord]) -> dict[str, str]:
    acting = {record.actor_id: record.actor for record in records if record.actor_id is not None}
    targets = {number: f"user:{number}" for record in records if (number := _user_of(record.target)) is not None}
    known = await hub.accounts.users.names({*acting, *targets})
    return {label: known[id] for labels in (acting, targets) for id, label in labels.items() if id in known}


def _user_of(target: str | None) -> int | None:
    kind, _, number = (target or "").partition(":")
    return int(number) if kind == "user" and number.isascii() and number.isdigit() and len(number) < 10 else None
