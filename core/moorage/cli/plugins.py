"""`moorage plugins`: list, switch on and off, and examine. Only `doctor` runs a plugin's code, elsewhere."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from moorage.cli.doctor import Report, examine
from moorage.cli.options import chosen_config, config_option, echo_table
from moorage.cli.scaffold import new
from moorage.config import Loaded, load
from moorage.config import files as config_files
from moorage.config.editing import plugin_tables, set_enabled
from moorage.config.sources import short_path
from moorage.config.text import nearest
from moorage.errors import ConfigError
from moorage.plugins.discover import discover
from moorage.status import status_file

MAX_STATUS = 1024 * 1024


@click.group()
def plugins() -> None:
    """Switch plugins on and off, and see what is wrong with them."""


plugins.add_command(new)


@plugins.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@config_option
def list_(as_json: bool, config_path: Path | None) -> None:
    """Show the installed and the configured plugins, with their states if a server runs."""
    loaded = load(chosen_config(config_path))
    rows = _rows(loaded)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        click.echo("No plugins are installed.")
        return
    table = [("NAME", "VERSION", "ENABLED", "STATE", "MOUNTS", "")]
    for row in rows:
        enabled = ("yes, required" if row["required"] else "yes") if row["enabled"] else "no"
        mounts = " ".join(row["mounts"]) or "-"
        table.append((row["name"], row["version"] or "-", enabled, row["state"], mounts, row["reason"]))
    echo_table(table)


@plugins.command("enable")
@click.argument("name")
@click.option("--force", is_flag=True, help="Also when no such plugin is installed (yet).")
@config_option
def enable(name: str, force: bool, config_path: Path | None) -> None:
    """Switch the plugin NAME on, in the configuration file."""
    installed = discover()
    if name not in installed and not force:
        meant = nearest(name, installed)
        hint = f" Did you mean {meant!r}?" if meant else f" Installed are: {', '.join(sorted(installed)) or 'none'}."
        raise click.ClickException(f"No plugin {name!r} is installed.{hint} --force enables it nevertheless.")
    _switch(name, True, config_path)


@plugins.command("disable")
@click.argument("name")
@config_option
def disable(name: str, config_path: Path | None) -> None:
    """Switch the plugin NAME off, in the configuration file. Works whatever is wrong with it."""
    path = _file(config_path)
    tables = plugin_tables(config_files.parse(path, config_files.read_text(path, ""))) if path.exists() else {}
    known = {*discover(), *tables}
    if name not in known:
        meant = nearest(name, known)
        hint = f" Did you mean {meant!r}?" if meant else ""
        raise click.ClickException(f"There is no plugin {name!r}, neither installed nor configured.{hint}")
    _switch(name, False, config_path)


@plugins.command("doctor")
@click.argument("name", required=False)
@config_option
def doctor(name: str | None, config_path: Path | None) -> None:
    """Say what keeps the plugin NAME (or any that is enabled) from running. Exit code 1 if something does."""
    loaded = load(chosen_config(config_path))
    names = [name] if name else sorted(n for n, section in loaded.settings.plugins.items() if section.enabled)
    if not names:
        click.echo("No plugin is enabled; `moorage plugins list` shows what is installed.")
    status = _status(loaded)
    ill = False
    for one in names:
        report = examine(one, chosen_config(config_path), loaded.settings.server.plugin_import_timeout)
        told = status.get("plugins", {}).get(one, {})
        if told.get("state") in ("failed", "blocked", "degraded"):
            report.problems.append(f"the running server says: {told['state']}: {told.get('reason') or 'no reason'}")
        ill = ill or bool(report.problems)
        _echo_report(report, enabled=loaded.plugin(one).enabled)
        if told.get("state") == "started" and told.get("reason"):
            click.echo(f"  the running server says: {told['reason']}")
    if ill:
        raise click.exceptions.Exit(1)


def _echo_report(report: Report, *, enabled: bool) -> None:
    title = " ".join(filter(None, [report.name, report.version]))
    count = len(report.problems)
    verdict = "ok" if not count else "1 problem" if count == 1 else f"{count} problems"
    click.echo(f"{title}: {verdict}{'' if enabled else ' (not enabled)'}")
    for problem in report.problems:
        click.echo(f"  - {problem}")
    if not count and report.mounts:
        click.echo(f"  served at {' '.join(report.mounts)}")


def _file(config_path: Path | None) -> Path:
    """The file to edit; where there is none, it will be made in the working folder."""
    found, _ = config_files.find(chosen_config(config_path), os.environ)
    return found or config_files.CANDIDATES[0].absolute()


def _switch(name: str, enabled: bool, config_path: Path | None) -> None:
    path = _file(config_path)
    changed = set_enabled(path, name, enabled)
    word = "enabled" if enabled else "disabled"
    click.echo(f"Plugin {name} is {word} in {short_path(path)}{'' if changed else ' already'}.")
    try:
        loaded = load(path)
    except ConfigError as error:
        click.echo("The configuration has other problems, so the server would not start:", err=True)
        for problem in error.problems:
            click.echo(problem, err=True)
        return
    if loaded.plugin(name).enabled is not enabled:
        source = loaded.source(f"plugins.{name}.enabled")
        click.echo(f"warning: {source} says otherwise, and goes before the file.", err=True)
    if pid := _status(loaded).get("pid"):
        click.echo(f"The running server reads the file at the next start, or now with: kill -HUP {pid}")


def _rows(loaded: Loaded) -> list[dict[str, Any]]:
    installed = discover()
    status = _status(loaded)
    rows: list[dict[str, Any]] = []
    for name in sorted({*installed, *loaded.settings.plugins}):
        section, found = loaded.plugin(name), installed.get(name)
        state, reason = _state(section.enabled, found is not None, status, name)
        rows.append(
            {
                "name": name,
                "distribution": found.distribution if found else None,
                "version": found.version if found else None,
                "enabled": section.enabled,
                "required": section.required,
                "mounts": list(section.mount or ()),
                "state": state,
                "reason": reason,
            }
        )
    return rows


def _state(enabled: bool, installed: bool, status: dict[str, Any], name: str) -> tuple[str, str]:
    """The server's word, or what can be known without one."""
    told = status.get("plugins", {}).get(name)
    if told is not None and (told["state"] != "disabled" or not enabled):
        late = "disabled in the file, which the running server has not read yet" if not enabled else ""
        reasons = [told.get("reason"), late if told["state"] != "disabled" else ""]
        return told["state"], "; ".join(filter(None, reasons))
    if not installed:
        return ("blocked" if enabled else "disabled"), "is not installed; pip install the package that brings it"
    if enabled and status:
        return "discovered", "enabled in the file, which the running server has not read yet"
    return ("discovered" if enabled else "disabled"), ""


def _status(loaded: Loaded) -> dict[str, Any]:
    """What the running server last said of its plugins; {} when none runs or it has said nothing."""
    try:
        with status_file(loaded.settings.data_dir).open("rb") as file:
            status = json.loads(file.read(MAX_STATUS))
    except (OSError, ValueError):
        return {}
    return status if isinstance(status, dict) and _lives(status.get("pid")) else {}


def _lives(pid: Any) -> bool:
    """False for what a killed server left behind."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
