"""Reading the configuration: the file, the environment over it, secrets from their files, then every check at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from moorage.config import environ, files
from moorage.config.checks import conflicts, warnings_of
from moorage.config.lines import locate
from moorage.config.problems import Problem, as_lines, from_validation
from moorage.config.schema import Loc
from moorage.config.secret_files import SecretFiles
from moorage.config.settings import Settings
from moorage.config.sources import Loaded, Provenance, Source, short_path
from moorage.config.text import key_text
from moorage.errors import ConfigError

MAX_DEPTH = 50
"""Tables within tables, in the file."""


def load(path: Path | None = None, *, env: Mapping[str, str] = os.environ) -> Loaded:
    """Read the configuration from `path`, `MOORAGE_CONFIG`, ./moorage.toml or /etc/moorage/moorage.toml.

    Without any file all values are defaults (or the environment's). ConfigError has one line per problem.
    """
    found, named_by = files.find(path, env)
    data: dict[str, Any] = {}
    provenance = Provenance(found)
    if found is not None:
        text = files.read_text(found, named_by)
        data = files.parse(found, text)
        try:
            leaves = list(_leaves(data))
        except RecursionError as error:
            raise ConfigError([f"{short_path(found)}: {error}: tables are nested too deeply"]) from None
        provenance.lines = locate(text)
        provenance.given = {loc: Source(found, provenance.line(loc)) for loc in leaves}
    problems = environ.overlay(data, env, provenance)
    base = found.parent if found is not None else Path.cwd()
    secrets = SecretFiles(provenance, base)
    secrets.resolve(Settings, data)
    settings, invalid = _validate(data, provenance, base)
    problems += [*secrets.problems, *(one for one in invalid if one.loc not in secrets.broken)]
    wrong = {one.loc for one in problems} | secrets.broken
    problems += [
        one for one, other in conflicts(settings) if not _touches(one.loc, wrong) and not _touches(other, wrong)
    ]
    if problems:
        raise ConfigError(as_lines(problems, provenance))
    return Loaded(
        settings=settings,
        path=found,
        sources={key_text(loc): source for loc, source in provenance.given.items()},
        warnings=(*warnings_of(settings, provenance), *secrets.warnings, *environ.misspelt(env)),
        base=base,
        stamps=_stamps(settings, base),
        provenance=provenance,
    )


def _validate(data: dict[str, Any], provenance: Provenance, base: Path) -> tuple[Settings, list[Problem]]:
    """The settings and what is wrong with them; wrong parts are defaults, so that the rest can be checked too."""
    context = {"base": base}
    problems: list[Problem] = []
    for _ in range(3):
        try:
            return Settings.model_validate(data, context=context), problems
        except ValidationError as error:
            problems += from_validation(error, Settings, data, provenance)
            for one in error.errors(include_url=False, include_context=False, include_input=False):
                _drop(data, one["loc"])
    return Settings.model_validate({}, context=context), problems


def _drop(data: dict[str, Any], loc: tuple[int | str, ...]) -> None:
    """Take out the innermost key of at most two steps that holds the fault."""
    inner = data.get(str(loc[0]))
    if len(loc) > 1 and isinstance(inner, dict):
        inner.pop(str(loc[1]), None)
    else:
        data.pop(str(loc[0]), None)


def _touches(loc: Loc, wrong: set[Loc]) -> bool:
    return any(other[: len(loc)] == loc or loc[: len(other)] == other for other in wrong if other)


def _leaves(value: Mapping[str, Any], at: Loc = ()) -> Iterator[Loc]:
    """The places of all values; an empty table is one."""
    for key, one in value.items():
        if isinstance(one, dict) and one:
            if len(at) >= MAX_DEPTH:
                raise RecursionError(key_text(at[:3]))
            yield from _leaves(one, (*at, key))
        else:
            yield (*at, key)


def _stamps(settings: Settings, base: Path) -> dict[str, tuple[int, ...]]:
    stamps: dict[str, tuple[int, ...]] = {}
    for name, section in settings.plugins.items():
        for loc, value in _file_options(section.options, ("plugins", name)):
            try:
                facts = Path(base, Path(value).expanduser()).stat()
            except (OSError, RuntimeError, ValueError):
                continue  # whoever reads it will say so
            stamps[key_text(loc)] = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return stamps


def _file_options(value: Any, at: Loc) -> Iterator[tuple[Loc, str]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        if isinstance(one, str) and isinstance(key, str) and key.endswith("_file"):
            yield (*at, key), one
        else:
            yield from _file_options(one, (*at, key))
