"""HTTP headers of MCP, above all those by which the modern era shows a request's content outside of its body.

Source: MCP 2026-07-28, Streamable HTTP, Request Metadata. Names are in lower case.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from moorage_mcp.wire.eras import CLIENT_CAPABILITIES, MODERN_VERSIONS, PROTOCOL_VERSION
from moorage_mcp.wire.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    PARSE_ERROR,
    UNSUPPORTED_VERSION,
    Params,
    RpcError,
)
from moorage_mcp.wire.methods import NAMED

VERSION = "mcp-protocol-version"
METHOD = "mcp-method"
NAME = "mcp-name"
"""It repeats the parameter that `NAMED` says."""
PARAM = "mcp-param-"
SESSION_ID = "mcp-session-id"
LAST_EVENT_ID = "last-event-id"
JSON_TYPE, STREAM_TYPE = "application/json", "text/event-stream"
ACCEPT = f"{JSON_TYPE}, {STREAM_TYPE}"

STATUS = {
    PARSE_ERROR: 400,
    INVALID_REQUEST: 400,
    INVALID_PARAMS: 400,
    HEADER_MISMATCH: 400,
    MISSING_CAPABILITY: 400,
    UNSUPPORTED_VERSION: 400,
    METHOD_NOT_FOUND: 404,
}
"""The HTTP status of an error's answer in the modern era; of any other error it is 200."""

MARK = "x-mcp-header"
"""In a tool's schema: this parameter is repeated in the header `Mcp-Param-<value>`."""
_WRAPPED = re.compile(r"=\?base64\?(.*)\?=", re.ASCII)
_SAFE = re.compile(r"[\x20-\x7e]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
_DECIMAL = re.compile(r"(-?[0-9]{1,40})(?:\.0+)?", re.ASCII)
_MARKABLE = ("string", "integer", "boolean")
_WITHIN_ONE = (
    *("items", "contains", "unevaluatedItems", "additionalProperties", "propertyNames", "unevaluatedProperties"),
    *("not", "if", "then", "else", "contentSchema"),
)
_WITHIN_LIST = ("allOf", "anyOf", "oneOf", "prefixItems")
_WITHIN_MAP = ("patternProperties", "dependentSchemas", "$defs", "definitions")

Marks = Mapping[tuple[str, ...], tuple[str, str]]
"""Marked parameters: by their path in the arguments, the header's name in lower case and the schema's type."""


class BadMarks(ValueError):
    """A tool's schema has a mark that may not be; clients of the modern era leave out the tool. Says which."""


def encode(value: str) -> str:
    """A value as a header carries it: as it is, or as base64 when it would not arrive as it is."""
    if _SAFE.fullmatch(value) and value == value.strip() and not _WRAPPED.fullmatch(value):
        return value
    return f"=?base64?{base64.b64encode(value.encode('utf-8', 'surrogatepass')).decode()}?="


def decode(value: str) -> str | None:
    """What was meant by a header's value; None when its base64 is broken, or is not written as it should be."""
    wrapped = _WRAPPED.fullmatch(value)
    if wrapped is None:
        return value
    try:
        raw = base64.b64decode(wrapped[1], validate=True)
        return raw.decode() if base64.b64encode(raw).decode() == wrapped[1] else None
    except (binascii.Error, ValueError):
        return None


def modern(method: str, params: Mapping[str, Any], version: str, marks: Marks | None = None) -> dict[str, str]:
    """The headers that a modern request has beside those of HTTP. marks: of the tool that is called."""
    headers = {VERSION: version, METHOD: encode(method)}
    if (key := NAMED.get(method)) is not None and isinstance(name := params.get(key), str):
        headers[NAME] = encode(name)
    if marks and isinstance(arguments := params.get("arguments"), dict):
        for path, (header, _) in marks.items():
            if (shown := _text(_at(arguments, path))) is not None:
                headers[header] = encode(shown)
    return headers


def marks(schema: Any) -> Marks:
    """The marked parameters of a tool's `inputSchema`. BadMarks."""
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    taken: set[str] = set()
    for path, place in _places(schema):
        if MARK not in place:
            continue
        header, kind = place[MARK], place.get("type")
        where = ".".join(path) if path else "its schema"
        if not path:
            raise BadMarks(f"{MARK} stands where no parameter is")
        if not isinstance(header, str) or not _TOKEN.fullmatch(header):
            raise BadMarks(f"{where}: {MARK} is no name of a header")
        if kind not in _MARKABLE:
            raise BadMarks(f"{where}: {MARK} is for strings, integers and booleans")
        if header.lower() in taken:
            raise BadMarks(f"{where}: {MARK} {header!r} is there twice")
        taken.add(header.lower())
        found[path] = (PARAM + header.lower(), kind)
    return found


def check(headers: Iterable[tuple[str, str]], method: str, params: Params, marks: Marks | None = None) -> None:
    """Whether a modern request's headers and its body agree, and its `_meta` is whole.

    headers: pairs as they came, names in lower case. RpcError (INVALID_PARAMS, HEADER_MISMATCH, UNSUPPORTED_VERSION),
    in the order in which the specification's own SDK looks.
    """
    given: dict[str, list[str]] = {}
    for name, value in headers:
        if name.startswith("mcp-"):
            given.setdefault(name, []).append(value)
    for name in (VERSION, METHOD, NAME):
        if len(given.get(name, ())) > 1:
            raise _differs(f"the header {name} is there more than once")
    meta = params.get("_meta")
    if not isinstance(meta, dict):
        raise _invalid("`_meta` is missing, which every request has")
    for key in (PROTOCOL_VERSION, CLIENT_CAPABILITIES):
        if key not in meta:
            raise _invalid(f"`_meta` lacks {key}")
    _same(given, VERSION, meta[PROTOCOL_VERSION], f"_meta's {PROTOCOL_VERSION}")
    _same(given, METHOD, method, "the body's method")
    if (named := NAMED.get(method)) is not None and params.get(named) is not None:
        _same(given, NAME, params[named], f"the body's `{named}`")
    if meta[PROTOCOL_VERSION] not in MODERN_VERSIONS:
        raise RpcError(
            UNSUPPORTED_VERSION,
            "Unsupported protocol version",
            {"supported": list(MODERN_VERSIONS), "requested": meta[PROTOCOL_VERSION]},
            gateway=True,
        )
    if not isinstance(meta[CLIENT_CAPABILITIES], dict):
        raise _invalid(f"{CLIENT_CAPABILITIES} is an object")
    if marks:
        arguments = params.get("arguments")
        _check_marks(given, arguments if isinstance(arguments, dict) else {}, marks)


def _same(given: Mapping[str, list[str]], header: str, wanted: Any, what: str) -> None:
    shown = given.get(header)
    if shown is None:
        raise _differs(f"the header {header} is missing")
    if decode(shown[0].strip(" \t")) != wanted:
        raise _differs(f"the header {header} does not say what {what} says")


def _check_marks(given: Mapping[str, list[str]], arguments: Mapping[str, Any], marks: Marks) -> None:
    for path, (header, kind) in marks.items():
        shown, value = given.get(header), _at(arguments, path)
        wanted, where = _text(value), ".".join(path)
        if shown is None:
            if wanted is not None:
                raise _differs(f"the header {header} is missing, and the argument `{where}` is there")
            continue
        if len(shown) > 1:
            raise _differs(f"the header {header} is there more than once")
        if (said := decode(shown[0].strip(" \t"))) is None:
            raise _differs(f"the header {header} has broken base64")
        if wanted is None or not (said == wanted or (kind == "integer" and _same_number(said, value))):
            raise _differs(f"the header {header} does not say what the argument `{where}` says")


def _same_number(said: str, value: Any) -> bool:
    number = _DECIMAL.fullmatch(said)
    if number is None or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return int(number[1]) == value


def _places(schema: Any) -> Iterable[tuple[tuple[str, ...] | None, dict[str, Any]]]:
    """Every schema in a schema, with its path if only `properties` lead there; without following references."""
    waiting: list[tuple[tuple[str, ...] | None, Any]] = [((), schema)]
    while waiting:
        path, place = waiting.pop()
        if not isinstance(place, dict):
            continue
        yield path, place
        for key, value in place.items():
            if key == "properties" and isinstance(value, dict):
                waiting += [(None if path is None else (*path, name), one) for name, one in value.items()]
            elif key in _WITHIN_ONE:
                waiting.append((None, value))
            elif key in _WITHIN_LIST and isinstance(value, list):
                waiting += [(None, one) for one in value]
            elif key in _WITHIN_MAP and isinstance(value, dict):
                waiting += [(None, one) for one in value.values()]


def _at(arguments: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(arguments, Mapping):
            return None
        arguments = arguments.get(key)
    return arguments


def _text(value: Any) -> str | None:
    """A value as its header shows it; None for one that no header can show."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        try:
            return str(value)
        except ValueError:  # An integer of thousands of digits.
            return None
    return None


def _invalid(why: str) -> RpcError:
    return RpcError(INVALID_PARAMS, f"Invalid params: {why}", gateway=True)


def _differs(why: str) -> RpcError:
    return RpcError(HEADER_MISMATCH, f"Header mismatch: {why}", gateway=True)
