"""One session's events: read from its OpenCode once, however many sockets show them."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from moorage.api import MoorageError, Unavailable, UpstreamError

from moorage_opencode.background import Background
from moorage_opencode.live import messages
from moorage_opencode.live.conversation import Conversation
from moorage_opencode.live.sse import EventParser
from moorage_opencode.live.translate import Translator
from moorage_opencode.opencode import OpenCode

if TYPE_CHECKING:
    from moorage.api import PreparedText

    from moorage_opencode.sessions import Live

MAX_EVENT = 8 * 1024 * 1024
FIRST_DELAY, LONGEST_DELAY, JITTER = 0.5, 30.0, 0.2
TRIES = 50
LOOK_AGAIN_SECONDS = 30.0
"""How often a session that does not run is looked at, should nobody tell that it does."""
SLICE = 0.02
"""Seconds of the server's time that a session's events may take at once. After more they wait for twice as long: it is
a program of somebody's who says them, as many and as large as it likes."""
_CONNECTED = "server.connected"
_log = structlog.get_logger("moorage.opencode")


class Subscriber(Protocol):
    """Who is shown a session's events."""

    def show(self, session_id: str, text: PreparedText) -> None:
        """Send a message; never waits."""
        ...

    def session(self, session_id: str) -> Live:
        """The session, as this subscriber may know it. NotFound, Forbidden."""
        ...


class Bridge:
    """From one session's OpenCode to its subscribers. It goes on until `close`, through ends and restarts."""

    def __init__(self, background: Background, opencode: OpenCode, session_id: str) -> None:
        self._background, self._opencode, self.session_id = background, opencode, session_id
        self.subscribers: set[Subscriber] = set()
        self.conversation = Conversation(opencode)
        self.connected = False
        self._translator = Translator(session_id)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to read."""
        self._task = self._background.spawn(self._run(), f"events:{self.session_id}")

    def close(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    def session_changed(self) -> None:
        """The session went into another state: do not wait any longer."""
        self._changed.set()

    def present(self) -> list[PreparedText]:
        """What one who comes now is told."""
        if not self.connected:
            return []
        return [self._encode({"type": "agent_connected"}), *map(self._encode, self._translator.present())]

    # Reading.

    async def _run(self) -> None:
        attempt = 0
        while True:
            self._changed.clear()
            if (live := self._live()) is None or live.upstream is None:
                attempt = 0
                await self._wait(LOOK_AGAIN_SECONDS)
                continue
            reason = await self._stream(live)
            if self.connected:
                attempt, self.connected = 0, False
                self._translator.forget_turns()
                self._tell({"type": "agent_disconnected", "reason": reason})
            attempt += 1
            if attempt > TRIES:
                self._tell({"type": "session_error", "error_type": "AgentUnreachable", "message": reason})
                self._changed.clear()
                await self._changed.wait()
                attempt = 0
                continue
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (attempt - 1))
            delay *= 1 + JITTER * random.random()  # noqa: S311 - so that many do not come at once
            if (live := self._live()) is not None and live.upstream is not None:
                self._tell({"type": "agent_reconnecting", "attempt": attempt, "delay_ms": round(delay * 1000)})
            await self._wait(delay)

    def _live(self) -> Live | None:
        """The session as a subscriber may know it: without any, nothing is read."""
        for subscriber in self.subscribers:
            try:
                return subscriber.session(self.session_id)
            except MoorageError:
                continue
        return None

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _stream(self, live: Live) -> str:
        """Read until the stream ends; returns why it did."""
        parser = EventParser(MAX_EVENT)
        try:
            async with aclosing(self._opencode.events(live)) as chunks:
                async for chunk in chunks:
                    left_out, began = parser.left_out, time.thread_time()
                    for payload in parser.feed(chunk):
                        await self._take(live, payload)
                    if parser.left_out > left_out:
                        self._tell({"type": "session_error", "error_type": "EventTooLarge", "message": _TOO_LARGE})
                    if (spent := time.thread_time() - began) > SLICE:
                        await asyncio.sleep(min(2 * spent, 2.0))
        except (Unavailable, UpstreamError) as error:
            return error.message
        except MoorageError as error:
            return f"OpenCode did not answer as expected: {error.message}"
        except Exception:
            _log.exception("events of a session failed", session=self.session_id)
            return "Internal server error"
        return "The stream of events ended"

    async def _take(self, live: Live, payload: bytes) -> None:
        try:
            event = json.loads(payload)
            kind, properties = event["type"], event["properties"]
        except (ValueError, KeyError, TypeError, RecursionError):
            _log.warning("an event of OpenCode is not of its form", session=self.session_id)
            return
        if not isinstance(kind, str) or not isinstance(properties, dict):
            return
        if kind == _CONNECTED:
            await self._prime(live)
        if kind == "session.deleted" and isinstance(properties.get("info"), dict):
            self.conversation.forget(str(properties["info"].get("id")))
        self._tell_all(self._translator.translate(kind, properties))

    async def _prime(self, live: Live) -> None:
        """Learn how things are. The stream is open already: what changes meanwhile comes after it."""
        sessions = await self.conversation.listed(live)
        self._translator.known(sessions)
        self.conversation.choose(sessions)
        states = await self._opencode.call(live, "GET", "/session/status")
        for session, status in (states if isinstance(states, dict) else {}).items():
            self._translator.translate("session.status", {"sessionID": session, "status": status})
        for path, kind in (("/permission", "permission.asked"), ("/question", "question.asked")):
            for waiting in await self._opencode.call(live, "GET", path) or ():
                if isinstance(waiting, dict):
                    self._translator.translate(kind, waiting)
        self.connected = True
        for text in self.present():
            self._show(text)

    # Telling.

    def _tell(self, message: dict[str, Any]) -> None:
        self._show(self._encode(message))

    def _tell_all(self, told: Iterable[dict[str, Any]]) -> None:
        if self.subscribers:
            for message in told:
                self._show(self._encode(message))

    def _encode(self, message: dict[str, Any]) -> PreparedText:
        return messages.encode({"type": message["type"], "session_id": self.session_id, **message})

    def _show(self, text: PreparedText) -> None:
        for subscriber in list(self.subscribers):
            subscriber.show(self.session_id, text)


_TOO_LARGE = "An event was too large to be passed on: get_messages shows what came of it"
