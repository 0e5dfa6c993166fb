"""Whether a tool's arguments fit its schema, and where not. The schema is a stranger's: the work is bounded, nothing is
fetched, and one that is no schema checks nothing, since the server itself looks at what it gets.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

MAX_PROBLEMS = 20
MAX_TEXT = 300
MAX_SCHEMA_BYTES = 256 * 1024
MAX_WORK = 3_000_000
"""Times that a part of the schema may be looked at, or a character by one of its patterns, at most: some tenths of a
second, for which nobody else is served.
"""
MAX_COMPILED = 256
BACKTRACKS = 10_000
BACKTRACKED = 2_000
"""What so many cost, measured in looks at a part."""
_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_MATCHING = frozenset({"pattern", "patternProperties", "format"})
_DATA = frozenset({"const", "default", "enum", "examples"})


@dataclass(frozen=True, slots=True)
class Wrong:
    """place: a JSON pointer (RFC 6901) into the arguments, "" for all of them. message: in words."""

    place: str
    message: str


class Checker:
    """Checks arguments; keeps the schemas that it has read."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Schema | None] = OrderedDict()

    def problems(self, schema: Any, arguments: Mapping[str, Any]) -> list[Wrong]:
        """What is wrong with the arguments, in their order; empty: nothing, or nothing that can be told here."""
        if not isinstance(schema, dict):
            return []
        read = self._read(schema)
        if read is None or read.work(arguments) > MAX_WORK:
            return []
        try:
            return [_wrong(error) for error in islice(read.validator.iter_errors(arguments), MAX_PROBLEMS)]
        except ValueError:  # A number that JSON has not, text that is none.
            return [Wrong("", "is not JSON")]

    def _read(self, schema: dict[str, Any]) -> _Schema | None:
        try:
            text = json.dumps(schema, sort_keys=True)
        except RecursionError:
            return None
        if text in self._known:
            self._known.move_to_end(text)
            return self._known[text]
        read = self._known[text] = _compile(schema) if len(text) <= MAX_SCHEMA_BYTES else None
        if len(self._known) > MAX_COMPILED:
            self._known.popitem(last=False)
        return read


@dataclass(frozen=True, slots=True)
class _Schema:
    """size: parts of the schema, each reference followed. recursive: how many references lead back to where one is.

    matching: it looks at the characters of texts. fancy: by patterns that may have to try again and again.
    """

    validator: Any
    size: int
    recursive: int
    matching: bool
    fancy: bool

    def work(self, arguments: Any) -> int:
        """At most how many times a part of it is looked at for these arguments.

        Of a schema that leads back to itself n times each part is, n times for each level of what it is about.
        """
        depth, parts, characters = _extent(arguments)
        each = BACKTRACKED if self.fancy else 1
        work = self.size * (parts * each + (characters if self.matching else 0))
        for _ in range(depth if self.recursive > 1 else 0):
            work *= self.recursive
            if work > MAX_WORK:
                break
        return work


def _compile(schema: dict[str, Any]) -> _Schema | None:
    try:
        size, recursive = _weigh(schema)
        if size > MAX_WORK:
            return None
        matching, fancy = _matches(schema), False
        make = partial(jsonschema_rs.validator_for, schema, offline=True)
        try:  # Linear in the text; knows no lookaround.
            validator = make(pattern_options=jsonschema_rs.RegexOptions())
        except ValueError:
            fancy = True
            validator = make(pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACKS))
    except (ValueError, TypeError, RecursionError):
        return None
    return _Schema(validator, size, recursive, matching, fancy)


def _weigh(schema: dict[str, Any]) -> tuple[int, int]:
    """(parts with each reference followed, references among them that lead back to where one is)."""
    weights: dict[int, tuple[int, int] | None] = {}
    """By a part's id; None while it is being weighed."""

    def weigh(part: Any) -> tuple[int, int]:
        if not isinstance(part, dict | list):
            return 0, 0
        if id(part) in weights:
            return weights[id(part)] or (1, 1)
        weights[id(part)] = None
        size, back = 1, 0
        for inner in _inner(part, schema):
            more = weigh(inner)
            size, back = min(size + more[0], MAX_WORK + 1), min(back + more[1], MAX_WORK + 1)
        weights[id(part)] = size, back
        return size, back

    return weigh(schema)


def _inner(part: dict[str, Any] | list[Any], schema: dict[str, Any]) -> Iterator[Any]:
    if isinstance(part, list):
        yield from part
        return
    for key, value in part.items():
        if key in _REFERENCES and isinstance(value, str):
            yield _target(schema, value)
        elif key not in _DATA:
            yield value


def _target(schema: dict[str, Any], ref: str) -> Any:
    """What a reference stands for; the whole schema where that is not plain to see, so that it counts as recursive."""
    found: Any = schema
    if not ref.startswith("#/"):
        return found
    for step in unquote(ref[2:]).split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, TypeError, ValueError):
            return schema
    return found


def _matches(schema: Any) -> bool:
    """Whether it has patterns or formats."""
    layer = [schema]
    while layer:
        if any(isinstance(part, dict) and not _MATCHING.isdisjoint(part) for part in layer):
            return True
        layer = [inner for part in layer for inner in _within(part)]
    return False


def _extent(value: Any) -> tuple[int, int, int]:
    """How deep it is, how many values there are in it, and how many characters in its texts and names."""
    depth, parts, characters, layer = 0, 0, 0, [value]
    while layer:
        depth, parts = depth + 1, parts + len(layer)
        characters += sum(len(part) for part in layer if isinstance(part, str))
        characters += sum(len(name) for part in layer if isinstance(part, dict) for name in part)
        layer = [inner for part in layer for inner in _within(part)]
    return depth, parts, characters


def _within(part: Any) -> Iterable[Any]:
    return part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()


def _wrong(error: Any) -> Wrong:
    path = [*error.instance_path]
    message = str(error.message)
    if len(message) > MAX_TEXT:  # It quotes what is wrong, which may be long.
        message = message[: MAX_TEXT // 2] + " … " + message[-MAX_TEXT // 2 :]
    return Wrong("".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path), message)
