"""Commands of plugins: what `moorage NAME …` of a plugin stands on. Import it in the module of the commands alone.

A manifest names its commands (`commands`); their module is imported when one of them is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import click
import structlog

from moorage.access.service import Access
from moorage.accounts import SYSTEM, Accounts
from moorage.cli.offline import required_user
from moorage.cli.options import chosen_config, config_option, echo_table
from moorage.config import Loaded, load, validate_plugin
from moorage.db import Database
from moorage.db.migrate import upgrade
from moorage.db.sources import CORE, Source
from moorage.events import EventBus, SocketRegistry, TaskSupervisor
from moorage.events.bus import OwnBus
from moorage.hub import HookFailed, Hub
from moorage.observe.audit import Audit
from moorage.observe.metrics import Metrics
from moorage.plugin import Manifest
from moorage.plugins import load_manifests
from moorage.proxy import Upstreams
from moorage.runtimes import OwnRuntimes, Runtimes

P = ParamSpec("P")
Work = Callable[Concatenate[Hub, P], Awaitable[None]]

__all__ = ["SYSTEM", "config_option", "echo_table", "required_user", "with_hub"]


def with_hub(plugin: str) -> Callable[[Work[P]], Callable[..., None]]:
    """Make a click callback of a coroutine function over the plugin's hub, and add `--config`.

    The hub works on the configured database, also while a server runs; nothing else runs: no hook answers, no runtime
    is there, and what is published on the bus nobody hears. The plugin must be enabled, and its settings right.

    .. versionadded:: 0.1
    """

    def decorate(work: Work[P]) -> Callable[..., None]:
        @config_option
        @wraps(work)
        def command(config_path: Path | None, **arguments: Any) -> None:
            loaded = load(chosen_config(config_path))

            async def run() -> None:
                async with open_hub(loaded, plugin) as hub:
                    await work(hub, **arguments)  # type: ignore[call-arg]

            asyncio.run(run())

        return command

    return decorate


@asynccontextmanager
async def open_hub(loaded: Loaded, plugin: str) -> AsyncIterator[Hub]:
    """A plugin's hub without a server. ClickException when the plugin is off, or cannot be read; StartError."""
    manifest = _manifest(loaded, plugin)
    settings, source = loaded.settings, None
    config = validate_plugin(manifest.config, plugin, loaded)
    apps = {CORE.label: list(CORE.models)}
    if manifest.models and manifest.migrations:
        source = Source(plugin, (manifest.models,), manifest.migrations)
        apps[plugin] = [manifest.models]
    url = settings.database.url.get_secret_value()
    await upgrade(url, settings.data_dir, [CORE, *([source] if source is not None else [])])
    db = Database(url, settings.data_dir, pool_max=2)
    await db.open(apps)
    bus, tasks, metrics = EventBus(), TaskSupervisor(plugin), Metrics()
    access = Access(settings.access.roles)
    access.declare(plugin, manifest.permissions)
    audit = Audit(db, bus)
    accounts = Accounts(settings.accounts, db, audit, bus, settings.data_dir, access)
    try:
        with db.activate():
            yield Hub(
                name=plugin,
                config=config,
                data_dir=settings.data_dir / "plugins" / plugin,
                public_url=settings.server.public_url,
                log=structlog.get_logger(f"moorage.{plugin}"),
                access=access,
                accounts=accounts,
                bus=OwnBus(bus),
                sockets=SocketRegistry(),
                tasks=tasks,
                metrics=metrics.scoped(plugin),
                audit=audit,
                db=db,
                hooks=_NoHooks(),
                upstreams=Upstreams(),
                runtimes=OwnRuntimes(Runtimes(), plugin),
                sealing=accounts.sealing(plugin),
            )
    finally:
        await tasks.stop()
        await accounts.close()
        await bus.close()
        await db.close()


def _manifest(loaded: Loaded, plugin: str) -> Manifest:
    found = load_manifests(loaded).get(plugin)
    if found is None:
        raise click.ClickException(f"The plugin {plugin} is not enabled: `moorage plugins enable {plugin}`.")
    if isinstance(found, Exception):
        raise click.ClickException(
            f"The plugin {plugin} cannot be read: {found}. See `moorage plugins doctor {plugin}`."
        )
    return found


class _NoHooks:
    """The hooks of plugins that do not run."""

    def call(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        return []

    async def gather(self, hook: str, *, timeout: float, **arguments: Any) -> list[tuple[str, Any]]:
        return []

    def implementers(self, hook: str) -> list[str]:
        return []

    def call_one(self, hook: str, plugin: str, **arguments: Any) -> Any:
        raise HookFailed(plugin, hook, "does not run in a command")

    async def await_one(self, hook: str, plugin: str, *, timeout: float, **arguments: Any) -> Any:
        raise HookFailed(plugin, hook, "does not run in a command")
