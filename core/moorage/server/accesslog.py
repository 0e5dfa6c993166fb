"""The access log and request metrics: cheap at the request, formatted in batches, without secrets."""

from __future__ import annotations

import asyncio
import json
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from moorage.context import RequestInfo
from moorage.observe.metrics import Metrics
from moorage.server.router import Entry

FLUSH_SECONDS = 0.25
BOUND = 20_000

Line = tuple[float, RequestInfo, int, int, float]


class _Writer:
    """Writes in a thread of its own: a pipe that nobody reads any more must not stop the server."""

    def __init__(self, lost: Callable[[int], None]) -> None:
        self._lost = lost
        self._batches: queue.Queue[tuple[TextIO, list[str]]] = queue.Queue(1)
        self._thread: threading.Thread | None = None

    def busy(self) -> bool:
        """True while the last batch waits to be written."""
        return self._batches.full()

    def write(self, stream: TextIO, lines: list[str]) -> None:
        """Hand over a batch. Only when not busy."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()
        self._batches.put_nowait((stream, lines))

    def _run(self) -> None:
        while True:
            stream, lines = self._batches.get()
            try:
                stream.write("".join(lines))
                stream.flush()
            except (OSError, ValueError):
                self._lost(len(lines))
            finally:
                self._batches.task_done()

    def finish(self, timeout: float) -> None:
        """Wait until all is written, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        with self._batches.all_tasks_done:
            while self._batches.unfinished_tasks and (left := deadline - time.monotonic()) > 0:
                self._batches.all_tasks_done.wait(left)


class AccessLog:
    """Counts every request and, if asked, writes a line for it. The path is the route's template, never the URL."""

    def __init__(self, metrics: Metrics, *, enabled: bool, as_json: bool, stream: TextIO | None = None) -> None:
        self.enabled, self.as_json = enabled, as_json
        # Without a standard output (`>&-`) Python has None there.
        self._stream: TextIO | None = stream or sys.stdout
        self._lines: deque[Line] = deque(maxlen=BOUND)
        self.seconds = metrics.loop_histogram(
            "http_request_seconds",
            "Time to answer a request, by route template; of an answer in pieces, until the first of them.",
            ("plugin", "route", "method", "status"),
        )
        self._dropped = metrics.counter("access_log_dropped", "Access log lines lost to a full buffer.")
        self._writer = _Writer(self._dropped.inc)

    @property
    def requests(self) -> int:
        """How many requests were answered since the start."""
        return self.seconds.count

    def observe(
        self, info: RequestInfo, entry: Entry | None, status: int, size: int, seconds: float, first: float
    ) -> None:
        """One finished request or socket. first: seconds until the answer's first piece; how long a stream was open
        says nothing of how fast the server is.
        """
        method = info.method
        if entry is None:
            child = self.seconds.labels("core", "unmatched", "other", str(status))
        else:
            key = (method, status)
            known = entry.counters.get(key)
            if known is None:
                known = entry.counters[key] = self.seconds.labels(entry.owner, entry.template, method, str(status))
            child = known
        if method != "WEBSOCKET" or status != 101:
            child.observe(first)
        if self.enabled:
            if len(self._lines) == BOUND:
                self._dropped.inc()
            self._lines.append((time.time(), info, status, size, seconds))

    async def run(self) -> None:
        """Write what has gathered, until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self.flush()

    def flush(self) -> None:
        """Hand on what has gathered, unless what was handed on before is not written yet."""
        if self._lines and self._stream is not None and not self._writer.busy():
            form: Callable[[Line], str] = _json_line if self.as_json else _plain_line
            self._writer.write(self._stream, [form(self._lines.popleft()) for _ in range(len(self._lines))])

    def close(self, timeout: float = 1.0) -> None:
        """Write what is left, if it can be written within `timeout` seconds."""
        self._writer.finish(timeout)
        self.flush()
        self._writer.finish(timeout)


def _json_line(line: Line) -> str:
    at, info, status, size, seconds = line
    record = {
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "event": "request",
        "request_id": info.id,
        "address": info.address,
        "user": info.actor.label,
        "method": info.method,
        "route": info.template or "unmatched",
        "plugin": info.plugin,
        "status": status,
        "bytes": size,
        "ms": round(seconds * 1000, 3),
    }
    return json.dumps(record, separators=(",", ":")) + "\n"


def _plain_line(line: Line) -> str:
    at, info, status, size, seconds = line
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return (
        f"{when} {info.address} {info.actor.label} {info.method} {info.template or 'unmatched'} "
        f"{status} {size} {seconds * 1000:.1f}ms {info.id}\n"
    )
