"""Examines one plugin and writes a JSON report to a file descriptor; run by `moorage.cli.doctor` as a process."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import threading
import traceback
from pathlib import Path
from typing import Any

import moorage
from moorage.config import load
from moorage.config.plugin_options import read_options
from moorage.config.problems import as_lines
from moorage.config.text import nearest
from moorage.errors import ConfigError
from moorage.plugin import Manifest, Plugin
from moorage.plugins.discover import Discovered, discover
from moorage.plugins.loader import check_manifest, import_plugin
from moorage.plugins.states import PluginFailed

MAX_PROBLEMS, MAX_PROBLEM = 50, 2000
CORE = Path(moorage.__file__).parent
DIALECTS = ("sqlite", "postgres")


def examine(name: str, config: Path | None, timeout: float) -> dict[str, Any]:
    """The fields of `moorage.cli.doctor.Report`."""
    report: dict[str, Any] = {"name": name, "problems": []}
    problems: list[str] = report["problems"]
    found = discover()
    if name not in found:
        meant = nearest(name, found)
        hint = f"did you mean {meant!r}?" if meant else "pip install the package that brings it"
        problems.append(f"is not installed; {hint}")
        return report
    report["version"] = found[name].version
    imported = _import(found[name], timeout)
    if not isinstance(imported, Plugin):
        problems.append(f"import: {imported}")
        return report
    manifest = imported.manifest
    report |= {"version": manifest.version, "summary": manifest.summary, "mounts": list(manifest.mounts)}
    try:
        loaded = load(config)
    except ConfigError as error:
        problems += error.problems
        return report
    section = loaded.plugin(name)
    report["mounts"] = section.mount or list(manifest.mounts)
    enabled = {other: one.enabled for other, one in loaded.settings.plugins.items()}
    try:
        check_manifest(found[name], manifest, enabled)
    except PluginFailed as failure:
        problems.append(f"{failure.phase}: {failure.reason}")
    reading = read_options(manifest.config, name, loaded)
    problems += as_lines(reading.problems, reading.provenance)
    problems += _database_problems(manifest)
    return report


def _import(found: Discovered, timeout: float) -> Plugin | str:
    """The plugin, or why there is none. A hang costs `timeout` seconds."""
    outcome: list[Plugin | str] = []

    def run() -> None:
        try:
            outcome.append(import_plugin(found))
        except BaseException as error:
            outcome.append(described(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout)
    return outcome[0] if outcome else f"did not end within {timeout:g} s"


def _database_problems(manifest: Manifest) -> list[str]:
    problems: list[str] = []
    if manifest.models:
        try:
            importlib.import_module(manifest.models)
        except BaseException as error:
            problems.append(f"models: {described(error)}")
    if manifest.migrations:
        try:
            spec = importlib.util.find_spec(manifest.migrations)
        except ImportError:
            spec = None
        folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec is not None else []
        if not folders:
            problems.append(f"migrations: there is no package {manifest.migrations}")
        problems += [
            f"migrations: there is no folder {dialect} in {manifest.migrations}"
            for dialect in DIALECTS
            if folders and not any((folder / dialect).is_dir() for folder in folders)
        ]
    return problems


def described(error: BaseException) -> str:
    """The error on one line, with the place in the plugin's code that raised it."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}:{error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and not Path(frame.filename).is_relative_to(CORE)
    ]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}".strip().rstrip(":") + place


def main() -> None:
    """Examine the plugin that the arguments name."""
    parser = argparse.ArgumentParser(prog="moorage.cli.probe")
    parser.add_argument("name")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--report", type=int, required=True)
    arguments = parser.parse_args()
    report = examine(arguments.name, arguments.config, arguments.timeout)
    report["problems"] = [problem[:MAX_PROBLEM] for problem in report["problems"][:MAX_PROBLEMS]]
    text = json.dumps(report)
    with os.fdopen(arguments.report, "w") as file:
        file.write(text)
    # A plugin's threads must not keep this process alive.
    os._exit(0)


if __name__ == "__main__":
    main()
