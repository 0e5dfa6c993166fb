"""`moorage config`: where each value comes from, whether all is right, and the file with every key."""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path

import click
from pydantic import BaseModel

from moorage.access.service import Access
from moorage.cli.doctor import examine
from moorage.cli.options import chosen_config, config_option, echo_table
from moorage.config import Loaded, explain, load, template
from moorage.config.sources import short_path
from moorage.errors import ConfigError
from moorage.plugins import load_manifests, shipped_manifests


@click.group()
def config() -> None:
    """Explain, check and write the configuration."""


@config.command("explain")
@click.argument("key", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@config_option
def explain_(key: str | None, as_json: bool, config_path: Path | None) -> None:
    """Show each value and where it comes from. KEY shows that key, or all of that section. Secrets are masked."""
    loaded = load(chosen_config(config_path))
    values = explain(loaded, _models(loaded))
    if key is not None:
        values = [one for one in values if one.key == key or one.key.startswith((f"{key}.", f"{key}["))]
        if not values:
            raise click.ClickException(f"There is no key {key}; `moorage config explain` shows all.")
    if as_json:
        rows = [{"key": v.key, "value": v.value, "source": v.source_text, "secret": v.secret} for v in values]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    echo_table([(one.key, f"= {one.value_text}", one.source_text) for one in values])
    _warn(loaded)


@config.command("check")
@config_option
def check(config_path: Path | None) -> None:
    """Say everything that is wrong, without starting anything; exit code 2 if something is."""
    loaded = load(chosen_config(config_path))
    problems = [*_role_problems(loaded), *_tls_problems(loaded)]
    for name, section in sorted(loaded.settings.plugins.items()):
        if section.enabled:
            report = examine(name, chosen_config(config_path), loaded.settings.server.plugin_import_timeout)
            key = f"plugins.{name}"
            problems += [text if key in text else f"{loaded.where(key)}: {key}: {text}" for text in report.problems]
    _warn(loaded)
    if problems:
        raise ConfigError(problems)
    name = short_path(loaded.path) if loaded.path is not None else "no file, so all defaults"
    click.echo(f"The configuration is right ({name}).")


@config.command("template")
def template_() -> None:
    """Print a configuration file with every key, its default and a line of why."""
    click.echo(template({name: manifest.config for name, manifest in shipped_manifests().items()}), nl=False)


def _models(loaded: Loaded) -> dict[str, type[BaseModel]]:
    models: dict[str, type[BaseModel]] = {}
    for name, manifest in load_manifests(loaded).items():
        if isinstance(manifest, Exception):
            click.echo(f"warning: plugin {name} cannot be read, its options are as written: {manifest}", err=True)
        else:
            models[name] = manifest.config
    return models


def _warn(loaded: Loaded) -> None:
    for text in loaded.warnings:
        click.echo(f"warning: {text}", err=True)


def _role_problems(loaded: Loaded) -> list[str]:
    try:
        Access(loaded.settings.access.roles)
    except ConfigError as error:
        return error.problems
    return []


def _tls_problems(loaded: Loaded) -> list[str]:
    """Files that are missing, unreadable, or do not fit together."""
    server = loaded.settings.server
    if server.tls_cert is None or server.tls_key is None:
        return []
    problems: list[str] = []
    for key, path in (("server.tls_cert", server.tls_cert), ("server.tls_key", server.tls_key)):
        if not os.access(path, os.R_OK) or not path.is_file():
            problems.append(f"{loaded.where(key)}: {key}: cannot read {path}")
    if not problems:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(server.tls_cert, server.tls_key)
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            problems.append(f"{loaded.where('server.tls_cert')}: server.tls_cert and server.tls_key: {reason}")
    return problems
