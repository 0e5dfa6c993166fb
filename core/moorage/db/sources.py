"""Where migrations come from: the core and each plugin, with one folder of numbered files per dialect."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import zlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from moorage.db.url import Dialect
from moorage.errors import StartError

_VERSION = re.compile(r"(\d+)_\w+")


@dataclass(frozen=True, slots=True)
class Source:
    """One owner of tables. label: "core" or the plugin's name. models: modules. migrations: a package's name."""

    label: str
    models: tuple[str, ...]
    migrations: str

    def folder(self, dialect: Dialect) -> Path:
        """The folder of this dialect's files, there or not. StartError when the package is not importable."""
        try:
            spec = importlib.util.find_spec(self.migrations)
        except Exception as error:
            raise StartError(
                f"The migrations of {self.label} are not there: {self.migrations}: {type(error).__name__}: {error}",
                exit_code=4,
            ) from error
        if spec is None or not spec.submodule_search_locations:
            raise StartError(
                f"The migrations of {self.label} are not there: no package {self.migrations}. "
                f"`moorage db makemigration {self.label}` makes them.",
                exit_code=4,
            )
        return Path(spec.submodule_search_locations[0]) / dialect


CORE = Source("core", ("moorage.accounts.models", "moorage.observe.models"), "moorage.db.migrations")


class _HasTables(Protocol):
    """What a manifest says about tables."""

    @property
    def name(self) -> str: ...
    @property
    def models(self) -> str | None: ...
    @property
    def migrations(self) -> str | None: ...


def sources(manifests: Iterable[_HasTables]) -> list[Source]:
    """The core's source and those of the manifests that have models, in the order given (that of dependencies)."""
    found = [CORE]
    for manifest in manifests:
        if manifest.models is None:
            continue
        if manifest.migrations is None:
            raise StartError(f"The plugin {manifest.name} has models but no migrations.", exit_code=4)
        found.append(Source(manifest.name, (manifest.models,), manifest.migrations))
    return found


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One migration's name. `name` is "0001_init"; the ledger keeps it with ".py", as aerich does."""

    label: str
    number: int
    name: str

    def __str__(self) -> str:
        return f"{self.label} {self.name}"

    @property
    def recorded(self) -> str:
        """The name as it stands in the ledger."""
        return f"{self.name}.py"

    @classmethod
    def of(cls, label: str, name: str) -> Version:
        """From a file's or a ledger's name, with or without ".py"."""
        stem = name.removesuffix(".py")
        number = _VERSION.fullmatch(stem)
        return cls(label, int(number.group(1)) if number else -1, stem)


@dataclass(frozen=True, slots=True)
class Migration:
    """A file that can be applied."""

    version: Version
    path: Path

    def load(self) -> tuple[Callable[[Any], Awaitable[str]], dict[str, Any]]:
        """Its `upgrade` function and the models' state after it. StartError when the file is broken."""
        try:
            spec = importlib.util.spec_from_file_location(f"_moorage_migration_{self.path.stem}", self.path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            upgrade: Callable[[Any], Awaitable[str]] = module.upgrade
            packed = getattr(module, "MODELS_STATE", None)
            state = json.loads(zlib.decompress(base64.b64decode(packed))) if packed else {}
        except Exception as error:
            raise StartError(
                f"The migration {self.version} cannot be loaded from {self.path}: {type(error).__name__}: {error}",
                exit_code=4,
            ) from error
        return upgrade, state


def migrations(source: Source, dialect: Dialect) -> list[Migration]:
    """The files of a source in the order of their numbers. StartError when there are none, or two with one number."""
    folder = source.folder(dialect)
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.py")):
        version = Version.of(source.label, path.name)
        if version.number < 0:
            if path.name == "__init__.py":
                continue
            raise StartError(f"{path} is no migration: its name must be like 0002_add_colour.py.", exit_code=4)
        if version.number in found:
            raise StartError(
                f"Two migrations of {source.label} have the number {version.number}: "
                f"{found[version.number].version.name} and {version.name}, in {folder}.",
                exit_code=4,
            )
        found[version.number] = Migration(version, path)
    if not found:
        raise StartError(f"{source.label} has no migrations for {dialect}: {folder} holds none.", exit_code=4)
    return [found[number] for number in sorted(found)]
