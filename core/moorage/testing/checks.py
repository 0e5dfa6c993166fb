"""What can be said of a plugin without running a server: each check returns the faults that it found, one line each."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError
from tortoise.models import Model

from moorage.config.schema import fields
from moorage.db.generate import difference
from moorage.db.sources import Source
from moorage.db.url import DIALECTS
from moorage.dialects import PROBLEM, Dialect
from moorage.errors import StartError
from moorage.hooks import PROJECT
from moorage.plugin import Manifest, Plugin, PluginConfig
from moorage.plugins.discover import Discovered
from moorage.plugins.dispatch import Dispatcher
from moorage.plugins.loader import check_manifest
from moorage.plugins.states import PluginFailed
from moorage.routes import Route
from moorage.server.sites import AuditFailed, Mount, Mounted, Sites

_MARK = f"{PROJECT}_impl"


def manifest(plugin: Plugin, found: Discovered) -> list[str]:
    """The manifest says what the core needs to know, and its parts agree."""
    said = plugin.manifest
    problems = []
    try:
        check_manifest(found, said, dict.fromkeys((*said.requires, *said.after), True))
    except PluginFailed as failure:
        problems.append(failure.reason)
    problems += [f"{name} is empty" for name in ("version", "summary") if not getattr(said, name).strip()]
    problems += [f"names itself in {name}" for name in ("requires", "after") if said.name in getattr(said, name)]
    for text in said.mounts:
        try:
            Mount.parse(text)
        except ValueError as error:
            problems.append(str(error))
    if said.dialect is not None and not isinstance(said.dialect, Dialect):
        problems.append("dialect is not a Dialect")
    names = [permission.name for permission in said.permissions]
    problems += [f"declares {name} twice" for name in sorted(set(names)) if names.count(name) > 1]
    problems += [f"{permission.name} has no summary" for permission in said.permissions if not permission.summary]
    return problems


def config(said: Manifest, options: Mapping[str, Any]) -> list[str]:
    """The settings are a frozen model that refuses unknown keys, says what each is for, and takes `options`."""
    model = said.config
    if not (isinstance(model, type) and issubclass(model, PluginConfig)):
        return [f"config is {model!r}, not a subclass of PluginConfig"]
    problems = []
    if model.model_config.get("extra") != "forbid":
        problems.append(f'{model.__name__} takes unknown keys: a misspelt one goes unseen (extra must be "forbid")')
    if not model.model_config.get("frozen"):
        problems.append(f"{model.__name__} is not frozen: what is running must not differ from what was configured")
    problems += [f"{name} has no description" for name, field in fields(model).items() if not field.description]
    try:
        model.model_validate(dict(options))
    except ValidationError as error:
        problems += [
            f"the suite's options: {'.'.join(map(str, one['loc'])) or 'all'}: {one['msg']}" for one in error.errors()
        ]
    return problems


def hooks(plugin: Plugin) -> list[str]:
    """Each hook exists, is sync or async as specified, takes arguments that there are, and is marked."""
    problems = []
    for name, function in inspect.getmembers(type(plugin), inspect.isfunction):
        if name.startswith(f"{PROJECT}_") and not hasattr(function, _MARK):
            problems.append(f"{name} is not marked @hookimpl, so it is never called")
    try:
        Dispatcher().register(plugin.manifest.name, plugin)
    except PluginFailed as failure:
        problems.append(failure.reason)
    return problems


def routes(said: Manifest, found: Iterable[Route]) -> list[str]:
    """Each route says who may ask, by a permission that the manifest declares; no two are in one place."""
    found = list(found)
    problems = []
    for mount in (*said.mounts, "/somewhere/else"):
        owner = Mounted(
            name=said.name,
            dialect=said.dialect or PROBLEM,
            mounts=[Mount.parse(mount)],
            routes=found,
            permissions=frozenset(permission.name for permission in said.permissions),
        )
        try:
            Sites([owner])
        except AuditFailed as failed:
            problems += failed.problems
    return list(dict.fromkeys(problems))


def migrations(said: Manifest) -> list[str]:
    """On both dialects the migrations lead to the models as they are; tables bear the plugin's name."""
    if said.models is None or said.migrations is None:
        return []
    source = Source(said.name, (said.models,), said.migrations)
    prefix = said.name.replace("-", "_") + "_"
    problems = [f"table {name} does not begin with {prefix}" for name in _tables(said.models, prefix)]
    for dialect in DIALECTS:
        try:
            missing = difference(source, dialect)
        except StartError as error:
            problems.append(str(error))
            continue
        if missing:
            problems.append(
                f"the models differ from the migrations on {dialect}; `moorage db makemigration {said.name}` "
                f"would add: {missing}"
            )
    return problems


def _tables(module: str, prefix: str) -> list[str]:
    """Tables of a module that do not begin with the prefix."""
    models = [
        value
        for value in vars(importlib.import_module(module)).values()
        if isinstance(value, type) and issubclass(value, Model) and value.__module__ == module
    ]
    tables = [model._meta.db_table or model.__name__.lower() for model in models if not model._meta.abstract]
    return sorted(name for name in tables if not name.startswith(prefix))
