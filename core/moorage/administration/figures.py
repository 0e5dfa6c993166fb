"""The server's figures of the last quarter of an hour over HTTP."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, Field
from quart import Response
from typing_extensions import TypedDict

from moorage.observe.history import EVERY, Sample
from moorage.routes import Route, Routes
from moorage.web import json_response, read_query


class HistoryAnswer(TypedDict):
    """GET /api/core/metrics/history. every: seconds between two samples; the oldest comes first."""

    every: float
    samples: list[Sample]


class HistoryQuery(BaseModel):
    """since: the `at` of the last sample that is known; without it, all."""

    since: str = Field("", max_length=40)


def routes(samples: Callable[[str], list[Sample]]) -> list[Route]:
    """`/api/core/metrics/history`."""
    table = Routes()

    @table.get("/api/core/metrics/history", access="core:metrics:read", query=HistoryQuery, answer=HistoryAnswer)
    async def history() -> Response:
        """Give the server's figures of the last quarter of an hour, or those after `since`."""
        answer: HistoryAnswer = {"every": EVERY, "samples": samples(read_query(HistoryQuery).since)}
        return json_response(answer)

    return list(table)
