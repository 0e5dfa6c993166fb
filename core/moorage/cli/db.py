"""`moorage db`: the schema, and copies of the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click

from moorage.cli.options import chosen_config, config_option
from moorage.config import Loaded, load
from moorage.db import backup as sqlite_copies
from moorage.db import generate, migrate, pgdump
from moorage.db.migrate import CORE, Source
from moorage.db.url import DIALECTS, Target, parse
from moorage.errors import StartError
from moorage.plugins import discover, load_manifests
from moorage.plugins.loader import import_plugin

P = ParamSpec("P")


@click.group()
def db() -> None:
    """Bring the database up to date, look at its schema, copy it and put a copy back."""


def _configured(work: Callable[Concatenate[Loaded, P], None]) -> Callable[..., None]:
    """Give a command the configuration and the option `--config`."""

    @config_option
    @wraps(work)
    def command(*args: Any, config_path: Path | None, **options: Any) -> None:
        work(load(chosen_config(config_path)), *args, **options)

    return command


def _url(loaded: Loaded) -> str:
    return loaded.settings.database.url.get_secret_value()


def _target(loaded: Loaded) -> Target:
    return parse(_url(loaded), loaded.settings.data_dir)


def _sources(loaded: Loaded) -> list[Source]:
    """Of the core and of the enabled plugins; one that cannot be loaded is named and left out."""
    found = []
    for name, manifest in load_manifests(loaded).items():
        if isinstance(manifest, Exception):
            click.echo(f"The plugin {name} is left out: {manifest}", err=True)
        else:
            found.append(manifest)
    return migrate.sources(found)


@db.command()
@_configured
def upgrade(loaded: Loaded) -> None:
    """Apply the migrations that the database lacks. `moorage serve` does the same when it starts."""
    applied = asyncio.run(migrate.upgrade(_url(loaded), loaded.settings.data_dir, _sources(loaded)))
    for version in applied:
        click.echo(f"Applied {version}.")
    click.echo(f"The database {_target(loaded).public} is up to date.")


@db.command()
@click.option("--json", "as_json", is_flag=True, help="For programs: a list of objects.")
@_configured
def status(loaded: Loaded, as_json: bool) -> None:
    """Show each migration and whether the database has it. Changes nothing."""
    found = asyncio.run(migrate.status(_url(loaded), loaded.settings.data_dir, _sources(loaded)))
    if as_json:
        rows = [
            {"label": one.version.label, "version": one.version.name, "applied": one.applied, "known": one.known}
            for one in found
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo(_target(loaded).public)
    for one in found:
        state = "unknown to this release" if not one.known else "applied" if one.applied else "pending"
        click.echo(f"  {one.version!s:<50} {state}")


@db.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@_configured
def backup(loaded: Loaded, file: Path | None) -> None:
    """Copy the database to FILE, also while the server runs; without FILE into the data folder's `backups`."""
    target, data_dir = _target(loaded), loaded.settings.data_dir
    if file is not None and not file.absolute().parent.is_dir():
        # Not made: a disk that is not mounted would be missed.
        raise StartError(f"There is no folder {file.absolute().parent}.", exit_code=4)
    copy = (file or sqlite_copies.default_name(data_dir, ".db" if target.dialect == "sqlite" else ".dump")).absolute()
    if target.dialect == "sqlite":
        sqlite_copies.backup_sqlite(target.file, copy)
    else:
        pgdump.backup_postgres(target, copy)
    click.echo(f"Copied {target.public} to {copy}.")


@db.command()
@click.argument("file", type=click.Path(path_type=Path))
@_configured
def restore(loaded: Loaded, file: Path) -> None:
    """Put the copy FILE in the place of the database, which is itself copied first. Refused while a server runs."""
    target, data_dir = _target(loaded), loaded.settings.data_dir
    if target.dialect == "sqlite":
        kept = sqlite_copies.restore_sqlite(file, target.file, data_dir)
    else:
        kept = pgdump.restore_postgres(_url(loaded), file, data_dir)
    click.echo(f"Restored {target.public} from {file}.")
    if kept is not None:
        click.echo(f"What was there before is in {kept}.")


@db.command()
@click.argument("label")
@click.option("--name", default="update", show_default=True, help="What it does, in a few words: add_colour.")
@click.option("--by-hand", is_flag=True, help="Write files even where nothing changed or SQL cannot be made for it.")
@click.option("--check", is_flag=True, help="Write nothing; fail when the models differ from the newest migration.")
def makemigration(label: str, name: str, by_hand: bool, check: bool) -> None:
    """Write the next migration of LABEL ("core" or an installed plugin) from its models, for every dialect.

    Read what it wrote: aerich takes a column that went and one of its kind that came for a renamed one.
    """
    source = _source(label)
    if check:
        changes = {dialect: generate.difference(source, dialect) for dialect in DIALECTS}
        for dialect, sql in changes.items():
            if sql:
                click.echo(f"{label} lacks a migration for {dialect}:\n{sql}")
        if any(changes.values()):
            raise SystemExit(1)
        click.echo(f"The newest migration of {label} agrees with its models.")
        return
    written = generate.make_migration(source, name, by_hand=by_hand)
    for path in written:
        click.echo(f"Wrote {path}.")
    if not written:
        click.echo(f"The newest migration of {label} agrees with its models: nothing to write.")


def _source(label: str) -> Source:
    if label == CORE.label:
        return CORE
    found = discover()
    if label not in found:
        raise StartError(f"There is no plugin {label!r}; there are: core, {', '.join(sorted(found)) or 'no plugins'}.")
    try:
        manifest = import_plugin(found[label]).manifest
    except Exception as error:
        raise StartError(f"The plugin {label} cannot be imported: {type(error).__name__}: {error}") from error
    of_plugin = migrate.sources([manifest])[1:]
    if not of_plugin:
        raise StartError(f"The plugin {label} has no models.")
    return of_plugin[0]
