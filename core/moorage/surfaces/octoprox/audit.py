"""The audit log, in Octoprox's envelopes, and as JSON lines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field
from quart import Response, request
from typing_extensions import TypedDict

from moorage.accounts.names import storable
from moorage.context import current_actor
from moorage.dialects import OCTOPROX
from moorage.errors import TooManyRequests
from moorage.observe.audit import AuditJson
from moorage.observe.audit_query import AuditFilter, page, walk
from moorage.routes import Route, Routes
from moorage.surfaces.octoprox.shapes import Id, Meta, PageQuery, meta
from moorage.web import json_response, read_query

if TYPE_CHECKING:
    from moorage.hub import Hub

MAX_EXPORTS = 8
"""Exports that may run at once on this server."""
JSON_LINES = "application/x-ndjson"


def _aware(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar") from None


def _storable(text: str) -> str:
    if not storable(text):
        raise ValueError("holds characters that no event has")
    return text


Text = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
At = Annotated[datetime, AfterValidator(_aware)]


class AuditQuery(PageQuery):
    """The query of GET /api/v1/audit. Times without a zone are UTC; since is included, until is not."""

    action: Annotated[Text, Field(pattern=r"^([^*]+|([^*]+\.)?\*)$")] | None = None
    actor: Text | None = None
    actor_id: Id | None = None
    target: Text | None = None
    address: Text | None = None
    request_id: Text | None = None
    since: At | None = None
    until: At | None = None
    format: Literal["json", "jsonl"] | None = None

    def filter(self) -> AuditFilter:
        """What the service is asked for."""
        return AuditFilter(**self.model_dump(exclude={"page", "per_page", "format"}))


class EventsShape(TypedDict):
    """A page of events."""

    events: list[AuditJson]


class AuditAnswer(TypedDict):
    """The envelope of a list."""

    data: EventsShape
    meta: Meta


def routes(hub: Hub) -> list[Route]:
    """GET /api/v1/audit."""
    found = Routes()
    exports = 0

    @found.get(
        "/api/v1/audit",
        access="core:audit:read",
        dialect=OCTOPROX,
        query=AuditQuery,
        answer=AuditAnswer,
        also_types=(JSON_LINES,),
    )
    async def read_audit() -> Response:
        """List what was done, newest first; with `format=jsonl`, or Accept: application/x-ndjson, all of it as lines.

        Who reads is written to the log as well. Each event's `at` has microseconds in both forms.
        """
        query = read_query(AuditQuery)
        wanted = query.filter()
        if query.format == "jsonl" or (query.format is None and JSON_LINES in request.headers.get("Accept", "")):
            if exports >= MAX_EXPORTS:
                raise TooManyRequests("Too many exports of the audit log at once", retry_after=10)
            await hub.audit.note_read("audit", actor=current_actor(), data={"filters": wanted.as_json(), "all": True})
            headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
            return Response(counted(lines(wanted)), headers=headers, content_type=JSON_LINES)
        await hub.audit.note_read("audit", actor=current_actor(), data={"filters": wanted.as_json()})
        records, total = await page(wanted, offset=query.offset, limit=query.per_page)
        answer: AuditAnswer = {
            "data": {"events": [record.as_json() for record in records]},
            "meta": meta(query, total),
        }
        return json_response(answer)

    async def counted(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        nonlocal exports
        exports += 1
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            exports -= 1

    return list(found)


async def lines(wanted: AuditFilter) -> AsyncIterator[bytes]:
    """The matching events as JSON lines, some hundred at a time: no faster than they are taken."""
    async for records in walk(wanted):
        yield b"".join(record.as_line().encode() + b"\n" for record in records)
