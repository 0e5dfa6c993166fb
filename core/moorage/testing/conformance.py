"""The conformance suite: what every plugin must do, as tests to inherit.

    from moorage.testing.conformance import Conformance

    class TestConformance(Conformance):
        plugin = "hello"
        options = {"greeting": "Good day"}

Each test starts a server of its own, with this plugin (and those that it requires) switched on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest

from moorage.plugin import Plugin
from moorage.plugins import Discovered, discover
from moorage.plugins.loader import import_plugin
from moorage.server.sites import Mount
from moorage.testing import checks
from moorage.testing.installed import given
from moorage.testing.probes import Prober, stray_tasks
from moorage.testing.pytest_plugin import MakeServer
from moorage.testing.server import Server

HEALTH_SECONDS = 2.0
MOUNT = "/somewhere/else"


class Conformance:
    """Inherit from it under a name that pytest collects, and say which plugin is meant.

    plugin: the name of an installed plugin, or its class. options: its settings. others: plugins that it needs,
    with their settings. degraded: True where it is "degraded" for want of something that tests do not have.
    """

    pytestmark = pytest.mark.asyncio

    plugin: ClassVar[str | type[Plugin]]
    options: ClassVar[Mapping[str, Any]] = {}
    others: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    degraded: ClassVar[bool] = False

    # -- without a server ---------------------------------------------------------------------------------------

    async def test_manifest(self) -> None:
        """The manifest is complete, and fits the entry point."""
        found = self._found()
        _none(checks.manifest(import_plugin(found), found))

    async def test_config(self) -> None:
        """Settings are frozen, refuse unknown keys, and say what they are for."""
        _none(checks.config(self._object().manifest, self.options))

    async def test_hooks(self) -> None:
        """Hooks exist, are sync or async as specified, and marked."""
        _none(checks.hooks(self._object()))

    async def test_migrations(self) -> None:
        """On SQLite and PostgreSQL, the migrations lead to the models."""
        _none(await asyncio.to_thread(checks.migrations, self._object().manifest))

    # -- with one -----------------------------------------------------------------------------------------------

    async def test_routes(self, moorage_server: MakeServer) -> None:
        """Every route has an access rule; its permission is declared."""
        async with self._server(moorage_server) as server:
            self._runs(server)
            record = server.app.plugins.records[self._name()]
            _none(checks.routes(self._object().manifest, record.routes or ()))

    async def test_anonymous_is_refused(self, moorage_server: MakeServer) -> None:
        """Every route that is not public answers 401 to nobody, and 403 to a user without rights."""
        async with self._server(moorage_server, {"access": {"roles": {"powerless": {}}}}) as server:
            prober = self._prober(server)
            _none(await prober.refuses_anonymous())
            _none(await prober.refuses_powerless(await server.as_user("powerless")))

    async def test_bad_input_is_refused(self, moorage_server: MakeServer) -> None:
        """No input leads to a 500, a traceback or a broken socket."""
        async with self._server(moorage_server) as server:
            prober = self._prober(server)
            owner = await server.as_user("owner")
            _none([*await prober.survives_requests(owner), *await prober.survives_messages(owner)])
            self._runs(server)

    async def test_health(self, moorage_server: MakeServer) -> None:
        """It says that it is well, in time."""
        async with self._server(moorage_server) as server:
            self._runs(server)
            owner = await server.as_user("owner")
            async with asyncio.timeout(HEALTH_SECONDS + 1):
                report = (await owner.get("/health")).json()
            status = report["components"][self._name()]["status"]
            assert status in (("ok", "degraded") if self.degraded else ("ok",)), report["components"]

    async def test_mounted_elsewhere(self, moorage_server: MakeServer) -> None:
        """It works at another mount, and only there."""
        config = {"plugins": {self._name(): {"mount": MOUNT}}}
        async with self._server(moorage_server, config) as server:
            prober = self._prober(server)
            astray = [entry.template for entry in prober.entries if not entry.template.startswith(MOUNT)]
            assert not astray, astray
            _none(await prober.refuses_anonymous())

    async def test_leaves_nothing_behind(self, moorage_server: MakeServer) -> None:
        """After a stop no task runs on; the same data folder serves a second start."""
        before = asyncio.all_tasks()
        for _ in range(2):
            async with self._server(moorage_server) as server:
                self._runs(server)
                await self._prober(server).survives_messages(await server.as_user("owner"))
            _none(stray_tasks(before))

    async def test_switched_off_and_on(self, moorage_server: MakeServer) -> None:
        """A reload switches it off, its tasks end, and on again."""
        async with self._server(moorage_server) as server:
            self._runs(server)
            hub, name = server.hub(self._name()), self._name()
            await server.reload({"plugins": {name: {"enabled": False}}})
            assert server.state(name)[0] == "disabled", server.state(name)
            assert not len(hub.tasks), "its tasks run on"
            await server.reload({"plugins": {name: {"enabled": True}}})
            self._runs(server)

    # -- how ----------------------------------------------------------------------------------------------------

    def _found(self) -> Discovered:
        if isinstance(self.plugin, type):
            return given(self.plugin)
        installed = discover()
        assert self.plugin in installed, f"no plugin {self.plugin!r} is installed here; there are: {sorted(installed)}"
        return installed[self.plugin]

    def _object(self) -> Plugin:
        return import_plugin(self._found())

    def _name(self) -> str:
        return self.plugin if isinstance(self.plugin, str) else self.plugin.manifest.name

    def _server(self, make: MakeServer, config: Mapping[str, Any] | None = None) -> Server:
        from moorage.testing.server import merged

        others = {name: {"enabled": True, **options} for name, options in self.others.items()}
        base = {
            "server": {"max_body_bytes": 256 * 1024, "max_frame_bytes": 256 * 1024},
            "plugins": {**others, self._name(): {"mount": self._mounts(), **self.options}},
        }
        return make(self.plugin, config=merged(base, config or {}))

    def _mounts(self) -> list[str]:
        """The plugin's own mounts that a server with one port has, else the root."""
        mounts = {text: Mount.parse(text) for text in self._object().manifest.mounts}
        return [text for text, mount in mounts.items() if mount.port is None and mount.host is None] or ["/"]

    def _runs(self, server: Server) -> None:
        state, reason = server.state(self._name())
        assert state == "started" or (self.degraded and state == "degraded"), f"{state}: {reason}"

    def _prober(self, server: Server) -> Prober:
        self._runs(server)
        return Prober(server, self._name())


def _none(problems: Sequence[str]) -> None:
    """Fail with all problems, one a line."""
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
