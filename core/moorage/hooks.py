"""The hook specifications: every place where a plugin can take part, typed.

Each hook is fixed as sync or async. An implementation may take any subset of the arguments, by name.
Hooks are called per plugin through `moorage.plugins.dispatch`, which puts a time-out around each call and
names the plugin in every error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from moorage.access import Actor, UserInfo
    from moorage.hub import Hub
    from moorage.observe.audit import AuditRecord
    from moorage.pages import Entry, Page, Running
    from moorage.plugin import Health
    from moorage.routes import Route
    from moorage.runtimes import Runtime

PROJECT = "moorage"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Specs:
    """The core's hooks."""

    @hookspec
    def moorage_add_hookspecs(self, hub: Hub) -> Iterable[object]:  # type: ignore[empty-body]
        """Offer hooks of your own to other plugins (sync).

        Called once, while the plugin is loaded and before plugins that come after it are.
        An error fails the plugin.

        :param hub: the plugin's hub.
        :returns: classes or modules whose functions are marked `@hookspec`.

        .. versionadded:: 0.1
        """

    @hookspec
    def moorage_routes(self, hub: Hub) -> Iterable[Route]:  # type: ignore[empty-body]
        """The plugin's routes (sync).

        Called once per life of the plugin, before `moorage_startup`; build services here.
        An error fails the plugin: its mount answers 503.

        :param hub: the plugin's hub.
        :returns: objects of the kinds that `Route` joins; paths as the contract writes them.

        .. versionadded:: 0.1
        """

    @hookspec
    def moorage_runtimes(self, hub: Hub) -> Iterable[Runtime]:  # type: ignore[empty-body]
        """Runtimes of the plugin's own, beside `process` and `docker` (sync).

        Called once, after the plugin's `moorage_startup`; they are opened when somebody first uses them, and closed
        before its `moorage_shutdown`. An error, or a kind that is taken, fails the plugin.

        :param hub: the plugin's hub.
        :returns: objects that follow `Runtime`; `moorage.testing.runtimes` has the tests that they must pass.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_startup(self, hub: Hub) -> None:
        """Start what the plugin needs (async, limit `[server] plugin_start_timeout`).

        Called after migrations and in plugin order, before the listeners open. An error or a
        time-out fails the plugin alone, or the server if it is `required`.

        :param hub: the plugin's hub.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_drain(self, hub: Hub) -> None:
        """Stop taking new work and tell open clients (async, limit `[server] plugin_stop_timeout`).

        Called at shutdown and when the plugin is removed by a reload, while its sockets are still open.
        An error is logged; shutdown goes on.

        :param hub: the plugin's hub.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_shutdown(self, hub: Hub) -> None:
        """Release everything (async, limit `[server] plugin_stop_timeout`).

        Called in reverse order after sockets are closed and requests finished, before the database closes; also when
        a reload removes or replaces the plugin. Never without a `moorage_startup` that succeeded.
        An error is logged; shutdown goes on.

        :param hub: the plugin's hub.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_health(self, hub: Hub) -> Health:  # type: ignore[empty-body]
        """How the plugin is (async, limit 2 s).

        Called for `/health` and the plugins list. An error or time-out counts as failed.

        :param hub: the plugin's hub.
        :returns: a `Health`.

        .. versionadded:: 0.1
        """

    @hookspec
    def moorage_authorize(self, actor: Actor, permission: str, resource: Any) -> str | None:
        """Veto a decision that the core would allow (sync, on the hot path: be quick).

        Never asked about what the core denies, so a plugin can take away and not give.
        An error counts as a veto.

        :param actor: who asks.
        :param permission: the permission's name.
        :param resource: what it is about, or None for a whole route.
        :returns: the public reason for the veto, or None to stand aside.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_user_details(self, actor: Actor, user: UserInfo) -> Mapping[str, Any]:  # type: ignore[empty-body]
        """What the plugin adds to a user's details (async, limit 2 s).

        Called for `GET /api/v1/users/{user_id}`, once the actor may see the user: what the core says goes before what
        plugins say, and an earlier plugin before a later one. Called for the user's page in the console too, which
        shows it under the plugin's name. An error is logged, and nothing is added.

        :param actor: who asks: tell them only what they may see.
        :param user: whose details.
        :returns: members of the answer's object, JSON-able and few: `{"workspaces": [...]}`.

        .. versionadded:: 0.1
        """

    @hookspec
    def moorage_pages(self) -> Iterable[Page]:  # type: ignore[empty-body]
        """Pages of the plugin's own in the console (sync).

        Called when somebody opens the console, so be quick. Shown where the plugin is mounted at the console's own
        address, to those who hold the page's permission. An error is logged, and the plugin's pages are left out.

        :returns: objects of `Page`, of which 50 are shown.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_overview(self, actor: Actor, limit: int) -> Iterable[Entry]:  # type: ignore[empty-body]
        """What somebody has going, for the console's first page (async, limit 2 s).

        Called side by side in all plugins. One that fails or is late is named to the user as missing.

        :param actor: who asks: give only their own, and only what they may see.
        :param limit: how many are shown; the last used ones.
        :returns: objects of `Entry`.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_search(self, actor: Actor, query: str, limit: int) -> Iterable[Entry]:  # type: ignore[empty-body]
        """What of somebody's a text is found in, for the console's search (async, limit 2 s).

        Called side by side in all plugins. One that fails or is late is named to the user as missing.

        :param actor: who asks: find only their own, and only what they may see.
        :param query: what they typed, trimmed, of 1 to 200 characters.
        :param limit: how many are shown; the best ones.
        :returns: objects of `Entry`, the best first.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_running(self, actor: Actor, limit: int) -> Iterable[Running]:  # type: ignore[empty-body]
        """What runs of everybody's, for administration (async, limit 2 s).

        Called side by side in all plugins. One that fails or is late is named as missing.

        :param actor: who asks: give only what they may see of others.
        :param limit: how many are shown at most.
        :returns: objects of `Running`; one with `ending` can be ended by `moorage_end`.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_end(self, actor: Actor, kind: str, id: str) -> None:
        """End one of what `moorage_running` has given (async, limit 60 s).

        Return when it has ended. What is left when the time is over is told as not ended yet, and may go on ending.
        The core writes who ended it, or tried to, into the audit log.

        :param actor: who asks: check that they may.
        :param kind: of what was given.
        :param id: of what was given; NotFound for one that is not there any more. Other errors of the small tree are
            told as they are.

        .. versionadded:: 0.1
        """

    @hookspec
    async def moorage_audit(self, record: AuditRecord) -> None:
        """An audit record was written (async, off the request, limit 5 s).

        Called once per record after it is committed. An error is logged.

        :param record: actor, action, target, address, request id, data.

        .. versionadded:: 0.1
        """

    @hookspec
    def moorage_features(self, prefix: str) -> Mapping[str, Any]:  # type: ignore[empty-body]
        """What clients are told of the plugin before anybody has signed in (sync).

        Called for `GET /api/features`, in plugins that are served at the address that was asked. What a plugin says
        goes before the core's defaults, and an earlier plugin before a later one. An error is logged, and nothing is
        added. Anybody may read it.

        :param prefix: what stands before the plugin's paths there: "" or as "/voice". Put it before paths that you
            name.
        :returns: members of the answer's object, JSON-able and few: `{"websocket_events": True}`.

        .. versionadded:: 0.1
        """
