"""What an operation may answer: the good answers of its route, and the refusals of the gate in its dialect."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from moorage.dialects import PROBLEM, Dialect
from moorage.openapi.schemas import PLACE, Schemas
from moorage.openapi.served import Served
from moorage.routes import PUBLIC, HttpRoute, LimitClass

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
EARLY = frozenset({"400", "414", "431", "503"})
"""Refusals that may come before the route, and so its dialect, is known."""
OTHERS = "4XX"
TEXTS = {
    "400": "The request cannot be understood, or a field is wrong",
    "401": "No credential, or one that does not hold",
    "403": "The credential's rights do not reach that far, or another site caused the request",
    "404": "No such thing, or none that may be known of",
    "422": "A field is missing or wrong",
    "429": "A rate limit was reached; `Retry-After` says for how long",
    OTHERS: "Any other refusal",
    "500": "A fault of the server",
    "503": "Not now: starting, draining, or a part is away",
    "504": "The server did not finish in time",
}
HEADERS: dict[str, Any] = {
    "X-Request-ID": {
        "description": "The request's id in the server's logs: the one that was sent, if it was harmless",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    },
    "X-RateLimit-Limit": {"description": "Requests in a window", "schema": {"type": "integer", "minimum": 1}},
    "X-RateLimit-Remaining": {"description": "Requests left in it", "schema": {"type": "integer", "minimum": 0}},
    "X-RateLimit-Reset": {
        "description": "The end of the window, in seconds since 1970",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}},
}


def responses(served: Served, method: str, schemas: Schemas, shared: dict[str, Any]) -> dict[str, Any]:
    """The responses of an operation. Refusals are put into `shared` (components) and referred to."""
    route, dialect = served.route, served.dialect
    headers = _headers(limited=route.limit is not LimitClass.EXEMPT)
    found = {str(route.status): _good(route, schemas, headers)}
    for status in _refusals(route, dialect, method):
        name = f"{dialect.name.title()}{status}" + ("" if route.limit is not LimitClass.EXEMPT else "Unlimited")
        shared.setdefault("responses", {}).setdefault(name, _refusal(dialect, status, headers, shared))
        found[status] = {"$ref": f"#/components/responses/{name}"}
    for number, kind in route.answers.items():
        found[str(number)] = _other(route, dialect, number, kind, schemas, headers, shared)
    return dict(sorted(found.items()))


def _headers(*, limited: bool, more: tuple[str, ...] = ()) -> dict[str, Any]:
    names = ["X-Request-ID", *more]
    if limited:
        names += [name for name in HEADERS if name.startswith("X-RateLimit-")]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _refusals(route: HttpRoute, dialect: Dialect, method: str) -> list[str]:
    """What the gate and the reading of input may answer; what a view refuses beside that is "4XX"."""
    found = {"400", "500", "503", OTHERS}
    if route.timeout != 0:
        found.add("504")
    if route.limit is not LimitClass.EXEMPT:
        found.add("429")
    if route.access is not PUBLIC:
        found.add("401")
    if isinstance(route.access, str) or method not in SAFE:
        found.add("403")
    if "{" in route.path:
        found.add("404")
    if method not in SAFE:
        found.add("413")
    if route.body is not None:
        found.add("415")
    if route.body is not None or route.query is not None:
        found.add(str(dialect.validation_status))
    return sorted(found)


def _good(route: HttpRoute, schemas: Schemas, headers: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(route.status).phrase, "headers": headers}
    if route.answer is not None:
        response["content"] = {route.media_type: {"schema": schemas.of(route.answer, "serialization")}}
    elif route.media_type != "application/json":
        # Of anything at all nothing is known.
        response["content"] = {route.media_type: {} if route.media_type == "*/*" else {"schema": {"type": "string"}}}
    elif _has_body(route.status):
        response["content"] = {"*/*": {}}  # Nobody has said what it is.
    for kind in route.also_types:
        response.setdefault("content", {})[kind] = {"schema": {"type": "string"}}
    return response


def _has_body(status: int) -> bool:
    return not (status < 200 or status in (204, 205) or 300 <= status < 400)


def _refusal(dialect: Dialect, status: str, headers: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    content = {dialect.content_type: {"schema": _error(dialect, status, shared)}}
    if status in EARLY or status == OTHERS:
        content.setdefault(PROBLEM.content_type, {"schema": _error(PROBLEM, status, shared)})
    more = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}.get(status, ())
    return {
        "description": TEXTS.get(status) or HTTPStatus(int(status)).phrase,
        "headers": headers | _headers(limited=False, more=more),
        "content": content,
    }


def _other(
    route: HttpRoute,
    dialect: Dialect,
    status: int,
    kind: Any,
    schemas: Schemas,
    headers: dict[str, Any],
    shared: dict[str, Any],
) -> dict[str, Any]:
    """An answer that the route names beside its good one. An error's status may come from the gate as well."""
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase, "headers": headers}
    content: dict[str, Any] = {}
    if kind is not None:
        media_type = route.media_type if status < 400 else "application/json"
        if kind is str and media_type == "application/json":
            media_type = "text/html"  # A page, where the route has no other text.
        content[media_type] = {"schema": schemas.of(kind, "serialization")}
    if status >= 400:
        for own, media in _refusal(dialect, str(status), headers, shared)["content"].items():
            both = [content[own]["schema"], media["schema"]] if own in content else []
            content[own] = {"schema": {"anyOf": both}} if both else media
    if content:
        response["content"] = content
    return response


def _error(dialect: Dialect, status: str, shared: dict[str, Any]) -> dict[str, Any]:
    """A reference to the error's schema. A status may have one of its own."""
    general = dialect.error_schema(400)
    schema = general if status == OTHERS else dialect.error_schema(int(status))
    name = f"{dialect.name.title()}Error" + (status if schema != general else "")
    shared.setdefault("schemas", {})[name] = schema
    return {"$ref": PLACE + name}
