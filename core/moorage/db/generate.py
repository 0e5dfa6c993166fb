"""Makes migrations from models: one numbered file per dialect, written together or not at all."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

from moorage.db.sources import Migration, Source, migrations
from moorage.db.url import DIALECTS, Dialect
from moorage.errors import StartError

TIMEOUT = 120.0
"""Seconds for one run of aerich."""

_UPGRADE_SQL = re.compile(r'async def upgrade\(.*?"""\s*(.*?)\s*"""', re.DOTALL)


class NotExpressible(StartError):
    """aerich can make no migration of the change."""


def make_migration(source: Source, name: str = "update", *, by_hand: bool = False) -> list[Path]:
    """Write the next migration of a source, if its models differ from its newest one; the new files.

    Every dialect gets the same number and name, so a change that concerns one only leaves an empty file for the other.
    by_hand: write files even when nothing changed, and empty ones where aerich cannot express the change; their SQL
    is yours to write. Without it that is NotExpressible, and nothing is written. StartError for broken models.
    """
    if not re.fullmatch(r"[a-z0-9_]{1,60}", name):
        raise StartError(f"{name!r} is no name for a migration: use a-z, 0-9 and _.")
    _make_package(source)
    existing = {dialect: _existing(source, dialect) for dialect in DIALECTS}
    texts: dict[Dialect, str | None] = {}
    for dialect in DIALECTS:
        try:
            texts[dialect] = _run(source, dialect, existing[dialect], name, empty=False)
        except NotExpressible:
            if not by_hand:
                raise
            texts[dialect] = None
    if not any(texts.values()) and not by_hand:
        return []
    for dialect, text in texts.items():
        if text is None:
            texts[dialect] = _run(source, dialect, existing[dialect], name, empty=True)
    numbers = [migration.version.number for found in existing.values() for migration in found]
    stem = f"{max(numbers) + 1:04d}_{name}" if numbers else "0001_init"
    written = []
    for dialect, text in texts.items():
        assert text is not None
        path = source.folder(dialect) / f"{stem}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        heading = f'"""{source.label} {stem} on {dialect}. Made from the models; never changed once released."""\n\n'
        path.write_text(heading + text, encoding="utf-8")
        written.append(path)
    return written


def difference(source: Source, dialect: Dialect) -> str:
    """What the next migration would hold, as SQL; "" when the newest one agrees with the models."""
    text = _run(source, dialect, migrations(source, dialect), "check", empty=False)
    if text is None:
        return ""
    sql = _UPGRADE_SQL.search(text)
    return sql.group(1) if sql else text


def _make_package(source: Source) -> None:
    """Begin a plugin's package of migrations, where its parent is there: before the first migration there is none."""
    parent, _, name = source.migrations.rpartition(".")
    try:
        found = (
            importlib.util.find_spec(parent) if parent and importlib.util.find_spec(source.migrations) is None else None
        )
    except ImportError:
        return  # Said with its reason by whoever looks for the migrations next.
    if found is None or not found.submodule_search_locations:
        return
    file = Path(found.submodule_search_locations[0]) / name / "__init__.py"
    if not file.parent.exists():
        file.parent.mkdir()
        file.write_text('"""Migrations, made by `moorage db makemigration`."""\n', encoding="utf-8")
        importlib.invalidate_caches()


def _existing(source: Source, dialect: Dialect) -> list[Migration]:
    folder = source.folder(dialect)
    return migrations(source, dialect) if any(folder.glob("[0-9]*.py")) else []


def _run(source: Source, dialect: Dialect, existing: list[Migration], name: str, *, empty: bool) -> str | None:
    if dialect == "postgres" and importlib.util.find_spec("asyncpg") is None:
        raise StartError(
            "Migrations are made for SQLite and PostgreSQL alike, and PostgreSQL's driver is not installed: "
            "pip install 'moorage[test]'."
        )
    job = {
        "label": source.label,
        "models": list(source.models),
        "dialect": dialect,
        "files": [str(migration.path) for migration in existing],
        "name": name,
        "empty": empty,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-m", "moorage.db.aerich_worker"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StartError(f"aerich took more than {TIMEOUT:.0f} s for {source.label} on {dialect}.") from error
    if done.returncode:
        raise StartError(f"aerich failed for {source.label} on {dialect}:\n{done.stderr.strip()}")
    result = json.loads(done.stdout)
    if "error" in result:
        raise NotExpressible(f"No migration of {source.label} can be made for {dialect}: {result['error']}")
    text: str | None = result["text"]
    return text
