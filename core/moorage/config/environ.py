"""The environment over the file: `MOORAGE__SERVER__LISTEN='["0.0.0.0:8000"]'`.

A value is TOML where it reads as TOML, else plain text. An empty variable counts as not set.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

from pydantic import BaseModel

from moorage.config.problems import Problem
from moorage.config.schema import Loc, field_at, fields, is_text, item_model, known_keys, submodel
from moorage.config.settings import CORE_PLUGIN_KEYS, PluginSection, Settings
from moorage.config.sources import Provenance, Source
from moorage.config.text import nearest

PREFIX = "MOORAGE__"
FILE_VARIABLE = "MOORAGE_CONFIG"
PLUGIN_GROUP = "moorage.plugins"


def variable_of(loc: Loc) -> str:
    """The variable that sets the value at `loc`."""
    return PREFIX + "__".join(str(step).upper().replace("-", "_") for step in loc)


def overlay(data: dict[str, Any], env: Mapping[str, str], provenance: Provenance) -> list[Problem]:
    """Write the variables into `data`; what names no key is a problem."""
    problems: list[Problem] = []
    seen: dict[Loc, str] = {}
    chosen = [name for name in env if name.upper().startswith(PREFIX) and env[name] != ""]
    for variable in sorted(chosen, key=lambda name: (name.count("__"), name)):
        source = Source(variable=variable)
        try:
            loc = _locate(variable, data)
            if loc in seen:
                raise ValueError(f"sets the same key as {seen[loc]}; keep one of them")
        except ValueError as error:
            problems.append(Problem((), str(error), source=source))
            continue
        seen[loc] = variable
        provenance.texts[loc] = env[variable]
        _put(data, loc, _value(loc, env[variable]), source, provenance)
    return problems


def misspelt(env: Mapping[str, str]) -> list[str]:
    """Warnings about `MOORAGE_SERVER_LISTEN`, which is read by nobody: it wants two underscores."""
    flat = {"_".join((top, name)).upper(): (top, name) for top, name in _core_keys()}
    return [
        f"environment {name}: is not read; the key {'.'.join(part for part in flat[rest] if part)} "
        f"is set by {variable_of(tuple(part for part in flat[rest] if part))}"
        for name in sorted(env)
        if name.startswith("MOORAGE_") and (rest := name.removeprefix("MOORAGE_")) in flat
    ]


def _core_keys() -> list[tuple[str, str]]:
    return [
        (top, name)
        for top, info in fields(Settings).items()
        if (model := submodel(info.annotation)) is not None
        for name in known_keys(model)
    ]


def _value(loc: Loc, text: str) -> Any:
    """The text as TOML, or as it stands; where the field is text, only quoted TOML counts as TOML."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    value = parsed["value"] if len(parsed) == 1 else text
    info = field_at(Settings, loc)
    takes_text = (info is not None and is_text(info)) or str(loc[-1]).endswith("_file")
    return text if takes_text and not isinstance(value, str) else value


def _locate(variable: str, data: Mapping[str, Any]) -> Loc:
    """The place that a variable names. ValueError when there is none."""
    steps = variable[len(PREFIX) :].split("__")
    if not all(steps):
        raise ValueError(f"names no key; the form is {PREFIX}SECTION__KEY, with two underscores between")
    loc: Loc = ()
    kind: Any = Settings
    here: Any = data
    for step in steps:
        name, kind = _descend(step, kind, loc, here)
        loc = (*loc, name)
        here = here.get(name) if isinstance(here, Mapping) else None
    return loc


def _descend(step: str, kind: Any, loc: Loc, here: Any) -> tuple[str, Any]:
    """One step below a place of type `kind`: the key's name and the type of its value (`Any` = a plugin's own)."""
    if kind is Any:
        return _given_name(step, here), Any
    model = submodel(kind)
    if model is PluginSection and step.lower() not in CORE_PLUGIN_KEYS:
        return _given_name(step, here), Any
    if model is not None:
        name = _known_name(step, model, loc)
        info = fields(model).get(name)
        return name, info.annotation if info is not None else str
    if (item := item_model(kind)) is not None:
        return _given_name(step, here, installed=loc == ("plugins",)), item
    raise ValueError(f"goes deeper than {'.'.join(map(str, loc))}, which holds one value")


def _known_name(step: str, model: type[BaseModel], loc: Loc) -> str:
    known = known_keys(model)
    name = step.lower()
    if name in known:
        return name
    text = ".".join([*map(str, loc), name])
    meant = nearest(name, known)
    hint = f"did you mean {variable_of((*loc, meant))}?" if meant else f"known are {', '.join(sorted(known))}"
    raise ValueError(f"there is no key {text}; {hint}")


def _given_name(step: str, here: Any, *, installed: bool = False) -> str:
    """A name that the operator chose: as the file writes it, else as the installed plugin is called."""
    plain = step.lower().replace("-", "_")
    candidates = [str(key) for key in here] if isinstance(here, Mapping) else []
    if installed and "_" in plain:
        candidates += [entry.name for entry in entry_points(group=PLUGIN_GROUP)]
    for name in candidates:
        if name.lower().replace("-", "_") == plain:
            return name
    return step.lower()


def _put(data: dict[str, Any], loc: Loc, value: Any, source: Source, provenance: Provenance) -> None:
    """Set one value; a table is merged key by key."""
    if isinstance(value, dict) and loc:
        for key, one in value.items():
            _put(data, (*loc, key), one, source, provenance)
        if value:
            return
    table = data
    for step in loc[:-1]:
        inner = table.get(str(step))
        if not isinstance(inner, dict):
            inner = table[str(step)] = {}
        table = inner
    table[str(loc[-1])] = value
    for given in [one for one in provenance.given if one[: len(loc)] == loc]:
        del provenance.given[given]
    provenance.given[loc] = source
