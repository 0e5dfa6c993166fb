"""What a Docker engine tells of our containers: one stream of events for all who wait, made anew when it breaks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import structlog

from moorage.runtimes.docker_stream import BadAnswer, ask, ask_json

FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
"""Seconds between two tries to reach an engine that is away; doubled each time."""
_log = structlog.get_logger("moorage.runtimes.docker")


class Listener:
    """Somebody who waits for one thing. changed: set by an event of it, and when the stream was made anew.

    exit_code: what an exec's event said of its end.
    """

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.exit_code: int | None = None

    async def wait(self, seconds: float) -> None:
        """Return when something happened, or after so many seconds; the next call waits anew."""
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            return
        self.changed.clear()


class Watcher:
    """Follows the events of the containers that bear a label.

    label: "key=value". timeout: seconds for the engine to begin its answer. connected: is called each time that the
    stream has been (re)made.
    """

    def __init__(self, url: str, label: str, timeout: float, connected: Callable[[], None]) -> None:
        self._url, self._label, self._timeout, self._connected = url, label, timeout, connected
        self._listeners: dict[str, set[Listener]] = {}
        self._task: asyncio.Task[None] | None = None
        self._since = 0

    def start(self) -> None:
        """Begin; tries for as long as it takes."""
        self._task = asyncio.create_task(self._run(), name="docker events")

    async def stop(self) -> None:
        """End it, and wake all who wait."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self._wake_all()

    @contextmanager
    def listen(self, thing: str) -> Iterator[Listener]:
        """Hear of a container (by its name) or an exec (by its id) within the context."""
        listener = Listener()
        self._listeners.setdefault(thing, set()).add(listener)
        try:
            yield listener
        finally:
            others = self._listeners.get(thing, set())
            others.discard(listener)
            if not others:
                self._listeners.pop(thing, None)

    def _wake_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.changed.set()

    async def _run(self) -> None:
        delay, away = FIRST_DELAY, False
        while True:
            try:
                async for event in self._stream():
                    if event is None:
                        if away:
                            _log.info("the docker engine is back", url=self._url)
                        delay, away = FIRST_DELAY, False
                        self._wake_all()
                        self._connected()
                    else:
                        self._take(event)
            except (OSError, EOFError, BadAnswer, ValueError) as error:
                if not away:
                    _log.warning("the docker engine is away", url=self._url, reason=f"{type(error).__name__}: {error}")
                away = True
            except Exception:
                _log.exception("the docker engine's events cannot be read", url=self._url)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _stream(self) -> AsyncIterator[Any]:
        """None once it is there, then the events."""
        filters = json.dumps({"type": ["container"], "label": [self._label]})
        since = self._since or int(time.time())
        async with asyncio.timeout(self._timeout):
            # An engine that just starts listens before it answers; this one does.
            await ask_json(self._url, "/version")
            # The engine says "200" before it listens to itself: what happened between is asked for by the time.
            answer = await ask(self._url, "GET", f"/events?since={since}&filters={quote(filters)}")
        async with answer:
            yield None
            async for line in answer.lines():
                yield json.loads(line)

    def _take(self, event: Any) -> None:
        if not isinstance(event, dict) or event.get("Type") != "container":
            return
        attributes = (event.get("Actor") or {}).get("Attributes") or {}
        self._since = max(self._since, int(event.get("time") or 0))
        action = str(event.get("Action", ""))
        if action in ("die", "died", "destroy", "remove", "stop", "oom"):
            self._tell(str(attributes.get("name", "")), None)
        elif action in ("exec_die", "exec_died"):
            code = str(attributes.get("exitCode", ""))
            self._tell(str(attributes.get("execID", "")), int(code) if code.isdigit() else None)

    def _tell(self, thing: str, exit_code: int | None) -> None:
        for listener in self._listeners.get(thing, ()):
            listener.exit_code = exit_code
            listener.changed.set()
