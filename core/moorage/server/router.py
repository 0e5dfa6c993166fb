"""The router: one table per site, literals before parameters, matched on the undecoded path."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from moorage.dialects import Dialect
from moorage.errors import BadRequest, MethodNotAllowed, NotFound
from moorage.routes import ExchangeRoute, HttpRoute, ProxyRoute, Route, SocketRoute

WEBSOCKET = "WEBSOCKET"
_PARAMETER = re.compile(r"^\{([a-z_][a-z0-9_]*)(:path)?\}$")


@dataclass(slots=True)
class Entry:
    """A route bound to a place: who owns it, under which prefix, and how it is spelled."""

    route: Route
    owner: str
    dialect: Dialect
    prefix: str
    template: str
    names: tuple[str, ...]
    apart: bool = False
    """At a host apart: who asks is known by a pass."""
    named: bool = False
    """At a mount with a host or a port of its own."""
    resource: tuple[str, ...] | None = None
    """Of an OAuth protected resource, the permissions that its tokens may have."""
    counters: dict[Any, Any] = field(default_factory=dict)
    """Metric children by status, kept here so that the hot path does no label lookup."""


@dataclass(slots=True)
class _Node:
    literal: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    here: dict[str, Entry] = field(default_factory=dict)
    rest: dict[str, Entry] = field(default_factory=dict)


class Collision(Exception):
    """Two owners of one method and path."""

    def __init__(self, method: str, first: Entry, second: Entry) -> None:
        self.method, self.first, self.second = method, first, second
        super().__init__(f"{method} {second.template}")


class WrongMethod(MethodNotAllowed):
    """The path exists under other methods. dialect: how those are spelled, and so this refusal."""

    def __init__(self, allowed: dict[str, Entry]) -> None:
        super().__init__(headers={"Allow": ", ".join(sorted({*allowed, "OPTIONS"}))})
        self.dialect = next(iter(allowed.values())).dialect


class RouteTable:
    """The routes of one site."""

    def __init__(self) -> None:
        self._static: dict[str, dict[str, Entry]] = {}
        self._root = _Node()
        self.entries: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """Bind a route. Collision when another entry has the same method and shape of path."""
        methods = _methods(entry.route)
        slot = self._slot(entry.template)
        for method in methods:
            if (other := slot.get(method)) is not None:
                raise Collision(method, other, entry)
            slot[method] = entry
        if "GET" in methods and "HEAD" not in slot:
            slot["HEAD"] = entry
        self.entries.append(entry)

    def _slot(self, template: str) -> dict[str, Entry]:
        node = self._root
        segments = template[1:].split("/")
        if not any(segment.startswith("{") for segment in segments):
            return self._static.setdefault(template, {})
        for segment in segments:
            parameter = _PARAMETER.match(segment)
            if parameter is None:
                node = node.literal.setdefault(segment, _Node())
            elif parameter[2]:
                return node.rest
            else:
                node.parameter = node.parameter or _Node()
                node = node.parameter
        return node.here

    def match(self, method: str, raw_path: str) -> tuple[Entry, dict[str, str]]:
        """The entry for a request and its path parameters.

        raw_path: as it stood in the request line, still percent-encoded, without the query.
        NotFound, MethodNotAllowed (with Allow), BadRequest for an encoding that is not UTF-8.
        """
        allowed: dict[str, Entry] = {}
        slot = self._static.get(raw_path)
        if slot is not None:
            if (entry := slot.get(method)) is not None:
                return entry, {}
            allowed.update(slot)
        segments = [_decode(segment) for segment in raw_path[1:].split("/")]
        if "%" in raw_path and not allowed:
            slot = self._static.get("/" + "/".join(segments))
            if slot is not None and all("/" not in segment for segment in segments):
                if (entry := slot.get(method)) is not None:
                    return entry, {}
                allowed.update(slot)
        # A path of its own is no parameter's value: GET where there is a POST is a wrong method, not another resource.
        own = {} if method == WEBSOCKET else {other: at for other, at in allowed.items() if other != WEBSOCKET}
        found = _walk(self._root, segments, 0, [], method, allowed)
        if own and (found is None or not found[0].template.endswith(":path}")):
            _refuse(own)
        if found is None:
            _refuse(allowed)
        entry, values = found
        return entry, dict(zip(entry.names, values, strict=True))


def _methods(route: Route) -> tuple[str, ...]:
    if isinstance(route, SocketRoute):
        return (WEBSOCKET,)
    return (*route.methods, WEBSOCKET) if isinstance(route, ProxyRoute) and route.sockets else route.methods


def _refuse(allowed: dict[str, Entry]) -> NoReturn:
    allowed.pop(WEBSOCKET, None)
    if allowed:
        raise WrongMethod(allowed)
    raise NotFound


def _walk(
    node: _Node, segments: list[str], at: int, values: list[str], method: str, allowed: dict[str, Entry]
) -> tuple[Entry, list[str]] | None:
    """Depth first, literal before parameter before rest, so that a literal never hides behind a pattern."""
    if at == len(segments):
        allowed.update(node.here)
        entry = node.here.get(method)
        return (entry, values) if entry is not None else None
    segment = segments[at]
    child = node.literal.get(segment)
    if child is not None and (found := _walk(child, segments, at + 1, values, method, allowed)):
        return found
    if (
        node.parameter is not None
        and segment
        and (found := _walk(node.parameter, segments, at + 1, [*values, segment], method, allowed))
    ):
        return found
    # An encoded slash may hide one: what is matched is what a view will take for a path.
    if node.rest and ".." not in (rest := "/".join(segments[at:])).split("/"):
        allowed.update(node.rest)
        if (entry := node.rest.get(method)) is not None:
            return entry, [*values, rest]
    return None


def _decode(segment: str) -> str:
    if "%" not in segment:
        return segment
    try:
        text = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The path is not valid UTF-8") from None
    if "\x00" in text:
        raise BadRequest("The path contains a NUL")
    return text


def parameter_names(path: str) -> tuple[str, ...]:
    """The names of a template's parameters, in order. ValueError for a template that is not well formed."""
    if not path.startswith("/"):
        raise ValueError(f"path {path!r} does not start with /")
    names: list[str] = []
    segments = path[1:].split("/")
    for index, segment in enumerate(segments):
        parameter = _PARAMETER.match(segment)
        if parameter is None:
            if "{" in segment or "}" in segment:
                raise ValueError(f"path {path!r}: {segment!r} is not {{name}} or {{name:path}}")
            continue
        if parameter[2] and index != len(segments) - 1:
            raise ValueError(f"path {path!r}: {segment} must be last")
        names.append(parameter[1])
    if len(set(names)) != len(names):
        raise ValueError(f"path {path!r} names a parameter twice")
    return tuple(names)


def bind(route: Route, *, owner: str, dialect: Dialect, prefix: str) -> Entry:
    """A route at a mount's prefix ("" or "/tmux")."""
    names = parameter_names(route.path)
    template = prefix + route.path if route.path != "/" or not prefix else prefix
    if not isinstance(route, SocketRoute):
        unknown = set(route.methods) - {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
        if unknown or not route.methods:
            raise ValueError(f"path {route.path!r}: methods {route.methods!r}")
    return Entry(route, owner, route.dialect or dialect, prefix, template, names, resource=_scopes(route))


def _scopes(route: Route) -> tuple[str, ...] | None:
    """What the tokens of a resource may do. ValueError for one that says neither `scopes` nor a permission."""
    if not isinstance(route, HttpRoute | ExchangeRoute):
        return None
    if not route.resource:
        if route.scopes:
            raise ValueError(f"path {route.path!r}: scopes are for resource=True")
        return None
    scopes = route.scopes or ((route.access,) if isinstance(route.access, str) else ())
    if not scopes:
        raise ValueError(f"path {route.path!r}: resource=True needs scopes, or a permission as its access")
    return scopes
