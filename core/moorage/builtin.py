"""The core as a plugin of itself: account surfaces, the console, health, metrics and plugin management."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired

from quart import Response, request
from typing_extensions import TypedDict

import moorage
from moorage.access.core import CORE_PERMISSIONS
from moorage.accounts.authorization import Resource
from moorage.administration import audit, figures, invites, logins, plugins, roles, running, search, users
from moorage.administration.plugins import PluginControls
from moorage.console import account, overview
from moorage.console.routes import routes as console_routes
from moorage.context import current_actor, current_request
from moorage.dialects import PROBLEM
from moorage.errors import Forbidden, NotFound, Unauthorized
from moorage.hooks import hookimpl
from moorage.hub import Hub
from moorage.observe.health import HealthReport
from moorage.observe.history import Sample
from moorage.openapi import Published
from moorage.plugin import Manifest, Plugin
from moorage.routes import PUBLIC, LimitClass, Route, Routes
from moorage.server import resources
from moorage.server.sites import Sites, reachable
from moorage.surfaces import account_routes, apart
from moorage.surfaces.common import from_this_machine
from moorage.surfaces.core import authorization
from moorage.surfaces.octo import features as octo_features
from moorage.surfaces.octo import metrics as octo_metrics
from moorage.surfaces.octoprox import health as octoprox_health
from moorage.web import json_response


@dataclass(frozen=True, slots=True)
class Controls:
    """What the core's own views ask of the application.

    health: the report of the database and all plugins. plugins: to see and to switch them.
    mounts: of the plugins that run, by name, as the operator wrote them.
    metrics: (body, content type). figures: a viewer's stream of events. history: samples after one.
    sites: the table of routes in use.
    """

    health: Callable[[], Awaitable[HealthReport]]
    plugins: PluginControls
    mounts: Callable[[], Mapping[str, Sequence[str]]]
    metrics: Callable[[], tuple[bytes, str]]
    figures: Callable[[], AsyncIterator[bytes]]
    history: Callable[[str], list[Sample]]
    ready: Callable[[], bool]
    sites: Callable[[], Sites]


class HealthAnswer(TypedDict):
    """GET /health. `components` is for those who may see it."""

    status: str
    version: str
    components: NotRequired[dict[str, Any]]


class DocumentRow(TypedDict):
    """An OpenAPI document and its path."""

    name: str
    url: str


class DocumentsAnswer(TypedDict):
    """GET /api/core/openapi."""

    documents: list[DocumentRow]


class CorePlugin(Plugin):
    """Always on, mounted at the root of every site; its account surfaces are at every mount."""

    manifest = Manifest(
        name="core",
        version=moorage.__version__,
        summary="Accounts, console, health and metrics",
        permissions=CORE_PERMISSIONS,
        dialect=PROBLEM,
    )

    def __init__(self, controls: Controls) -> None:
        self.controls = controls

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Routes at the root of each site; `everywhere` holds the ones at each mount."""
        return [
            *console_routes(hub, self._reachable),
            *overview.routes(hub, self._reachable, search.search(hub, self.controls.plugins.records)),
            *account.routes(hub),
            *system_routes(hub, self.controls),
            *plugins.routes(hub, self.controls.plugins),
            *roles.routes(hub),
            *users.routes(hub),
            *invites.routes(hub),
            *logins.routes(hub),
            *running.routes(hub),
            *audit.routes(hub),
            *figures.routes(self.controls.history),
            *resource_routes(hub, self.controls),
            *openapi_routes(hub, self.controls),
        ]

    def everywhere(self, hub: Hub) -> list[Route]:
        """The account surfaces of the five contracts, and what two of them say of the server itself."""
        system = [
            *octo_features.routes(hub, self._reachable),
            *octo_metrics.routes(self.controls.figures),
            *octoprox_health.routes(self.controls.health),
        ]
        return [*account_routes(hub), *system]

    def _reachable(self) -> Mapping[str, Sequence[str]]:
        return reachable(self.controls.mounts(), _port(), current_request().host)

    def apart(self, hub: Hub) -> list[Route]:
        """The way in at hosts apart, and all that is the core's there."""
        return apart.routes(hub)


def system_routes(hub: Hub, controls: Controls) -> list[Route]:
    """`/health` and `/metrics`."""
    routes = Routes()

    @routes.get("/health", access=PUBLIC, limit=LimitClass.EXEMPT, answer=HealthAnswer, answers={503: HealthAnswer})
    async def health() -> Response:
        """Say how the server is.

        200 while it serves, also with a part that is not well ("degraded"), and 503 ("unhealthy") otherwise. The parts
        are told to those who may see them.
        """
        report = await controls.health()
        worst = report.status if controls.ready() else "failed"
        body: dict[str, Any] = {"status": octoprox_health.STATUS[worst], "version": moorage.__version__}
        if hub.access.can(current_actor(), "core:health:read"):
            body["components"] = report.as_json()["components"]
        return json_response(body, 503 if worst == "failed" else 200)

    @routes.get("/metrics", access=PUBLIC, limit=LimitClass.EXEMPT, media_type="text/plain")
    async def metrics() -> Response:
        """Give the metrics in Prometheus's text format.

        To this machine itself, and to those with the permission core:metrics:read.
        """
        if not from_this_machine():
            _require(hub, "core:metrics:read")
        body, content_type = controls.metrics()
        return Response(body, content_type=content_type)

    return list(routes)


def resource_routes(hub: Hub, controls: Controls) -> list[Route]:
    """The authorization server for the resources of the table of routes."""

    def find(uri: str) -> Resource | None:
        return resources.find(controls.sites(), _port(), current_request(), uri)

    def protected(path: str) -> Resource | None:
        info = current_request()
        found = resources.at(controls.sites(), _port(), info.host, path or "/")
        if found is None:
            return None
        entry, _ = found
        return Resource(f"{resources.base_of(entry, info)}{path}", entry.resource or (), entry.owner)

    return authorization.routes(hub, find, protected)


def _port() -> int | None:
    """The port that the request came in by; None on a Unix socket."""
    server = request.scope.get("server")
    return server[1] if server else None


def openapi_routes(hub: Hub, controls: Controls) -> list[Route]:
    """`/api/core/openapi`: what is served, for programs. Public, since it tells no more than the documentation does."""
    routes = Routes()

    def versions() -> dict[str, str]:
        return {CorePlugin.manifest.name: moorage.__version__} | {r.name: r.version for r in controls.plugins.records()}

    published = Published(controls.sites, versions, hub.accounts.settings.cookie_name)

    @routes.get("/api/core/openapi", access=PUBLIC, answer=DocumentsAnswer)
    async def documents() -> Response:
        """List the OpenAPI documents of what is served."""
        found = await published.documents()
        return json_response({"documents": [{"name": n, "url": f"/api/core/openapi/{n}.json"} for n in found]})

    @routes.get("/api/core/openapi/{file}", access=PUBLIC, answer=dict[str, Any], answers={304: None})
    async def document(file: str) -> Response:
        """Give one OpenAPI 3.1 document, called `<name>.json`."""
        name, dot, suffix = file.rpartition(".")
        found = (await published.documents()).get(name) if (dot, suffix) == (".", "json") else None
        if found is None:
            raise NotFound("There is no such document; /api/core/openapi lists them")
        headers = {"Cache-Control": "no-cache", "ETag": f'"{found.tag}"'}
        if request.if_none_match.contains_weak(found.tag):
            return Response(b"", 304, headers=headers)
        return Response(found.body, headers=headers, content_type="application/json")

    return list(routes)


def _require(hub: Hub, permission: str) -> None:
    actor = current_actor()
    if not actor.authenticated:
        raise Unauthorized
    if not hub.access.holds(actor, permission):
        raise Forbidden(f"This needs the permission {permission}", details={"required": permission})
