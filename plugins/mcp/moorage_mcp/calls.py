"""Calls: what was asked of a workspace's servers, by whom, and how it ended. Kept for the owner to read."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import hashlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from moorage.api import Hub, MoorageError

from moorage_mcp.config import McpConfig
from moorage_mcp.models import McpCall

MAX_WAITING = 10_000
"""Calls that are not written down yet; what comes on top is dropped and counted."""
AT_ONCE = 250
"""Rows of one statement."""
PAUSE = 0.2
"""Seconds in which calls gather before they are written."""
RETRY = 2.0
"""Seconds until a database that was away is tried again."""
FLUSH_SECONDS = 5.0
CLEAN_EVERY = 3600.0
MAX_ARGUMENTS = 16 * 1024
"""Bytes of arguments that are kept; of longer ones a digest is."""
MAX_DURATION = 1e9
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Outcome(enum.StrEnum):
    """How a call ended."""

    OK = "ok"
    TOOL_ERROR = "tool_error"
    """The tool says that it failed: a result with `isError`."""
    ERROR = "error"
    """The server answered with an error, or could not be reached."""
    DENIED = "denied"
    """The gateway did not let it through: rights, rules, limits, wrong parameters."""
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    INPUT_REQUIRED = "input_required"
    """The server asks the client something first; the client comes back with another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One call. credential: as "api_key:12". tool: its name, or the prompt's, or a resource's URI; as clients see it.

    upstream: the server's name in the workspace; None when none was chosen. client: what it says of itself.
    arguments: as they were sent; kept as `keep_arguments` says. error: a line for people. duration_ms: until the end.
    """

    workspace_id: int
    user_id: int
    credential: str
    method: str
    tool: str | None = None
    upstream: str | None = None
    client: str | None = None
    arguments: Mapping[str, Any] | None = field(default=None, repr=False)
    outcome: Outcome
    error: str | None = None
    duration_ms: float
    request_id: str | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Calls:
    """Writes calls down, some at a time, and shows them. Use it from the event loop."""

    def __init__(self, hub: Hub, config: McpConfig) -> None:
        self._hub, self._config = hub, config
        self._waiting: deque[McpCall] = deque()
        self._writing = 0
        self._some, self._none, self._hurry = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._none.set()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        metrics = hub.metrics
        self._count = metrics.counter("calls_total", "What was asked of MCP servers, by how it ended", ["outcome"])
        self._seconds = metrics.loop_histogram(
            "call_seconds", "From a call's coming to its end", ["outcome"], buckets=BUCKETS
        )
        self._dropped = metrics.counter("calls_dropped_total", "Calls that were not written down")
        # One of each from the start: what never happened is 0 and not missing.
        self._by_outcome = {one: (self._count.labels(one.value), self._seconds.labels(one.value)) for one in Outcome}

    def start(self) -> None:
        """Begin to write. Once, in the plugin's start."""
        self._task = self._hub.tasks.spawn(self._write_on(), "calls")
        self._hub.tasks.spawn(self._clean_on(), "calls-clean")

    async def close(self) -> None:
        """Write what waits, for some seconds at most; the rest is dropped and counted."""
        self._closing = True
        self._some.set()
        self._hurry.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=FLUSH_SECONDS)
        if left := len(self._waiting) + self._writing:
            self._dropped.inc(left)
            self._hub.log.error("calls were not written down", calls=left)

    def record(self, call: CallRecord) -> None:
        """Note a call. Never waits, never fails."""
        counted, seconds = self._by_outcome[call.outcome]
        counted.inc()
        seconds.observe(call.duration_ms / 1000)
        if self._closing or len(self._waiting) >= MAX_WAITING:
            self._dropped.inc()
            return
        self._waiting.append(self._row(call))
        self._none.clear()
        self._some.set()

    async def written(self, timeout: float = 1.0) -> None:
        """Wait until what was recorded so far can be read; not longer than that, in seconds."""
        self._hurry.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._none.wait()

    async def page(
        self,
        workspace_id: int,
        *,
        offset: int,
        limit: int,
        outcome: Outcome | None = None,
        tool: str | None = None,
    ) -> tuple[list[McpCall], int]:
        """Calls of a workspace, newest first, and how many there are in all. tool: its whole name."""
        await self.written()
        query = McpCall.filter(workspace_id=workspace_id)
        if outcome is not None:
            query = query.filter(outcome=outcome.value)
        if tool is not None:
            query = query.filter(tool=tool)
        return await query.order_by("-id").offset(offset).limit(limit), await query.count()

    # -- how ----------------------------------------------------------------------------------------------------

    def _row(self, call: CallRecord) -> McpCall:
        return McpCall(
            workspace_id=call.workspace_id,
            user_id=call.user_id,
            credential=_cut(call.credential, 64),
            method=_cut(call.method, 64),
            tool=_cut(call.tool, 256),
            upstream=_cut(call.upstream, 32),
            client=_cut(call.client, 128),
            arguments=self._kept(call.arguments),
            outcome=call.outcome.value,
            error=_cut(call.error, 512),
            duration_ms=round(min(max(call.duration_ms, 0.0), MAX_DURATION), 3),
            request_id=_cut(call.request_id, 64),
            at=call.at,
        )

    def _kept(self, arguments: Mapping[str, Any] | None) -> str | None:
        if arguments is None or self._config.keep_arguments == "none":
            return None
        try:
            text = json.dumps(arguments, sort_keys=True, separators=(",", ":"))
        except RecursionError:  # It could be read, from a little less deep in the stack.
            return "nested too deeply"
        if self._config.keep_arguments == "full" and len(text) <= MAX_ARGUMENTS:
            return text
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    async def _write_on(self) -> None:
        away = False
        while not (self._closing and not self._waiting):
            await self._some.wait()
            if not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE):
                        await self._hurry.wait()
            self._hurry.clear()
            try:
                await self._write()
                away = False
            except Exception as error:
                if not away:
                    reason = error.message if isinstance(error, MoorageError) else f"{type(error).__name__}: {error}"
                    self._hub.log.error("calls cannot be written down now", reason=reason)
                away = True
                await asyncio.sleep(RETRY)

    async def _write(self) -> None:
        while self._waiting:
            rows = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            self._writing = len(rows)
            try:
                async with self._hub.db.transaction():
                    await McpCall.bulk_create(rows)
            except BaseException:
                self._waiting.extendleft(reversed(rows))
                raise
            finally:
                self._writing = 0
        self._some.clear()
        self._none.set()

    async def _clean_on(self) -> None:
        while True:
            try:
                await self.clean()
            except Exception as error:
                self._hub.log.error("old calls cannot be removed now", reason=str(error))
            await asyncio.sleep(CLEAN_EVERY)

    async def clean(self, seconds: float = 60.0) -> int:
        """Remove calls that are older than they are kept for; how many. Some at a time, and not longer than that."""
        before, until, removed = datetime.now(UTC) - timedelta(days=self._config.keep_calls_days), monotonic(), 0
        until += seconds
        while monotonic() < until:
            old = await McpCall.filter(at__lt=before).order_by("at").limit(AT_ONCE).values_list("id", flat=True)
            if not old:
                break
            removed += await McpCall.filter(id__in=list(old)).delete()
            await asyncio.sleep(0)
        return removed


def _cut(text: Any, length: int) -> Any:
    """Text as the database takes it (PostgreSQL has no NUL, and no half of a surrogate pair), on one line."""
    if text is None:
        return None
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text)[:length])
