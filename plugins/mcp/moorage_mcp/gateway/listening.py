"""What servers tell without being asked: that a list or a resource changed, what they log.

Heard once on each link, and handed to every client that listens and to the gateway itself. A client that waits for
changed lists keeps no server running: it hears of those that run. One that subscribes to a resource does; its
subscription is taken up again when the server comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from moorage.api import TaskSupervisor

from moorage_mcp.gateway import translate
from moorage_mcp.gateway.reach import Reach, Seat, SeatKey, gone
from moorage_mcp.links.base import Link, LinkClosed, Listener
from moorage_mcp.records import Status, UpstreamInfo, WorkspaceInfo
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import Params, RpcError
from moorage_mcp.wire.methods import LIST_CHANGED, UPDATED

ATTACH_SECONDS = 10.0
AT_FIRST = 1.0
"""Seconds in which servers are to have begun to tell before a client is told that it is listened to: what changes right
after that must not be lost, and one server that hangs must not keep it from hearing of the others."""
MAX_SEATS = 1000
AGAIN = (1.0, 60.0)
"""Seconds before a lost subscription is taken up again: the first, doubled each time, and the most."""


@dataclass(eq=False, slots=True)
class _Watcher:
    """A client that listens. uris: by the pid of the upstream that has them. late: it was told that it is."""

    at: Seat
    era: Era
    wanted: Mapping[str, Any]
    listener: Listener
    uris: dict[str, list[str]]
    late: bool = False
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def hear(self, method: str, params: Params, server: Era) -> None:
        if method in LIST_CHANGED and not self.wanted.get(LIST_CHANGED[method]):
            return
        if method == "notifications/message" and self.era is Era.MODERN:
            return  # There is none outside of a request.
        told = translate.notification(method, params, server=server, client=self.era)
        if told is not None:
            self.listener(*told)


@dataclass(eq=False, slots=True)
class _Heard:
    """What is heard on one link, and by whom."""

    seats: dict[SeatKey, None]
    wanted: frozenset[str] = frozenset()
    stop: Callable[[], None] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Watches:
    """All of them. changed: told `(seat, upstream's pid, notification)` of every list that changed."""

    def __init__(self, reach: Reach, tasks: TaskSupervisor, changed: Callable[[SeatKey, str, str], None]) -> None:
        self._reach, self._tasks, self._changed = reach, tasks, changed
        self._links: WeakKeyDictionary[Link, _Heard] = WeakKeyDictionary()
        self._watchers: dict[SeatKey, list[_Watcher]] = {}

    async def attach(self, at: Seat, upstream: UpstreamInfo, link: Link) -> bool:
        """Hear a link, unless it is heard already. Whether it tells when its lists change. Never fails.

        A modern server is only listened to while a client wants it, since that takes a stream of its own.
        """
        heard = self._links.get(link)
        if heard is None:
            heard = self._links.setdefault(link, _Heard({}))
        heard.seats[at.key] = None
        if len(heard.seats) > MAX_SEATS:
            del heard.seats[next(iter(heard.seats))]
        modern = link.server.era is Era.MODERN
        wanted = frozenset(
            flag
            for flag in LIST_CHANGED.values()
            if _tells(link.server.capabilities, flag) and (not modern or self._wished(at.key, flag))
        )
        if wanted <= heard.wanted:
            return bool(heard.wanted)
        async with heard.turn:  # Nobody takes for heard what only begins to be.
            if wanted <= heard.wanted:
                return True
            wanted |= heard.wanted
            try:
                async with asyncio.timeout(ATTACH_SECONDS):
                    stop = await link.listen(dict.fromkeys(wanted, True), self._listener(upstream, link, heard))
            except (RpcError, LinkClosed, TimeoutError):
                return bool(heard.wanted)
            if heard.stop is not None:
                heard.stop()
            heard.stop, heard.wanted = stop, wanted
            return True

    async def listen(
        self, at: Seat, era: Era, wanted: Mapping[str, Any], uris: Mapping[str, Sequence[str]], listener: Listener
    ) -> Callable[[], None]:
        """Tell a client what it wants to hear, until the answer is called. uris: of resources, by upstream's pid.

        RpcError when a resource cannot be subscribed to.
        """
        watcher = _Watcher(at, era, wanted, listener, {pid: list(found) for pid, found in uris.items()})
        self._watchers.setdefault(at.key, []).append(watcher)

        def stop() -> None:
            self._end(watcher)
            left = self._watchers.get(at.key, [])
            if watcher in left:
                left.remove(watcher)
            if not left:
                self._watchers.pop(at.key, None)
                self._hush(at.key)

        try:
            await self._begin(watcher)
        except BaseException:
            stop()
            raise
        return stop

    def workspace_changed(self, workspace: WorkspaceInfo) -> None:
        """Tell its clients to look again, and take their subscriptions to the servers that it has now."""
        for key in [key for key in self._watchers if key[0] == workspace.id]:
            for watcher in self._watchers[key]:
                self._end(watcher)
                if workspace.status is not Status.ACTIVE:
                    continue
                watcher.at = replace(watcher.at, workspace=workspace)
                self._hold_all(watcher)
                for method in LIST_CHANGED:
                    watcher.hear(method, {}, watcher.era)

    def _listener(self, upstream: UpstreamInfo, link: Link, heard: _Heard) -> Listener:
        era = link.server.era

        def listener(method: str, params: Params) -> None:
            if method == UPDATED:
                return  # Each subscription has a listener of its own.
            for key in list(heard.seats):
                if method in LIST_CHANGED:
                    self._changed(key, upstream.pid, method)
                for watcher in list(self._watchers.get(key, ())):
                    watcher.hear(method, params, era)

        return listener

    def _wished(self, key: SeatKey, flag: str) -> bool:
        return any(watcher.wanted.get(flag) for watcher in self._watchers.get(key, ()))

    async def _begin(self, watcher: _Watcher) -> None:
        attaching: list[asyncio.Task[None]] = []
        if any(watcher.wanted.get(flag) for flag in LIST_CHANGED.values()):
            attaching = [self._tasks.spawn(self._attach_one(watcher, one), "listen") for one in watcher.at.upstreams]
            watcher.tasks.extend(attaching)
        holds = self._hold_all(watcher)
        try:
            for ready in holds:
                await ready
        finally:
            for ready in holds:
                ready.cancel()
        if attaching:
            await asyncio.wait(attaching, timeout=AT_FIRST)
        watcher.late = True

    async def _attach_one(self, watcher: _Watcher, upstream: UpstreamInfo) -> None:
        with contextlib.suppress(RpcError):  # It is away: heard of when it is used again.
            async with self._reach.lease(watcher.at, upstream) as link:
                if not await self.attach(watcher.at, upstream, link):
                    return
                if watcher.late and link.server.era is Era.MODERN:
                    # It tells nothing of what changed before it was asked to.
                    for method in LIST_CHANGED:
                        watcher.hear(method, {}, watcher.era)

    def _hold_all(self, watcher: _Watcher) -> list[asyncio.Future[None]]:
        holds = []
        for upstream in watcher.at.upstreams:
            if found := watcher.uris.get(upstream.pid):
                ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                ready.add_done_callback(_seen)
                watcher.tasks.append(self._tasks.spawn(self._hold(watcher, upstream, found, ready), "subscription"))
                holds.append(ready)
        return holds

    async def _hold(
        self, watcher: _Watcher, upstream: UpstreamInfo, uris: Sequence[str], ready: asyncio.Future[None]
    ) -> None:
        pause, most = AGAIN
        while True:
            try:
                async with self._reach.lease(watcher.at, upstream) as link:
                    hear = partial(_updated, watcher, link.server.era)
                    stop = await link.listen({"resourceSubscriptions": list(uris)}, hear)
                    try:
                        pause = AGAIN[0]
                        if not ready.done():
                            ready.set_result(None)
                        await link.wait_closed()
                    finally:
                        stop()
            except (RpcError, LinkClosed, TimeoutError) as error:
                if not ready.done():
                    ready.set_exception(self._told(watcher, upstream, uris, error))
                    return
            await asyncio.sleep(pause)
            pause = min(most, pause * 2)

    def _told(self, watcher: _Watcher, upstream: UpstreamInfo, uris: Sequence[str], error: BaseException) -> RpcError:
        """Why a resource cannot be subscribed to, in the client's era."""
        if not isinstance(error, RpcError):
            return gone(upstream, error)
        server = self._reach.era(upstream) or watcher.era
        asked = {"uri": uris[0]} if len(uris) == 1 else {}
        return translate.error("resources/subscribe", error, asked, server=server, client=watcher.era)

    def _hush(self, key: SeatKey) -> None:
        """Nobody of a seat listens any more: a modern server's stream ends when nobody else does."""
        for link, heard in list(self._links.items()):
            if heard.stop is None or link.server.era is Era.LEGACY or key not in heard.seats:
                continue
            if not any(seat in self._watchers for seat in heard.seats):
                heard.stop()
                heard.stop, heard.wanted = None, frozenset()

    def _end(self, watcher: _Watcher) -> None:
        for task in watcher.tasks:
            task.cancel()
        watcher.tasks.clear()


def _updated(watcher: _Watcher, era: Era, method: str, params: Params) -> None:
    if method == UPDATED:
        watcher.hear(method, params, era)


def _tells(capabilities: Mapping[str, Any], flag: str) -> bool:
    group = capabilities.get(flag.removesuffix("ListChanged"))
    return isinstance(group, Mapping) and group.get("listChanged") is True


def _seen(ready: asyncio.Future[None]) -> None:
    """Take note of a failure that nobody waited for."""
    if not ready.cancelled():
        ready.exception()
