"""A generation that runs on this server: what it has said, who watches it, and why it is to stop."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from moorage.api import Actor, ToolSet

from moorage_chat.engine.answer import Answer
from moorage_chat.engine.log import DELTA, REASONING, EventLog
from moorage_chat.engine.tools import ToolLoop
from moorage_chat.limits import Admission
from moorage_chat.records import Conversation, Generation
from moorage_chat.store.text import sound_json

FIRST_WATCHER = 5.0
"""Seconds in which whoever has begun an answer is to follow it; until then it counts as watched."""
AWAY_AFTER = 15.0
"""Seconds after which a watcher on another server that has said nothing more is gone."""


@dataclass(frozen=True, slots=True)
class GenerationOptions:
    """How to answer; None: as the conversation has it, or the settings. tool_sets: ids of `ToolSet`s."""

    provider_id: str | None = None
    model: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    tool_sets: tuple[str, ...] | None = None

    def stored(self) -> dict[str, Any]:
        """As JSON, without what was not said; where it is answered is kept elsewhere."""
        found = {name: getattr(self, name) for name in ("temperature", "top_p", "max_tokens")}
        found["tool_sets"] = None if self.tool_sets is None else list(self.tool_sets)
        return {name: value for name, value in found.items() if value is not None}


class Stop(enum.Enum):
    """Why a generation is to stop."""

    CANCELED = enum.auto()
    """Somebody stopped it, or asked for another answer; nobody watched it any more, or the right to it ended."""
    TIME = enum.auto()
    """It took longer than it may."""
    ENDING = enum.auto()
    """The server, or the plugin, ends."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a generation begins with. answered: the id of the message that it answers."""

    generation: Generation
    conversation: Conversation
    actor: Actor
    options: GenerationOptions
    answered: int
    tool_sets: Sequence[ToolSet]
    admission: Admission


class Live:
    """One generation of this server. Used from the event loop.

    noted: called with each event. left: called each time that nobody watches it any more.
    ended: set once all is stored and told; alone: while nobody on this server follows it.
    """

    def __init__(self, start: Start, noted: Callable[[str, EventLog], None], left: Callable[[Live], None]) -> None:
        self.generation, self.conversation, self.actor = start.generation, start.conversation, start.actor
        self.options, self.answered, self.tool_sets = start.options, start.answered, start.tool_sets
        self.admission = start.admission
        self.log, self.answer = EventLog(), Answer()
        self.tools: ToolLoop | None = None
        self.finish_reason = "stop"
        """The provider's own, where it is not a plain end: "length"."""
        self.asked = False
        """Whether a provider may have been asked, and may bill it."""
        self.stopping: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self.closed = False
        self.ended, self.alone = asyncio.Event(), asyncio.Event()
        self.alone.set()
        self.begun = monotonic()
        self.spoken = False
        """Whether anything has come of it."""
        self._noted, self._left = noted, left
        self._watchers = 0
        self._remote: dict[str, float] = {}
        self._followed = False

    @property
    def id(self) -> str:
        """Its UUID."""
        return self.generation.id

    def parts(self) -> dict[str, Any]:
        """What is stored with the message beside its text."""
        found = dict(self.tools.parts) if self.tools is not None else {}
        if reasoning := self.answer.reasoning.text():
            found["reasoning"] = reasoning
        if self.finish_reason != "stop":
            found["finish_reason"] = self.finish_reason
        cleaned: dict[str, Any] = sound_json(found)
        return cleaned

    # -- what it says -------------------------------------------------------------------------------------------

    def tell(self, type: str, data: Mapping[str, Any]) -> None:
        """Add an event. CancelledError when it is over: what still comes of a provider is not heard any more."""
        if self.closed:
            raise asyncio.CancelledError
        self.log.add(type, data if type in (DELTA, REASONING) else sound_json(data))
        self._noted(self.id, self.log)

    def stop(self, why: Stop) -> None:
        """Let it end soon. The first reason counts."""
        if not self.stopping.done():
            self.stopping.set_result(why)

    async def over(self, timeout: float) -> None:
        """Return once it has ended, or after `timeout` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.ended.wait()

    @property
    def why(self) -> Stop | None:
        """Why it is to stop; None while it is not."""
        return self.stopping.result() if self.stopping.done() else None

    # -- who watches it -----------------------------------------------------------------------------------------

    @property
    def watched(self) -> bool:
        """Whether somebody sees it: here, on another server, or at any moment."""
        if self._watchers or (not self._followed and monotonic() - self.begun < FIRST_WATCHER):
            return True
        now = monotonic()
        self._remote = {who: at for who, at in self._remote.items() if now - at < AWAY_AFTER}
        return bool(self._remote)

    def watch(self) -> None:
        """One more watches it."""
        self._watchers += 1
        self._followed = True
        self.alone.clear()

    def unwatch(self) -> None:
        """One less."""
        self._watchers -= 1
        if not self._watchers:
            self.alone.set()
        self.look()

    def watch_from(self, who: str, *, left: bool) -> None:
        """A watcher on another server is there still, or has left."""
        self._followed = True
        if left:
            self._remote.pop(who, None)
            self.look()
        else:
            self._remote[who] = monotonic()

    def look(self) -> None:
        """Say so if nobody watches it."""
        if not self.ended.is_set() and not self.watched:
            self._left(self)
