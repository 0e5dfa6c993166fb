"""Octoprox's health report. Source: `api/octoprox.md`, Health."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NotRequired

from quart import Response
from typing_extensions import TypedDict

from moorage.dialects import OCTOPROX
from moorage.observe.health import Component, HealthReport
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.web import json_response

STATUS = {"ok": "healthy", "degraded": "degraded", "failed": "unhealthy"}
"""A health report's words as Octoprox and /health say them."""


class DatabaseShape(TypedDict):
    """The database. response_time_ms: of one question."""

    status: str
    response_time_ms: float


class DockerShape(TypedDict):
    """Docker: "healthy", "unhealthy", or "disabled" where it is not switched on."""

    status: str
    version: NotRequired[str]


class ComponentsShape(TypedDict):
    """The parts that are told to anybody."""

    database: DatabaseShape
    docker: DockerShape


class WorkspacesShape(TypedDict):
    """How many MCP workspaces there are."""

    total: int
    active: int


class HealthAnswer(TypedDict):
    """status: "healthy", "degraded" (200 both) or "unhealthy" (503)."""

    status: str
    timestamp: str
    components: ComponentsShape
    workspaces: WorkspacesShape


def routes(report: Callable[[], Awaitable[HealthReport]]) -> list[Route]:
    """GET /api/v1/health, for anybody."""
    found = Routes()

    @found.get("/api/v1/health", access=PUBLIC, limit=LimitClass.EXEMPT, dialect=OCTOPROX, answer=HealthAnswer)
    async def read_health() -> Response:
        """Say how the server is: 200 when it works, if badly; 503 when it does not."""
        found = await report()
        return json_response(_shown(found), 503 if found.status == "failed" else 200)

    return list(found)


def _shown(report: HealthReport) -> HealthAnswer:
    """Parts say of `docker` {"status", "version"} and `workspaces` {"total", "active"} in their health's `data`.

    The server's runtimes say so of Docker, plugins of workspaces.
    """
    database = report.components["database"]
    return {
        "status": STATUS[report.status],
        "timestamp": OCTOPROX.timestamp(datetime.now(UTC)),
        "components": {
            "database": {"status": STATUS[database.health.status], "response_time_ms": round(database.took, 1)},
            "docker": _docker(report.components),
        },
        "workspaces": _workspaces(report.components),
    }


def _docker(components: Mapping[str, Component]) -> DockerShape:
    for said in _data(components, "docker"):
        shown: DockerShape = {"status": STATUS.get(str(said.get("status")), "unhealthy")}
        if "version" in said:
            shown["version"] = str(said["version"])[:64]
        return shown
    return {"status": "disabled"}


def _workspaces(components: Mapping[str, Component]) -> WorkspacesShape:
    counts: WorkspacesShape = {"total": 0, "active": 0}
    for said in _data(components, "workspaces"):
        counts["total"] += _count(said.get("total"))
        counts["active"] += _count(said.get("active"))
    return counts


def _data(components: Mapping[str, Component], name: str) -> list[dict[str, Any]]:
    """What each part says of a thing, where it says an object: plugins are strangers."""
    found = ((component.health.data or {}).get(name) for component in components.values())
    return [said for said in found if isinstance(said, dict)]


def _count(number: Any) -> int:
    return number if isinstance(number, int) and number > 0 else 0
