"""A plugin's own options, read through the plugin's own model."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from moorage.config.problems import Problem, as_lines, from_validation
from moorage.config.schema import Loc, field_at, fields, is_text, known_keys
from moorage.config.secret_files import SecretFiles
from moorage.config.settings import CORE_PLUGIN_KEYS
from moorage.config.sources import Loaded, Provenance
from moorage.config.text import nearest
from moorage.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True)
class Reading:
    """Options as far as they could be read. provenance: with the sources of secrets that came from files."""

    options: BaseModel | None
    problems: list[Problem]
    provenance: Provenance


def validate_plugin(model: type[M], name: str, loaded: Loaded) -> M:
    """The options of plugin `name` as its model. ConfigError has one line per problem, as for the core's keys."""
    reading = read_options(model, name, loaded)
    if reading.problems or not isinstance(reading.options, model):
        raise ConfigError(as_lines(reading.problems, reading.provenance))
    return reading.options


def read_options(model: type[BaseModel], name: str, loaded: Loaded) -> Reading:
    """The options of plugin `name`, with every problem instead of an error."""
    at: Loc = ("plugins", name)
    given = loaded.provenance
    provenance = Provenance(given.file, given.lines, dict(given.given), given.texts)
    if reserved := [key for key in CORE_PLUGIN_KEYS if key in fields(model)]:
        problem = Problem(at, f"the plugin declares {reserved[0]!r}, a key that is the core's own")
        return Reading(None, [problem], provenance)
    data = copy.deepcopy(loaded.plugin(name).options)
    _texts_again(model, data, provenance, at)
    secrets = SecretFiles(provenance, loaded.base)
    secrets.resolve(model, data, at)
    problems = list(secrets.problems)
    options: BaseModel | None = None
    try:
        options = model.model_validate(data, context={"base": loaded.base})
    except ValidationError as error:
        found = from_validation(error, model, data, provenance, at)
        problems += [_core_key(one, model) for one in found if one.loc not in secrets.broken]
    return Reading(options, problems, provenance)


def _core_key(problem: Problem, model: type[BaseModel]) -> Problem:
    """`enable = true` was meant for the core."""
    if problem.reason.startswith("unknown key") and len(problem.loc) == 3:
        meant = nearest(str(problem.loc[-1]), [*CORE_PLUGIN_KEYS, *known_keys(model)])
        if meant in CORE_PLUGIN_KEYS:
            return replace(problem, reason=f'unknown key; did you mean "{meant}"?')
    return problem


def _texts_again(model: type[BaseModel], data: dict[str, Any], provenance: Provenance, at: Loc) -> None:
    """`MOORAGE__PLUGINS__X__TOKEN=12345` is a number only as long as nobody knows that the field is text."""
    for loc, text in provenance.texts.items():
        inner = loc[len(at) :]
        if loc[: len(at)] != at or not inner:
            continue
        info = field_at(model, inner)
        table: Any = data
        for step in inner[:-1]:
            table = table.get(step) if isinstance(table, dict) else None
        if info is not None and is_text(info) and isinstance(table, dict) and not isinstance(table[inner[-1]], str):
            table[str(inner[-1])] = text
