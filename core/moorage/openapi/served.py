"""Which document each route belongs to, and at which addresses it is served."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from moorage.dialects import Dialect
from moorage.routes import ExchangeRoute, HttpRoute
from moorage.server.sites import CORE, Mount, Sites

_SURFACE = re.compile(r"^moorage\.surfaces\.(\w+)\.")


@dataclass(slots=True)
class Served:
    """A route, whose it is, how its errors are spelled, and where it is mounted."""

    route: HttpRoute
    owner: str
    dialect: Dialect
    mounts: list[Mount] = field(default_factory=list)


def view_of(route: HttpRoute) -> Any:
    """The function that answers, without what is wrapped around it."""
    view: Any = route.view
    while isinstance(view, partial):
        view = view.func
    return inspect.unwrap(view)


def by_document(sites: Sites) -> dict[str, list[Served]]:
    """Every HTTP route of the table, under the name of its document.

    The core's routes are told apart by the surface that their view is in: "octo", "chrote", "octoprox", "orbital",
    "chat", and "core" for the rest. A plugin's are under "plugin-<name>", so that it may be called as a surface is.
    """
    found: dict[int, Served] = {}
    for site, entry in sites.entries():
        if isinstance(entry.route, HttpRoute | ExchangeRoute):
            served = found.setdefault(id(entry.route), Served(_http(entry.route), entry.owner, entry.dialect))
            served.mounts.append(replace(Mount.parse(site), prefix=entry.prefix))
    documents: dict[str, list[Served]] = {}
    for served in found.values():
        documents.setdefault(_name(served), []).append(served)
    return documents


def usual(routes: Sequence[Served]) -> tuple[Mount, ...]:
    """The mounts that most of the routes have."""
    return Counter(tuple(served.mounts) for served in routes).most_common(1)[0][0]


def servers(mounts: Sequence[Mount]) -> list[dict[str, Any]]:
    """Mounts as OpenAPI's servers: relative to the document's own, except for those of another port or host."""
    return [_server(mount) for mount in mounts]


def _http(route: HttpRoute | ExchangeRoute) -> HttpRoute:
    """A route as it is described: a handler of raw requests is to a client what a view is."""
    if isinstance(route, HttpRoute):
        return route
    own = {one.name: getattr(route, one.name) for one in fields(route) if one.name not in ("handler", "same_origin")}
    return HttpRoute(view=route.handler, **own)


def _name(served: Served) -> str:
    if served.owner != CORE:
        return f"plugin-{served.owner}"
    surface = _SURFACE.match(str(getattr(view_of(served.route), "__module__", "")))
    return surface[1] if surface else CORE


def _server(mount: Mount) -> dict[str, Any]:
    if mount.port is None and mount.host is None:
        return {"url": mount.prefix or "/"}
    variables: dict[str, Any] = {"scheme": {"enum": ["http", "https"], "default": "http"}}
    if mount.host is None:
        variables["host"] = {"default": "localhost", "description": "Any name of this server"}
    port = f":{mount.port}" if mount.port else ""
    return {"url": f"{{scheme}}://{mount.host or '{host}'}{port}{mount.prefix}", "variables": variables}
