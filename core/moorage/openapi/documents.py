"""One OpenAPI 3.1 document from routes. Source: the OpenAPI Specification 3.1.1."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

from moorage.openapi.responses import HEADERS, responses
from moorage.openapi.schemas import Mode, Schemas, used
from moorage.openapi.served import Served, servers, usual, view_of
from moorage.routes import PUBLIC, HttpRoute

JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
SECURITY = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A session's token, a JWT, the token of a device login, or an API key (`mcp_…`)",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "description": "The session cookie of a login; over https its name begins with `__Host-`. Other than safe "
        "requests with it must come from this origin; `X-CSRF-Token`, where it is sent, must be the session's.",
    },
}
_PARAMETER = re.compile(r"\{([a-z_][a-z0-9_]*)(:path)?\}")


def build(name: str, routes: Sequence[Served], *, title: str, version: str, cookie: str) -> dict[str, Any]:
    """The document called `name` over the routes. cookie: the session cookie's name over http."""
    schemas = Schemas(_types(routes))
    shared: dict[str, Any] = {}
    mounts = usual(routes)
    paths: dict[str, Any] = {}
    spelled: dict[str, str] = {}
    taken: set[str] = set()
    for served in sorted(routes, key=lambda served: served.route.path):
        template = spelled.setdefault(_shape(served.route.path), _template(served.route.path))
        for method in served.route.methods:
            operation = _operation(served, method, template, schemas, shared)
            operation["operationId"] = _unique(f"{name}_{method.lower()}_{_slug(template)}", taken)
            if tuple(served.mounts) != mounts:
                operation["servers"] = servers(served.mounts)
            paths.setdefault(template, {})[method.lower()] = operation
    tags = sorted({tag for path in paths.values() for operation in path.values() for tag in operation["tags"]})
    components = {**schemas.components, **shared.pop("schemas", {})}
    return {
        "openapi": "3.1.1",
        "info": {"title": title, "version": version},
        "servers": servers(mounts),
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {
            "schemas": used(components, [paths, shared]),
            **{kind: dict(sorted(found.items())) for kind, found in shared.items()},
            "headers": HEADERS,
            "securitySchemes": {**SECURITY, "session": {**SECURITY["session"], "name": cookie}},
        },
    }


def _types(routes: Sequence[Served]) -> Iterator[tuple[Any, Mode]]:
    for served in routes:
        route = served.route
        yield from ((kind, "validation") for kind in (route.body, route.query) if kind is not None)
        answers = (route.answer, *route.answers.values())
        yield from ((kind, "serialization") for kind in answers if kind is not None)


def _operation(served: Served, method: str, template: str, schemas: Schemas, shared: dict[str, Any]) -> dict[str, Any]:
    route = served.route
    summary, description = _said(route)
    operation: dict[str, Any] = {"tags": [_tag(route)], "summary": summary}
    if description:
        operation["description"] = description
    if parameters := [*_in_path(route, template), *_in_query(route, schemas)]:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = _request_body(route, schemas)
    operation["responses"] = responses(served, method, schemas, shared)
    operation["security"] = [] if route.access is PUBLIC else [{"session": []}, {"bearer": []}]
    if isinstance(route.access, str):
        operation["x-permission"] = route.access
    return operation


def _in_path(route: HttpRoute, template: str) -> list[dict[str, Any]]:
    found = []
    for name, (_, rest) in zip(re.findall(r"\{(\w+)\}", template), _PARAMETER.findall(route.path), strict=True):
        parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        found.append({**parameter, "description": "The rest of the path"} if rest else parameter)
    return found


def _in_query(route: HttpRoute, schemas: Schemas) -> Iterator[dict[str, Any]]:
    schema = schemas.resolved(route.query, "validation") if route.query is not None else {}
    for name, field in schema.get("properties", {}).items():
        described = {"description": field["description"]} if "description" in field else {}
        needed = name in schema.get("required", ())
        yield {"name": name, "in": "query", "required": needed, "schema": field, **described}


def _request_body(route: HttpRoute, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.of(route.body, "validation")
    kinds = (JSON, *FORMS) if route.forms else (JSON,)
    # No body at all is read as an empty object.
    needed = bool(schemas.resolved(route.body, "validation").get("required", True))
    return {"required": needed, "content": {kind: {"schema": schema} for kind in kinds}}


def _said(route: HttpRoute) -> tuple[str, str]:
    """Summary and description: the first line of the view's docstring, and the rest."""
    view = view_of(route)
    summary, _, description = (inspect.getdoc(view) or "").partition("\n")
    name = getattr(view, "__name__", "").strip("_").replace("_", " ").capitalize()
    return summary.strip() or name or route.path, description.strip()


def _tag(route: HttpRoute) -> str:
    return str(getattr(view_of(route), "__module__", "")).rpartition(".")[2] or "routes"


def _shape(path: str) -> str:
    """What two templates that mean the same paths have in common."""
    return _PARAMETER.sub("{}", path)


def _template(path: str) -> str:
    return _PARAMETER.sub(r"{\1}", path)


def _slug(template: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", template).strip("_") or "root"


def _unique(wanted: str, taken: set[str]) -> str:
    found, number = wanted, 2
    while found in taken:
        found, number = f"{wanted}_{number}", number + 1
    taken.add(found)
    return found
