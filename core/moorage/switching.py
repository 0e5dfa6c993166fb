"""Switching a plugin on or off while the server runs: the configuration file is changed, then applied."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from moorage.config import load
from moorage.config.editing import put_back, set_enabled
from moorage.config.sources import short_path
from moorage.errors import BadRequest, Conflict, NotFound, StartError

if TYPE_CHECKING:
    from pathlib import Path

    from moorage.app import App


async def switch(app: App, name: str, *, enabled: bool) -> dict[str, Any]:
    """Switch the plugin; the answer is that of `App.reload`. Refused, the file and the server are as they were.

    NotFound: no such plugin is installed or configured. BadRequest: it is not installed, and so cannot be switched on.
    Conflict: the file cannot be written, something else decides, or the server would not run with it.
    """
    installed = name in app.find()
    if not installed and name not in app.loaded.settings.plugins:
        raise NotFound(f"There is no plugin {name!r}, neither installed nor configured")
    if enabled and not installed:
        raise BadRequest(f"Plugin {name} is not installed; install the package that brings it")
    if app.safe_mode:
        raise Conflict("The server runs in safe mode, without plugins; start it without --safe-mode", code="SAFE_MODE")
    path = app.loaded.path
    if path is None:
        text = "The server runs without a configuration file; make one with `moorage config template > moorage.toml`"
        raise Conflict(text, code="NO_CONFIGURATION_FILE")
    async with app.switching:
        return await _switch(app, path, name, enabled)


async def _switch(app: App, path: Path, name: str, enabled: bool) -> dict[str, Any]:
    before = await asyncio.to_thread(_read, path)
    try:
        changed = await asyncio.to_thread(set_enabled, path, name, enabled)
    except StartError as error:
        raise Conflict(str(error), code="CONFIGURATION_NOT_WRITABLE") from error
    after = await asyncio.to_thread(_read, path) if changed else before
    try:
        await asyncio.to_thread(_decides, path, name, enabled)
        return await app.reload()
    except (StartError, Conflict) as error:
        if changed:
            await asyncio.to_thread(put_back, path, before, after)
        if isinstance(error, Conflict):
            raise
        raise Conflict(str(error), code="RELOAD_REFUSED") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Conflict(f"{short_path(path)} cannot be read", code="CONFIGURATION_NOT_WRITABLE") from error


def _decides(path: Path, name: str, enabled: bool) -> None:
    """Whether what the file says of the plugin is what holds. ConfigError, Conflict."""
    loaded = load(path)
    if loaded.plugin(name).enabled is not enabled:
        source = loaded.source(f"plugins.{name}.enabled")
        raise Conflict(f"{source} decides whether the plugin {name} is on; change it there", code="SET_ELSEWHERE")
