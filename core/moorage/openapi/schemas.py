"""JSON schemas of a document's types: pydantic's, in one namespace of components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import structlog
from pydantic import TypeAdapter

log = structlog.get_logger("moorage.openapi")
Mode = Literal["validation", "serialization"]
PLACE = "#/components/schemas/"


class Schemas:
    """The schemas of types as they are read ("validation") or answered ("serialization").

    types: kept alive by the caller, since they are known by identity: not every type can be hashed.
    """

    def __init__(self, types: Iterable[tuple[Any, Mode]]) -> None:
        wanted = {(id(kind), mode): kind for kind, mode in types}
        adapters = {key: _adapter(kind, key[1]) for key, kind in wanted.items()}
        inputs = [(number, mode, adapter) for (number, mode), adapter in adapters.items() if adapter is not None]
        self._schemas, definitions = TypeAdapter.json_schemas(inputs, ref_template=PLACE + "{model}")
        self.components: dict[str, Any] = dict(definitions.get("$defs", {}))

    def of(self, kind: Any, mode: Mode) -> dict[str, Any]:
        """The schema of a type, mostly a reference; {} (anything) for one that has none."""
        found: dict[str, Any] | None = self._schemas.get((id(kind), mode))
        return {} if found is None else found

    def resolved(self, kind: Any, mode: Mode) -> dict[str, Any]:
        """The same with the reference at its top followed."""
        schema = self.of(kind, mode)
        while str(schema.get("$ref", "")).startswith(PLACE):
            schema = self.components[schema["$ref"].removeprefix(PLACE)]
        return schema


def used(components: dict[str, Any], document: Any) -> dict[str, Any]:
    """The components that the document refers to, directly or through others."""
    found: dict[str, Any] = {}
    waiting = [document]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.values()
            name = str(item.get("$ref", "")).removeprefix(PLACE)
            if name in components and name not in found:
                found[name] = components[name]
                waiting.append(components[name])
    return dict(sorted(found.items()))


def _adapter(kind: Any, mode: Mode) -> TypeAdapter[Any] | None:
    """None for a type that pydantic cannot describe: a plugin's fault must not cost the other routes theirs."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        adapter.json_schema(mode=mode)
    except Exception as error:
        log.warning("a route's type cannot be described", type=repr(kind)[:200], reason=str(error)[:200])
        return None
    return adapter
