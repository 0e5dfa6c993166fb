"""Loading one plugin: import, manifest and configuration, each in its own try and within its time."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import TypeVar

import structlog

from moorage.config import Loaded, validate_plugin
from moorage.errors import ConfigError
from moorage.plugin import API_VERSION, Manifest, Plugin
from moorage.plugins.discover import Discovered
from moorage.plugins.states import PluginFailed, Record, State

T = TypeVar("T")
log = structlog.get_logger("moorage.plugins")


async def in_thread(name: str, phase: str, timeout: float, work: Callable[[], T]) -> T:
    """Run somebody else's blocking code in a daemon thread, so that a hang costs a thread and not the server.

    PluginFailed when it raises (even SystemExit) or outlasts `timeout` seconds.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(PluginFailed(name, phase, _describe(error)))
            log.error("plugin failed", plugin=name, phase=phase, traceback=_traceback(error))
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:
            failure = error
        loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name=f"plugin-{name}-{phase}", daemon=True).start()
    try:
        return await asyncio.wait_for(done, timeout)
    except TimeoutError:
        raise PluginFailed(name, phase, f"did not end within {timeout:g} s") from None


def _describe(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}, line {error.lineno})"
    return f"{type(error).__name__}: {error}".strip().rstrip(":")


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def import_plugin(found: Discovered) -> Plugin:
    """Import and instantiate. Any exception of the plugin's own may come out."""
    try:
        target = found.entry_point.load()
    except ModuleNotFoundError as error:
        if error.name != found.entry_point.module.partition(".")[0]:
            raise
        # An editable install is found by an interpreter that starts after it.
        raise ModuleNotFoundError(f"{error}; if it was installed while the server ran, restart the server") from error
    plugin = target() if isinstance(target, type) else target
    if not isinstance(plugin, Plugin) or not isinstance(getattr(plugin, "manifest", None), Manifest):
        raise TypeError(f"{found.entry_point.value} is not a moorage Plugin with a manifest")
    return plugin


def check_manifest(found: Discovered, manifest: Manifest, enabled: Mapping[str, bool]) -> None:
    """PluginFailed (state blocked) naming what is missing and how to get it."""

    def blocked(reason: str) -> PluginFailed:
        return PluginFailed(found.name, "requirements", reason, State.BLOCKED)

    if manifest.name != found.name:
        raise blocked(f"its manifest says {manifest.name!r}, its entry point {found.name!r}")
    if manifest.api != API_VERSION:
        raise blocked(f"written for plugin API {manifest.api}; this server has {API_VERSION}")
    missing = [name for name in manifest.modules if importlib.util.find_spec(name.partition(".")[0]) is None]
    if missing:
        extra = f'; pip install "{found.distribution}[{manifest.extra}]"' if manifest.extra else ""
        raise blocked(f"cannot import {', '.join(missing)}{extra}")
    for name in manifest.requires:
        if not enabled.get(name, False):
            raise blocked(f"needs plugin {name!r}; set [plugins.{name}] enabled = true")
    for permission in manifest.permissions:
        if not permission.name.startswith(f"{manifest.name}:"):
            raise blocked(f"permission {permission.name!r} must begin with {manifest.name!r}:")
    if manifest.models and not manifest.migrations:
        raise blocked("has models and no migrations")


async def load(record: Record, found: Discovered | None, loaded: Loaded, enabled: Mapping[str, bool]) -> None:
    """Bring a record from discovered to loaded, or to blocked or failed with the reason."""
    try:
        if found is None:
            raise PluginFailed(
                record.name, "discovery", "is not installed; pip install the package that brings it", State.BLOCKED
            )
        record.distribution, record.version = found.distribution, found.version
        timeout = loaded.settings.server.plugin_import_timeout
        plugin = await in_thread(record.name, "import", timeout, lambda: import_plugin(found))
        record.plugin, record.manifest = plugin, plugin.manifest
        record.version = plugin.manifest.version
        check_manifest(found, plugin.manifest, enabled)
        try:
            record.config = validate_plugin(plugin.manifest.config, record.name, loaded)
        except ConfigError as error:
            raise PluginFailed(record.name, "configuration", "; ".join(error.problems)) from error
        record.state = State.LOADED
    except PluginFailed as failure:
        record.fail(failure)
        log.warning("plugin not loaded", plugin=record.name, state=record.state.value, reason=record.reason)
    except (Exception, SystemExit) as error:
        # A manifest with values of wrong types, a settings model that raises what it should not.
        record.fail(PluginFailed(record.name, "manifest", _describe(error)))
        record.manifest = None
        log.exception("plugin not loaded", plugin=record.name, reason=record.reason)
