"""What the servers of a workspace list, gathered, kept for a while, and dropped when a server says that it changed.

Kept per workspace, its version, and seat: another user's, or another kind of client's, may be another list.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from time import monotonic
from typing import Any

import structlog
from moorage.api import TaskSupervisor

from moorage_mcp.config import McpConfig
from moorage_mcp.gateway import names
from moorage_mcp.gateway.asking import Nobody
from moorage_mcp.gateway.caller import refused
from moorage_mcp.gateway.listening import Watches
from moorage_mcp.gateway.names import Entry
from moorage_mcp.gateway.reach import Reach, Seat, SeatKey, gone
from moorage_mcp.gateway.translate import LISTS
from moorage_mcp.links.base import Link, LinkClosed
from moorage_mcp.records import UpstreamInfo
from moorage_mcp.wire import jsonrpc
from moorage_mcp.wire.eras import Era
from moorage_mcp.wire.jsonrpc import RpcError
from moorage_mcp.wire.methods import LIST_CHANGED

MAX_PAGES = 100
MAX_ITEMS = 5000
"""Of one upstream."""
MAX_SHELVES = 2000
MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Of all lists that are kept, as JSON."""
ROUTE_SECONDS = 60.0
"""For so long a list is good enough to find a server by."""
AGAIN_SECONDS = 1.0
"""A name that is not there, or a server that was away, is not asked about more often."""
_KEPT_AT_MOST = 600.0

_log = structlog.get_logger("moorage.mcp")
_Flight = tuple[SeatKey, int, str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """What one upstream lists. problem: why it is not known now; items are then those that were known last.

    extra: what else was in the answer's first page. until: when it is too old to be shown, on the monotonic clock.
    """

    upstream: UpstreamInfo
    items: tuple[Mapping[str, Any], ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    era: Era = Era.LEGACY
    problem: RpcError | None = None
    at: float = 0.0
    until: float = 0.0
    size: int = 0
    info: Mapping[str, Any] = field(default_factory=dict)
    """What the server calls itself."""
    lacks: bool = False
    """The server does not have this kind of thing at all."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What all of them list. entries: by the name that clients see; those of servers that are away too."""

    parts: tuple[Part, ...]
    entries: Mapping[str, Entry]

    def away(self) -> dict[str, RpcError]:
        """By upstream's name, why it is missing."""
        return {part.upstream.name: part.problem for part in self.parts if part.problem is not None}


@dataclass(eq=False, slots=True)
class _Shelf:
    parts: dict[tuple[str, str], Part] = field(default_factory=dict)
    """By method and upstream's pid."""
    entries: dict[str, Mapping[str, Entry]] = field(default_factory=dict)
    """By method."""


class Catalog:
    """The lists. clock: for tests."""

    def __init__(
        self,
        reach: Reach,
        tasks: TaskSupervisor,
        config: McpConfig,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._reach, self._tasks, self._config, self._clock = reach, tasks, config, clock
        self.watches = Watches(reach, tasks, self._changed)
        self._shelves: OrderedDict[tuple[SeatKey, int], _Shelf] = OrderedDict()
        self._size = 0
        self._flights: dict[_Flight, asyncio.Task[Part]] = {}

    async def listed(self, at: Seat, method: str, *, fresh: bool) -> Listed:
        """What is listed. fresh: to be shown, so no older than the servers allow; else to find a server by.

        One server that is away does not hide the others; RpcError when all are.
        """
        shelf = self._shelf(at)
        now = self._clock()
        upstreams = at.upstreams
        wanted = [
            upstream for upstream in upstreams if not self._good(shelf.parts.get((method, upstream.pid)), now, fresh)
        ]
        if wanted:
            await asyncio.gather(*(self._fetched(at, shelf, method, upstream) for upstream in wanted))
        parts = tuple(shelf.parts[method, upstream.pid] for upstream in upstreams)
        problems = [part.problem for part in parts if part.problem is not None]
        if problems and len(problems) == len(parts):
            raise problems[0]
        return Listed(parts, self._entries(shelf, method, parts))

    async def find(self, at: Seat, method: str, name: str) -> Entry | None:
        """Whose tool, prompt, resource or template that is. Asked again, once, before it is said that nobody's.

        Where it is known, nobody waits for another server that is away.
        """
        shelf = self._shelf(at)
        known = shelf.entries.get(method, {}).get(name)
        if known is not None and self._good(shelf.parts[method, known.upstream.pid], self._clock(), False):
            return known
        found = await self.listed(at, method, fresh=False)
        if name not in found.entries and min(part.at for part in found.parts) + AGAIN_SECONDS < self._clock():
            found = await self.listed(at, method, fresh=True)
        return found.entries.get(name)

    def away(self, at: Seat, method: str, name: str) -> RpcError | None:
        """Why a name that `find` did not find may be there all the same: the server that it would be of is away.

        That is the one whose prefix the name begins with, the longest where several fit.
        """
        fitting = [upstream for upstream in at.upstreams if name.startswith(upstream.prefix)]
        if not fitting:
            return None
        part = self._shelf(at).parts.get((method, max(fitting, key=lambda one: len(one.prefix)).pid))
        return part.problem if part is not None else None

    def part(self, at: Seat, method: str, upstream: UpstreamInfo) -> Part:
        """What is known of an upstream that `find` named."""
        return self._shelf(at).parts[method, upstream.pid]

    def age(self, part: Part) -> float:
        """Seconds since it was asked for."""
        return self._clock() - part.at

    def drop(self, workspace_id: int) -> None:
        """Forget what is known of a workspace's servers."""
        for key in [key for key in self._shelves if key[0][0] == workspace_id]:
            self._forget(key)

    def _good(self, part: Part | None, now: float, fresh: bool) -> bool:
        if part is None:
            return False
        if part.problem is not None:
            return not fresh and now < part.at + AGAIN_SECONDS
        return now < part.until or (not fresh and now < part.at + ROUTE_SECONDS)

    def _entries(self, shelf: _Shelf, method: str, parts: tuple[Part, ...]) -> Mapping[str, Entry]:
        if method not in shelf.entries:
            items = [(part.upstream, part.items) for part in parts]
            if method in ("tools/list", "prompts/list"):
                shelf.entries[method] = names.named(items)
            else:
                shelf.entries[method] = names.located(items, "uri" if method == "resources/list" else "uriTemplate")
        return shelf.entries[method]

    async def _fetched(self, at: Seat, shelf: _Shelf, method: str, upstream: UpstreamInfo) -> None:
        """Have one upstream asked, once for all who want to know. The asking goes on when one of them leaves."""
        key = (at.key, at.workspace.version, method, upstream.pid)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._tasks.spawn(self._fetch(at, upstream, method), "list")
            self._flights[key] = flight
            flight.add_done_callback(partial(self._landed, key))
        part = await asyncio.shield(flight)
        before = shelf.parts.get((method, upstream.pid))
        if part is before:
            return
        if part.problem is not None and before is not None:
            part = replace(before, upstream=upstream, extra={}, problem=part.problem, at=part.at, until=part.until)
        shelf.parts[method, upstream.pid] = part
        shelf.entries.pop(method, None)
        if self._shelves.get((at.key, at.workspace.version)) is shelf:
            self._size += part.size - (before.size if before else 0)
            self._shrink()

    def _landed(self, key: _Flight, flight: asyncio.Task[Part]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _fetch(self, at: Seat, upstream: UpstreamInfo, method: str) -> Part:
        """What one upstream lists. Never fails: what went wrong is in the answer."""
        several = len(at.upstreams) > 1
        seconds = self._config.start_timeout + (0 if several else self._config.call_timeout)
        try:
            async with asyncio.timeout(seconds), self._reach.lease(at, upstream) as link:
                if several and method.partition("/")[0] not in link.server.capabilities:
                    now = self._clock()
                    return Part(upstream, era=link.server.era, at=now, until=now + _KEPT_AT_MOST, lacks=True)
                tells = await self.watches.attach(at, upstream, link)
                return self._part(upstream, link, tells, *await self._pages(at, link, method))
        except RpcError as error:
            problem = error
            if several and problem.code == jsonrpc.METHOD_NOT_FOUND:
                return Part(upstream, at=self._clock(), lacks=True)
        except (LinkClosed, TimeoutError) as error:
            problem = gone(upstream, error)
        except Exception as error:  # A stranger's list: whatever is wrong with it, the others are shown.
            _log.warning("a server's list cannot be read", upstream=upstream.pid, reason=type(error).__name__)
            problem = refused(jsonrpc.INTERNAL_ERROR, "broken", f"{upstream.name}: the server's list cannot be read")
        return Part(upstream, problem=problem, at=self._clock())

    async def _pages(self, at: Seat, link: Link, method: str) -> tuple[list[Mapping[str, Any]], dict[str, Any], int]:
        """What it lists, what else was in the first page, and the bytes of both. RpcError when it is too much."""
        asker = Nobody(at.capabilities, at.client_info)
        member = LISTS[method]
        items: list[Mapping[str, Any]] = []
        extra: dict[str, Any] | None = None
        seen: set[str] = set()
        cursor: Any = None
        size = 0
        for _ in range(MAX_PAGES):
            page = await link.request(
                method, {} if cursor is None else {"cursor": cursor}, asker, timeout=self._config.call_timeout
            )
            found = page.get(member)
            if not isinstance(found, list):
                raise refused(jsonrpc.INTERNAL_ERROR, "broken", f"The server's answer to {method} has no `{member}`")
            items += [item for item in found if isinstance(item, dict)]
            size += len(json.dumps(found))
            if extra is None:
                extra = {key: value for key, value in page.items() if key not in (member, "nextCursor")}
                size += len(json.dumps(extra))
            if size > self._config.max_answer_bytes:
                raise refused(jsonrpc.INTERNAL_ERROR, "too_large", "The server's list is too long")
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str) or cursor in seen or len(items) > MAX_ITEMS:
                break
            seen.add(cursor)
        if len(items) > MAX_ITEMS:
            raise refused(jsonrpc.INTERNAL_ERROR, "too_large", f"The server lists more than {MAX_ITEMS} {member}")
        return items, extra or {}, size

    def _part(
        self,
        upstream: UpstreamInfo,
        link: Link,
        tells: bool,
        items: list[Mapping[str, Any]],
        extra: dict[str, Any],
        size: int,
    ) -> Part:
        now = self._clock()
        ttl = extra.get("ttlMs")
        kept = min(ttl, _KEPT_AT_MOST * 1000) / 1000 if isinstance(ttl, int | float) and ttl > 0 else 0.0
        if tells and link.server.era is Era.LEGACY:
            kept = _KEPT_AT_MOST
        return Part(upstream, tuple(items), extra, link.server.era, None, now, now + kept, size, link.server.info)

    # -- what is kept -------------------------------------------------------------------------------------------

    def _shelf(self, at: Seat) -> _Shelf:
        key = (at.key, at.workspace.version)
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = _Shelf()
            self._shrink()
        self._shelves.move_to_end(key)
        return shelf

    def _shrink(self) -> None:
        while len(self._shelves) > MAX_SHELVES or (self._size > MAX_KEPT_BYTES and len(self._shelves) > 1):
            self._forget(next(iter(self._shelves)))

    def _forget(self, key: tuple[SeatKey, int]) -> None:
        shelf = self._shelves.pop(key)
        self._size -= sum(part.size for part in shelf.parts.values())

    def _changed(self, key: SeatKey, pid: str, notification: str) -> None:
        """A server says that one of its lists is another now. Its names are good for finding it until it was asked."""
        group = LIST_CHANGED[notification].removesuffix("ListChanged") + "/"
        for (seat, _), shelf in self._shelves.items():
            if seat != key:
                continue
            for (method, upstream), part in list(shelf.parts.items()):
                if upstream == pid and method.startswith(group):
                    shelf.parts[method, upstream] = replace(part, at=-inf, until=-inf)
        for flight in [flight for flight in self._flights if flight[0] == key and flight[3] == pid]:
            del self._flights[flight]  # It may have asked before the change.
