"""The plugin: its manifest, and the hooks by which the core calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from moorage.api import Health, Hub, Manifest, Plugin, Route, Topic, hookimpl

from moorage_hello import __version__
from moorage_hello.config import CREATE, DELETE, READ, HelloConfig
from moorage_hello.greetings import Greetings
from moorage_hello.routes import routes


class HelloPlugin(Plugin):
    """Greets, and keeps greetings."""

    manifest = Manifest(
        name="hello",
        version=__version__,
        summary="Greets, and keeps greetings",
        config=HelloConfig,
        permissions=(READ, CREATE, DELETE),
        models="moorage_hello.models",
        migrations="moorage_hello.migrations",
    )

    greetings: Greetings
    _unsubscribe: Callable[[], None]

    @hookimpl
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:
        """Build the service, and the routes over it."""
        assert isinstance(hub.config, HelloConfig)
        self.greetings = Greetings(hub, hub.config)
        return routes(self.greetings)

    @hookimpl
    async def moorage_startup(self, hub: Hub) -> None:
        """Listen for deleted users. The tables are there: migrations have run."""
        self._unsubscribe = hub.bus.subscribe(Topic.USER_DELETED, self.greetings.forget_user)

    @hookimpl
    async def moorage_shutdown(self, hub: Hub) -> None:
        """Stop listening. Sockets are closed already, and the database is still open."""
        self._unsubscribe()

    @hookimpl
    async def moorage_health(self, hub: Hub) -> Health:
        """Whether the table can be read."""
        return Health("ok", data={"greetings": await self.greetings.count()})
