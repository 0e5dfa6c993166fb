"""Secrets from files of their own: `url_file = "/run/secrets/db"` for any secret key `url`."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from moorage.config.problems import Problem, given_twice
from moorage.config.schema import Loc, fields, is_secret, item_model, submodel
from moorage.config.sources import Provenance, Source, short_path
from moorage.config.text import key_text

MAX_BYTES = 64 * 1024


class SecretFiles:
    """Puts the contents of `*_file` into a table before it is validated.

    problems: what could not be read. broken: places whose own problem would only repeat that. warnings: files
    that everybody on the machine can read.
    """

    def __init__(self, provenance: Provenance, base: Path) -> None:
        self.provenance = provenance
        self.base = base
        self.problems: list[Problem] = []
        self.broken: set[Loc] = set()
        self.warnings: list[str] = []

    def resolve(self, model: type[BaseModel], table: dict[str, Any], at: Loc = ()) -> None:
        """Replace each `x_file` in `table` (and in the tables within) by the secret `x`."""
        named = fields(model)
        for name, info in named.items():
            if is_secret(info) and f"{name}_file" not in named:
                self._resolve_one(table, name, at)
            for inner_model, inner, loc in _tables(info.annotation, table.get(name), (*at, name)):
                self.resolve(inner_model, inner, loc)

    def _resolve_one(self, table: dict[str, Any], name: str, at: Loc) -> None:
        file_key = f"{name}_file"
        if file_key not in table:
            return
        given = self.provenance.given
        loc, file_loc = (*at, name), (*at, file_key)
        source = given.get(file_loc) or self.provenance.place(file_loc)
        if name in table:
            other = given.get(loc) or self.provenance.place(loc)
            if (other.variable is None) == (source.variable is None):
                self.problems.append(given_twice(loc, file_loc, self.provenance))
                self.broken.add(loc)
                del table[file_key]
                return
            if other.variable is not None:  # the environment's secret beats the file's secret file
                del table[file_key]
                given.pop(file_loc, None)
                return
        value = table.pop(file_key)
        given.pop(file_loc, None)
        try:
            path, secret = self._read(value)
        except ValueError as error:
            table.pop(name, None)
            self.broken.add(loc)
            place = source if source.variable is not None else Source(source.file, self.provenance.line(file_loc))
            self.problems.append(Problem(file_loc, str(error), source=place))
            return
        table[name] = secret
        line = self.provenance.line(file_loc) if source.variable is None else None
        given[loc] = Source(source.file, line, source.variable, path)
        if readable_by_everybody(path):
            self.warnings.append(
                f"{key_text(file_loc)}: everybody on this machine can read {short_path(path)}; chmod 600 it"
            )

    def _read(self, value: Any) -> tuple[Path, str]:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            raise ValueError("must be a path in quotes")
        try:
            path = Path(self.base, Path(value).expanduser())
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            text = content.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{value} is not UTF-8 text") from None
        except (OSError, RuntimeError) as error:
            raise ValueError(f"cannot read {value}: {reason_of(error)}") from None
        if len(content) > MAX_BYTES:
            raise ValueError(f"{value} is larger than {MAX_BYTES // 1024} KiB; that is no secret")
        secret = text.removesuffix("\n").removesuffix("\r")
        if not secret:
            raise ValueError(f"{value} is empty")
        return path, secret


def _tables(annotation: Any, value: Any, loc: Loc) -> Iterator[tuple[type[BaseModel], dict[str, Any], Loc]]:
    """The tables within a value that have a model."""
    if (model := submodel(annotation)) is not None:
        if isinstance(value, dict):
            yield model, value, loc
    elif (model := item_model(annotation)) is not None:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, one in items:
            if isinstance(one, dict):
                yield model, one, (*loc, key)


def reason_of(error: BaseException) -> str:
    """An error of the system in few words."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:]


def readable_by_everybody(path: Path) -> bool:
    """True when other users of the machine can read the file: its mode, and every folder above it, let them."""
    try:
        real = path.resolve()
        if not stat.S_ISREG(real.stat().st_mode) or not real.stat().st_mode & stat.S_IROTH:
            return False
        return all(folder.stat().st_mode & stat.S_IXOTH for folder in real.parents)
    except OSError:
        return False
