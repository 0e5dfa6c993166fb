"""The one object that a plugin is handed: the core's services, cut to what a plugin may use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from moorage.ownid import own_id
from moorage.plugin import PluginConfig

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from structlog.typing import FilteringBoundLogger

    from moorage.access.service import Access
    from moorage.accounts import Accounts
    from moorage.db import Database
    from moorage.events import SocketRegistry, TaskSupervisor
    from moorage.events.bus import OwnBus
    from moorage.observe.audit import Audit
    from moorage.observe.metrics import ScopedMetrics
    from moorage.proxy.targets import Upstreams
    from moorage.runtimes import OwnRuntimes


class HookFailed(Exception):
    """A hook did not do its work in one plugin; late: not in time. Its text names the plugin and is for the log."""

    def __init__(self, plugin: str, hook: str, reason: str, *, late: bool = False) -> None:
        self.plugin, self.hook, self.late = plugin, hook, late
        super().__init__(f"plugin {plugin}: {hook}: {reason}")


class HookCaller(Protocol):
    """Calls the hooks that a plugin offers to others, in those that run and implement them.

    Arguments of a hook that are called `hook`, `plugin` or `timeout` cannot be given.
    """

    def call(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Call a sync hook in every plugin: [(plugin name, value)], in plugin order. One that fails is left out."""
        ...

    def gather(self, hook: str, *, timeout: float, **arguments: Any) -> Awaitable[list[tuple[str, Any]]]:
        """The same for an async hook, one after another, each with the time-out in seconds."""
        ...

    def implementers(self, hook: str) -> list[str]:
        """The names of the plugins that would be called, in plugin order."""
        ...

    def call_one(self, hook: str, plugin: str, **arguments: Any) -> Any:
        """Call a sync hook in one plugin. HookFailed, also when the plugin has no such hook or has ended."""
        ...

    def await_one(self, hook: str, plugin: str, *, timeout: float, **arguments: Any) -> Awaitable[Any]:
        """The same for an async hook, with the time-out in seconds."""
        ...


class Sealing(Protocol):
    """Encrypts what must be read again, with a key of the plugin's own that is derived from the server's secret."""

    def seal(self, text: str) -> str:
        """`text` encrypted, in ASCII."""
        ...

    def open(self, sealed: str) -> str:
        """What was sealed. ValueError when it was sealed under another secret, or was changed."""
        ...


@dataclass(slots=True)
class Hub:
    """What the core gives to one plugin.

    name, config: the plugin's own. data_dir: its own folder, mode 0700, made on first use by `folder()`.
    public_url: as configured, or None (then take `current_request().base_url`).
    private: files and folders of the server's own, which no client and no workload may be led to: its data, its config.
    """

    name: str
    config: PluginConfig
    data_dir: Path
    public_url: str | None
    log: FilteringBoundLogger
    access: Access
    accounts: Accounts
    bus: OwnBus
    sockets: SocketRegistry
    tasks: TaskSupervisor
    metrics: ScopedMetrics
    audit: Audit
    db: Database
    hooks: HookCaller
    upstreams: Upstreams
    runtimes: OwnRuntimes
    sealing: Sealing
    private: tuple[Path, ...] = ()

    def folder(self) -> Path:
        """The plugin's data folder, created if need be."""
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.data_dir

    def server_id(self) -> str:
        """Eight hexadecimal digits that no other server on the same database has, kept in the plugin's folder.

        For what is in the database and lives on one server. Reads a file: ask once, at the start. OSError, Unavailable.
        """
        return own_id(self.folder())
