"""What a server of a workspace may be set to: each field checked, and fields that belong to other kinds refused."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moorage_mcp.links.targets import place
from moorage_mcp.names import prefix_of, upstream_name, wrong
from moorage_mcp.records import Kind, ToolRules, UpstreamInfo

KEPT = "***"
"""How secrets are shown; sent back in a change, it stands for what is there."""
MAX_COMMAND, MAX_ARGUMENT = 100, 4096
MAX_VARIABLES, MAX_VALUE = 100, 32 * 1024
MAX_HEADERS, MAX_HEADER = 32, 8 * 1024
MAX_RULES, MAX_PATTERN = 500, 256
MAX_OBJECT = 16 * 1024
"""Bytes of `fixed` and of `annotations` as JSON."""
MAX_LIMIT = 1_000_000
OF_KINDS: Mapping[Kind, frozenset[str]] = {
    Kind.PROVIDED: frozenset(),
    Kind.STDIO: frozenset({"command", "env", "secrets"}),
    Kind.HTTP: frozenset({"url", "headers", "era"}),
    Kind.SSE: frozenset({"url", "headers"}),
}
"""Fields that belong to some kinds only; the others belong to all."""
OURS = frozenset(
    {
        "accept",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that the protocol itself needs."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def applied(info: UpstreamInfo, given: Mapping[str, Any]) -> UpstreamInfo:
    """A server with what was given of it, which is of the right types and checked here. ValidationFailed."""
    other = frozenset().union(*OF_KINDS.values()) - OF_KINDS[info.kind]
    for field in given:
        if field in other and given[field]:
            raise wrong(field, f"does not belong to a server of the kind {info.kind.value}")
    changes: dict[str, Any] = {}
    for field, value in given.items():
        if field not in other and field in _CHECKS:
            changes[field] = _CHECKS[field](info, value)
    changed = replace(info, **changes)
    if changed.kind is Kind.STDIO and not changed.command:
        raise wrong("command", "is needed: the program and its arguments")
    if changed.kind in (Kind.HTTP, Kind.SSE) and not changed.url:
        raise wrong("url", "is needed: the address of the server")
    if info.headers and info.url and _origin(changed.url) != _origin(info.url):
        # Else whoever may name an address, but not see what is secret, would have it sent to them.
        sent = given.get("headers")
        if sent is None or KEPT in sent.values():
            raise wrong("headers", "must be given again with the address of another server")
    both = sorted(changed.env.keys() & changed.secrets.keys())
    if both:
        raise wrong("secrets", f"{both[0]} is in env too")
    return changed


def rules(field: str, given: Mapping[str, Any]) -> ToolRules:
    """Rules about tools: {"allow": [patterns], "deny": [patterns]}."""
    found: dict[str, tuple[str, ...]] = {}
    for name, patterns in given.items():
        if name not in ("allow", "deny"):
            raise wrong(f"{field}.{name}", "is none of allow, deny")
        if len(patterns) > MAX_RULES:
            raise wrong(f"{field}.{name}", f"has more than {MAX_RULES} patterns")
        for pattern in patterns:
            _pattern(f"{field}.{name}", pattern)
        found[name] = tuple(patterns)
    return ToolRules(**found)


def limits(field: str, given: Mapping[str, int]) -> dict[str, int]:
    """Calls per minute, by tool's pattern."""
    if len(given) > MAX_RULES:
        raise wrong(field, f"has more than {MAX_RULES} patterns")
    for pattern, number in given.items():
        _pattern(field, pattern)
        if not 0 < number <= MAX_LIMIT:
            raise wrong(f"{field}.{pattern}", f"must be from 1 to {MAX_LIMIT}")
    return dict(given)


def json_object(field: str, value: Mapping[str, Any], most: int = MAX_OBJECT) -> dict[str, Any]:
    """An object that both databases keep as it is. most: bytes as JSON."""
    kept = dict(value)
    try:
        text = json.dumps(kept, allow_nan=False)
    except (ValueError, RecursionError):
        raise wrong(field, "holds a number that is none in JSON") from None
    if len(text) > most:
        raise wrong(field, f"is longer than {most} bytes")
    if _NUL.search(text):
        raise wrong(field, "holds a NUL character")
    return kept


def _pattern(field: str, pattern: str) -> None:
    if not 0 < len(pattern) <= MAX_PATTERN or not pattern.isprintable():
        raise wrong(field, f"patterns are 1 to {MAX_PATTERN} characters that can be shown")


def _command(info: UpstreamInfo, value: list[str]) -> tuple[str, ...]:
    if not 0 < len(value) <= MAX_COMMAND or not value[0].strip():
        raise wrong("command", f"is a program and its arguments, {MAX_COMMAND} at most")
    for one in value:
        if len(one) > MAX_ARGUMENT or "\0" in one:
            raise wrong("command", f"an argument is longer than {MAX_ARGUMENT} characters, or holds a NUL character")
    return tuple(value)


def _variables(field: str, given: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    if len(given) > MAX_VARIABLES:
        raise wrong(field, f"has more than {MAX_VARIABLES} variables")
    found = {}
    for name, value in given.items():
        if _VARIABLE.fullmatch(name) is None:
            raise wrong(field, f"{name[:40]!r} is no name of a variable")
        if len(value) > MAX_VALUE or "\0" in value:
            raise wrong(f"{field}.{name}", f"is longer than {MAX_VALUE} characters, or holds a NUL character")
        found[name] = _value(f"{field}.{name}", value, name, kept)
    return found


def _headers(info: UpstreamInfo, given: Mapping[str, str]) -> dict[str, str]:
    if len(given) > MAX_HEADERS:
        raise wrong("headers", f"has more than {MAX_HEADERS}")
    found: dict[str, str] = {}
    for name, value in given.items():
        if _HEADER.fullmatch(name) is None:
            raise wrong("headers", f"{name[:40]!r} is no name of a header")
        if name.lower() in OURS:
            raise wrong(f"headers.{name}", "is set by Moorage itself")
        if any(name.lower() == other.lower() for other in found):
            raise wrong(f"headers.{name}", "is there twice")
        if len(value) > MAX_HEADER or _HEADER_VALUE.fullmatch(value) is None:
            raise wrong(f"headers.{name}", f"must be 1 to {MAX_HEADER} characters of ASCII that can be shown")
        found[name] = _value(f"headers.{name}", value, name, info.headers)
    return found


def _value(field: str, value: str, name: str, kept: Mapping[str, str]) -> str:
    if value != KEPT:
        return value
    if name not in kept:
        raise wrong(field, f"{KEPT} stands for a value that is there already; there is none")
    return kept[name]


def _url(info: UpstreamInfo, value: str) -> str:
    """What can be the address of a server. Whether it may be reached is another question: `links.targets`."""
    try:
        place(value)
    except ValueError as error:
        raise wrong("url", str(error)) from None
    return value


def _origin(url: str) -> tuple[str, str, int]:
    found = place(url)
    return found.scheme, found.host, found.port


def _annotations(info: UpstreamInfo, given: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    for name in given:
        _pattern("annotations", name)
    return json_object("annotations", given)


_CHECKS: Mapping[str, Any] = {
    "name": lambda info, value: upstream_name(value),
    "enabled": lambda info, value: value,
    "position": lambda info, value: value,
    "prefix": lambda info, value: prefix_of(value),
    "command": _command,
    "env": lambda info, value: _variables("env", value, {}),
    "secrets": lambda info, value: _variables("secrets", value, info.secrets),
    "url": _url,
    "headers": _headers,
    "fixed": lambda info, value: json_object("fixed", value),
    "tools": lambda info, value: rules("tools", value),
    "annotations": _annotations,
    "era": lambda info, value: value,
}
