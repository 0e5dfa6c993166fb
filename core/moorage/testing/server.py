"""A server in the test's own process and event loop: all of the real one but its signals and its log."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tomlkit

from moorage.access import Actor
from moorage.accounts import SYSTEM
from moorage.app import App
from moorage.config import load
from moorage.hub import Hub
from moorage.plugin import Plugin
from moorage.plugins import Record
from moorage.server import engines
from moorage.server.listeners import bind, with_mount_ports
from moorage.testing.client import Client
from moorage.testing.installed import finder

STOP_TIMEOUT = 30.0
"""Seconds until a server that does not stop fails the test."""

Config = Mapping[str, Any]


def merged(base: Config, more: Config) -> dict[str, Any]:
    """`more` over `base`, table by table."""
    result = dict(base)
    for key, value in more.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


class Server:
    """One server on a free port of the loopback, with its own folder, SQLite file and users.

    folder: where the configuration and the data lie; a second server on the same folder finds what the first left.
    plugins: what is enabled: names of installed plugins, or `Plugin` classes. config: as in `moorage.toml`, over
    what suits tests (no rate limits, no access log, cheap password hashes).
    """

    def __init__(self, folder: Path, plugins: Iterable[str | type[Plugin]] = (), config: Config | None = None) -> None:
        self.folder = folder
        self._plugins = list(plugins)
        self._config = dict(config or {})
        self._clients: list[Client] = []
        self._stop = asyncio.Event()
        self.app: App
        self.url = ""
        self.anonymous: Client

    # -- life ---------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start, or raise what a start raises (`StartError`). A plugin that failed is in `state()`, not raised."""
        self._sockets = bind(["127.0.0.1:0"])
        port = self._sockets[0].getsockname()[1]
        self._base = _base(port, self._plugins)
        self._write_config()
        try:
            given = [plugin for plugin in self._plugins if isinstance(plugin, type)]
            self.app = App(load(self._config_file, env={}), find=finder(given))
            await self._start_app()
            # As if the ports that mounts name were open too: one test's would be in the way of another's.
            self.app.addresses = with_mount_ports([f"127.0.0.1:{port}"], self.app.gate.sites.ports)
        except BaseException:
            self._close_sockets()
            raise
        for sock in self._sockets:
            sock.listen()  # From here on a client may connect, and waits until the engine answers.
        settings = self.app.loaded.settings.server
        self._serving = asyncio.create_task(engines.serve(self.app.gate, self._sockets, settings, self._stop))
        self.url = f"http://127.0.0.1:{port}"
        self.anonymous = self._client()

    async def _start_app(self) -> None:
        try:
            await self.app.start()
        except BaseException:
            await self.app.stop()
            raise

    async def stop(self) -> None:
        """Close the clients, then stop as the real server does on SIGTERM."""
        for client in self._clients:
            await client.aclose()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await self.app.drain()
                self._stop.set()
                await self.app.gate.wait_idle(self.app.loaded.settings.server.drain_timeout)
                await self._serving
        finally:
            # Whatever went wrong before: an open SQLite connection keeps the process from ending.
            await self.app.stop()
            self._close_sockets()

    async def reload(self, config: Config) -> dict[str, Any]:
        """Change the configuration (over what it is) and apply it, as SIGHUP does. Returns what was done."""
        self._config = merged(self._config, config)
        self._write_config()
        return await self.app.reload()

    # -- clients and users --------------------------------------------------------------------------------------

    async def as_user(
        self, role: str = "operator", *, name: str | None = None, scopes: Iterable[str] | None = None
    ) -> Client:
        """A client of a new user with this role, signed in by an API key (with `scopes`, or all of the rights)."""
        accounts = self.app.accounts
        with self.app.db.activate():
            name = name or f"{role}-{secrets.token_hex(4)}"
            user = await accounts.create_user(name, password=None, role=role, by=SYSTEM)
            wanted = None if scopes is None else list(scopes)
            _, key = await accounts.create_key(user.id, "test", scopes=wanted, by=SYSTEM)
            actor = await accounts.authenticate(key)
        assert actor is not None
        return self._client(actor, key)

    def _client(self, actor: Actor | None = None, key: str | None = None) -> Client:
        client = Client(self.url, actor=actor, key=key) if actor is not None else Client(self.url)
        self._clients.append(client)
        return client

    # -- plugins ------------------------------------------------------------------------------------------------

    def plugin(self, name: str) -> Plugin:
        """The plugin's object. LookupError with the reason when it does not run."""
        plugin = self._running(name).plugin
        assert plugin is not None
        return plugin

    def hub(self, name: str) -> Hub:
        """The plugin's hub. LookupError with the reason when it does not run.

        What touches models outside of a request runs inside of `with hub.db.activate():`.
        """
        hub = self._running(name).hub
        assert hub is not None
        return hub

    def state(self, name: str) -> tuple[str, str]:
        """A plugin's state ("started", "failed" …) and the reason for it."""
        for record in self.app.plugin_records():
            if record.name == name:
                return record.state.value, record.reason
        return "unknown", "not installed"

    def _running(self, name: str) -> Record:
        record = self.app.plugins.records.get(name)
        if record is None or not record.running:
            raise LookupError(f"plugin {name} does not run: {': '.join(filter(None, self.state(name)))}")
        return record

    # -- how ----------------------------------------------------------------------------------------------------

    @property
    def _config_file(self) -> Path:
        return self.folder / "moorage.toml"

    def _write_config(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._config_file.write_text(tomlkit.dumps(merged(self._base, self._config)))

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()


def _base(port: int, plugins: Iterable[str | type[Plugin]]) -> dict[str, Any]:
    names = [plugin if isinstance(plugin, str) else plugin.manifest.name for plugin in plugins]
    return {
        "data_dir": "data",
        "server": {
            "listen": [f"127.0.0.1:{port}"],
            "access_log": False,
            "drain_timeout": 2.0,
            # Hypercorn keeps a closed WebSocket's connection until its next ping is due, and a stop waits for it.
            "ws_ping_interval": 0.05,
        },
        "limits": {"enabled": False},
        "accounts": {"argon2_memory_kib": 8, "argon2_time": 1},
        "plugins": {name: {"enabled": True} for name in names},
    }
