"""What an older client can read of a tool's output schema, and of output that is no object.

Source: MCP 2025-11-25 and 2026-07-28, Tools: the older era wants `structuredContent` to be an object and `outputSchema`
to say so; the newer takes any JSON and any schema. What is no object is put into one, as `{"result": …}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RESULT = "result"
_DATA = frozenset({"const", "default", "enum", "examples"})
"""Keywords that hold values and no schemas."""
_MAX_DEPTH = 100


def as_object(value: Any) -> dict[str, Any]:
    """`structuredContent` for the older era: an object as it is, anything else in one."""
    return value if isinstance(value, dict) else {RESULT: value}


def of_object(schema: Any) -> dict[str, Any]:
    """`outputSchema` for the older era: it takes what `as_object` makes of whatever `schema` takes."""
    if not isinstance(schema, Mapping):
        return {"type": "object"}
    kind = schema.get("type")
    if kind == "object":
        return dict(schema)
    top = {"$schema": schema["$schema"]} if isinstance(schema.get("$schema"), str) else {}
    inner = {key: value for key, value in schema.items() if key != "$schema"}
    named = kind if isinstance(kind, list) else [kind] if isinstance(kind, str) else ["object", "other"]
    kinds = {one for one in named if isinstance(one, str)}
    if "object" not in kinds:
        return {**top, **_wrapped(inner, f"#/properties/{RESULT}")}
    ways: list[dict[str, Any]] = [_moved(inner, "#/anyOf/0"), _wrapped(inner, f"#/anyOf/1/properties/{RESULT}")]
    return {**top, "type": "object", "anyOf": ways}


def _wrapped(schema: dict[str, Any], place: str) -> dict[str, Any]:
    return {"type": "object", "properties": {RESULT: _moved(schema, place)}, "required": [RESULT]}


def _moved(schema: Any, place: str, depth: int = 0) -> Any:
    """`schema` with its references to places in itself changed for its new place in another one.

    One with an `$id` is a document of its own, in which they hold wherever it is.
    """
    if depth > _MAX_DEPTH:
        return schema
    if isinstance(schema, list):
        return [_moved(part, place, depth + 1) for part in schema]
    if not isinstance(schema, dict) or isinstance(schema.get("$id"), str):
        return schema
    made = {}
    for key, value in schema.items():
        if key in _DATA:
            made[key] = value
        elif key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/")):
            made[key] = place + value[1:]
        else:
            made[key] = _moved(value, place, depth + 1)
    return made
