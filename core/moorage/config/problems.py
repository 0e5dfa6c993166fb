"""What is wrong with a configuration, said so that the operator can mend it: place, key, value, reason, mend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from moorage.config.hiding import is_hidden
from moorage.config.schema import (
    Loc,
    field_at,
    fields,
    is_list,
    known_keys,
    model_at,
    submodel,
)
from moorage.config.sources import Provenance, Source, short_path
from moorage.config.text import MASK, key_text, last_name, nearest, shown

MAX_PROBLEMS = 40
_TOML_HINT = "the text does not read as a TOML array; quote its items"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. loc: the key; value: what was given, fit to be shown; source: the place, if not found by loc."""

    loc: Loc
    reason: str
    value: str | None = None
    source: Source | None = None

    def line(self, provenance: Provenance) -> str:
        """The problem as one line of text."""
        source = self.source or provenance.place(self.loc)
        where = source.where or (short_path(provenance.file) if provenance.file is not None else "configuration")
        key = key_text(self.loc)
        if self.value is not None:
            key = f"{key} = {self.value}"
        return ": ".join(part for part in (where, key, self.reason) if part)

    def order(self, provenance: Provenance) -> tuple[bool, int, str]:
        """The file's problems in the order of its lines, then the environment's."""
        source = self.source or provenance.place(self.loc)
        return (source.variable is not None, source.line or 0, key_text(self.loc))


def as_lines(problems: Iterable[Problem], provenance: Provenance) -> list[str]:
    """The problems as text, in the order in which a person meets them."""
    ordered = sorted(problems, key=lambda one: one.order(provenance))
    lines = list(dict.fromkeys(one.line(provenance) for one in ordered))
    if len(lines) > MAX_PROBLEMS:
        return [*lines[:MAX_PROBLEMS], f"and {len(lines) - MAX_PROBLEMS} problems more"]
    return lines


def from_validation(
    error: ValidationError, model: type[BaseModel], data: Mapping[str, Any], provenance: Provenance, at: Loc = ()
) -> list[Problem]:
    """Pydantic's errors as problems. `model` and `data` are what was validated, `at` is where they stand."""
    problems: list[Problem] = []
    for one in error.errors(include_url=False):
        loc = _real_loc(one["loc"], data)
        if one["type"] == "extra_forbidden":
            problems.append(Problem((*at, *loc), unknown_key(model, loc)))
            continue
        reason = _reason(one["type"], one.get("ctx") or {}, one["msg"], (*at, *loc))
        text = provenance.texts.get((*at, *loc), "")
        info = field_at(model, loc)
        if text.startswith("[") and text.endswith("]") and info is not None and is_list(info):
            reason = _TOML_HINT
        given = one["input"]
        if is_hidden(model, loc) and isinstance(given, str) and given:
            # A plugin's own check may repeat what it refuses.
            reason = reason.replace(given, MASK)
        value = None if one["type"] == "missing" else _shown(model, loc, given)
        problems.append(Problem((*at, *loc), reason, value))
    return problems


def _real_loc(loc: tuple[str | int, ...], data: Any) -> Loc:
    """The place without the marks that pydantic adds for unions and keys."""
    real: Loc = ()
    here = data
    for number, step in enumerate(loc):
        if _holds(here, step):
            here = here[step]
        elif number < len(loc) - 1 or not isinstance(here, Mapping) or step == "[key]":
            continue
        real = (*real, step)
    return real


def _holds(here: Any, step: str | int) -> bool:
    if isinstance(here, list):
        return isinstance(step, int) and step < len(here)
    return isinstance(here, Mapping) and step in here


def _shown(model: type[BaseModel], loc: Loc, value: Any) -> str | None:
    info = field_at(model, loc)
    if is_hidden(model, loc):
        return f'"{MASK}"' if isinstance(value, str) else None
    if info is not None and submodel(info.annotation) is not None and model_at(model, loc) is not None:
        return None
    return shown(value)


def unknown_key(model: type[BaseModel], loc: Loc) -> str:
    """The reason for a key that nobody knows, with the nearest one that somebody does."""
    table = model_at(model, loc[:-1]) or model
    name = last_name(loc)
    known = known_keys(table)
    if meant := nearest(name, known):
        return f'unknown key; did you mean "{meant}"?'
    if home := _home_of(model, name, loc):
        return f"unknown key here; {home}"
    return f"unknown key; known are {', '.join(sorted(known))}" if known else "unknown key; there are none here"


def _home_of(model: type[BaseModel], name: str, loc: Loc) -> str | None:
    """Where a key of exactly this name would be right."""
    top = fields(model)
    if len(loc) > 1 and name in top and submodel(top[name].annotation) is None:
        return f"{name} stands at the top of the file, before the first [section]"
    for section, info in top.items():
        inner = submodel(info.annotation)
        if inner is not None and name in known_keys(inner) and loc[:-1] != (section,):
            return f"{name} belongs into [{section}]"
    return None


_REASONS = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text in quotes",
    "path_type": "must be a path in quotes",
    "list_type": 'must be a list, as ["a", "b"]',
    "missing": "is needed and has no default",
    "none_required": "must be left out",
}


def _reason(kind: str, context: Mapping[str, Any], message: str, loc: Loc) -> str:
    if kind in _REASONS:
        return _REASONS[kind]
    match kind:
        case "model_type" | "dict_type" | "model_attributes_type" | "dataclass_type":
            return f"must be a table: [{key_text(loc)}]"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "greater_than":
            return f"must be more than {context['gt']:g}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "less_than":
            return f"must be less than {context['lt']}"
        case "literal_error" | "enum":
            return f"must be {str(context['expected']).replace(chr(39), chr(34))}"
        case "value_error" | "assertion_error":
            return str(context["error"]) or message
    return message[:1].lower() + message[1:]


def given_twice(loc: Loc, other: Loc, provenance: Provenance) -> Problem:
    """A secret that is written down and also named by a file."""
    place = provenance.place(other).where
    also = f" ({place})" if place else ""
    return Problem(loc, f"is given twice, also as {key_text(other)}{also}; keep one of them")
