"""What views use: reading bounded, validated input and writing JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import accumulate
from math import isfinite
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from quart import Response, request

from moorage.context import optional_request
from moorage.errors import BadRequest, Unreadable, UnsupportedMediaType, ValidationFailed

_OURS = "Value error, "
"""What pydantic puts before the text of a check of ours."""
T = TypeVar("T", bound=BaseModel)
MAX_DEPTH = 64
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_STEPS = bytes.maketrans(b"[]", b"\x01\xff")
_LAYERS, _AT_ONCE = 4, 65_536
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


async def read_json(model: type[T], *, forms: bool = False) -> T:
    """The request's JSON object as `model`. With forms=True, a form body is taken too (repeated field: 400).

    BadRequest for what is not JSON, too deep or no object; ValidationFailed naming each wrong field.
    """
    kind = request.mimetype
    if forms and kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await request.form
        # A part of a multipart body may be without a name, which is then None.
        repeated = [str(key) for key in form if len(form.getlist(key)) > 1]
        if repeated:
            raise BadRequest(f"Field given twice: {', '.join(sorted(repeated))}", code="invalid_request")
        return validate(model, dict(form))
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaType("Expected a body of type application/json")
    return validate(model, parse_json(await request.get_data(as_text=False)))


def read_query(model: type[T]) -> T:
    """The query string as `model`; ValidationFailed naming each wrong field."""
    return validate(model, request.args.to_dict())


def parse_json(body: bytes | str, *, max_depth: int | None = None) -> Any:
    """Parse JSON with a bound on nesting (`[server] max_json_depth`). An empty body is an empty object.

    BadRequest otherwise.
    """
    if not body.strip():
        return {}
    if max_depth is None:
        info = optional_request()
        max_depth = info.max_json_depth if info is not None else MAX_DEPTH
    if _depth(body, max_depth) > max_depth:
        raise Unreadable(f"JSON is nested deeper than {max_depth} levels")
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError:
        raise Unreadable("The body is not valid UTF-8") from None
    except ValueError as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Unreadable(f"Malformed JSON{place}") from None
    if _SURROGATE.search(body if isinstance(body, bytes) else body.encode()):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise Unreadable("The body holds half of a surrogate pair, which is no text") from None
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    """`1e999` is JSON, but what it becomes cannot be written as JSON again."""
    number = float(text)
    if not isfinite(number):
        raise Unreadable("A number is too large")
    return number


def _depth(body: bytes | str, enough: int) -> int:
    """The nesting, found before the parser recurses; it stops counting one past `enough`.

    In native code: millions of brackets would take Python seconds. Most are gone with a few innermost layers.
    """
    data = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if data.count(b"[") + data.count(b"{") <= enough:
        return 0
    left = _STRING.sub(b"", data).translate(_ONE_KIND, _NO_BRACKETS)
    for depth in range(min(enough, _LAYERS)):
        if not left:
            return depth
        left = left.replace(b"[]", b"")
    at, deepest = min(enough, _LAYERS), 0
    steps = memoryview(left.translate(_STEPS)).cast("b")
    for start in range(0, len(steps), _AT_ONCE):
        # Some at a time, so that a thread that does this lets others have their turn.
        depths = list(accumulate(steps[start : start + _AT_ONCE], initial=at))
        at, deepest = depths[-1], max(deepest, max(depths))
        if deepest > enough:
            break
    return deepest


def validate(model: type[T], data: Any) -> T:
    """`data` as `model`. BadRequest when it is no object, ValidationFailed naming each wrong field."""
    if not isinstance(data, Mapping):
        raise Unreadable("Expected a JSON object")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems = [
            {"field": ".".join(str(part) for part in item["loc"]), "message": item["msg"].removeprefix(_OURS)}
            for item in error.errors()
        ]
        text = "; ".join(f"{p['field']}: {p['message']}" if p["field"] else p["message"] for p in problems[:5])
        raise ValidationFailed(text or None, problems=problems) from None


def json_response(
    data: Any, status: int = 200, headers: Mapping[str, str] | None = None, *, content_type: str = "application/json"
) -> Response:
    """A compact JSON answer."""
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(body, status, headers=dict(headers or {}), content_type=content_type)
