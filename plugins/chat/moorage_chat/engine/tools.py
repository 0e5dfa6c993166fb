"""The tools of one answer: offered to the model, used as it asks, and what they say handed back for its next round.

A model asks for calls instead of answering, and is asked again with what they gave, until it answers. Everything about
that is bounded: rounds, calls, their time and what they may say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from moorage.api import Hub, MoorageError, ToolAnswer, ToolSet

from moorage_chat.config import ChatConfig
from moorage_chat.engine.bounded import run_bounded
from moorage_chat.engine.toolbox import Offer, Toolbox
from moorage_chat.engine.toolcalls import PART, RESULT, Collector, ToolCall, answered, asked, use
from moorage_chat.providers.base import Ask, ErrorCode, ProviderError, ToolFragment
from moorage_chat.store.text import sound

Tell = Callable[[str, Mapping[str, Any]], None]
"""Writes an event into the generation's log: (type, data without the generation's id)."""

AT_ONCE = 8
"""Calls of one answer that run at the same time."""
MAX_RUN = 32
"""Calls of one round that are run; a model that wants more is told so."""
MAX_SAID = 400_000
"""Characters that all tools together may say within one answer: all of it is kept with the message."""
_BROKEN = frozenset({"length", "content_filter"})
"""Reasons of an end at which calls may be half ones."""


class ToolLoop:
    """Of one generation. Used so, by its task:

        await loop.open()
        ask = loop.begin(ask)
        while True:
            … provider's pieces: loop.take(fragment), text …
            if not loop.wanted(finish_reason):
                break
            ask = await loop.next(ask, text_of_this_round, characters_of_the_answer_so_far)
        parts = loop.parts

    tell: hears `status` (what is not there), `tool_call` and `tool_result`.
    """

    def __init__(self, hub: Hub, config: ChatConfig, box: Toolbox, sets: Sequence[ToolSet], tell: Tell) -> None:
        self._hub, self._config, self._box, self._sets, self._tell = hub, config, box, sets, tell
        self._offer = Offer({})
        self._number = 0
        self._collector = Collector(0)
        self._rounds: list[dict[str, Any]] = []
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._left = MAX_SAID

    async def open(self, *, able: bool = True) -> None:
        """Ask the sets what they have. What cannot be had is told, and the answer goes on without it.

        able: whether the provider's models can call tools.
        """
        if not self._sets or not self._config.max_tool_rounds:
            return
        if able:
            self._offer = await self._box.offer(self._sets)
        else:
            self._offer = Offer({}, [(one, "The provider's models cannot use tools") for one in self._sets])
        if self._offer.away or self._offer.left_out:
            away = [{"id": one.id, "label": one.label, "message": why} for one, why in self._offer.away]
            told = {"status": "tools", "unavailable": away, "left_out": self._offer.left_out}
            self._tell("status", told)

    def begin(self, ask: Ask) -> Ask:
        """The first question, with the tools."""
        specs = [one.spec() for one in self._offer.tools.values()]
        return replace(ask, tools=specs, tool_choice=ask.tool_choice or "auto") if specs else ask

    @property
    def offers(self) -> bool:
        """Whether there is any tool."""
        return bool(self._offer.tools)

    def take(self, fragment: ToolFragment) -> None:
        """Some more of a call. ProviderError when there is too much."""
        self._collector.take(fragment)

    def wanted(self, reason: str) -> bool:
        """Whether the round that has ended for this reason asks for calls, which `next` makes."""
        # Some servers say "stop" where they mean "tool_calls"; and without tools nothing can be called.
        return len(self._collector) > 0 and reason not in _BROKEN and self.offers

    @property
    def parts(self) -> dict[str, Any]:
        """What is kept with the answer's message: {} when nothing was used."""
        return {PART: self._rounds} if self._rounds else {}

    async def next(self, ask: Ask, text: str, until: int) -> Ask:
        """Make the calls of the round that has ended; the question for the next one.

        text: what the model said in it. until: characters of the whole answer so far. ProviderError (TOOL_LIMIT) when
        the model goes on calling after it was told to stop. When cancelled, the calls are, too.
        """
        calls = self._collector.calls()
        self._number += 1
        self._collector = Collector(self._number)
        spent = self._number > self._config.max_tool_rounds
        if self._number > self._config.max_tool_rounds + 1:
            raise ProviderError(ErrorCode.TOOL_LIMIT, f"{self._number} rounds of tool calls")
        kept = [self._announced(call) for call in calls]
        self._rounds.append({"until": until, "calls": kept})
        await asyncio.gather(
            *[self._use(call, kept[n], allowed=n < MAX_RUN and not spent) for n, call in enumerate(calls)]
        )
        messages = [*ask.messages, asked(text, kept), *map(answered, kept)]
        last = self._number >= self._config.max_tool_rounds
        return replace(ask, messages=messages, tool_choice="none" if last else "auto")

    def _announced(self, call: ToolCall) -> dict[str, Any]:
        """Tell that a call begins; what is kept of it, until it is over as one that was broken off."""
        offered = self._offer.tools.get(call.name)
        arguments = call.object()
        shown: dict[str, Any] = {"id": call.id, "set": offered.set.id if offered else "", "tool": call.name}
        shown["arguments"] = arguments or {}
        self._tell("tool_call", shown)
        return use(shown)

    async def _use(self, call: ToolCall, kept: dict[str, Any], *, allowed: bool) -> None:
        began = time.monotonic()
        if allowed:
            async with self._turns:
                began = time.monotonic()
                answer = await self._answer(call)
        else:
            answer = ToolAnswer("Not used: no more tools may be used for this answer. Answer now.", is_error=True)
        text, seconds = self._cut(answer.text), round(time.monotonic() - began, 3)
        kept.update({"text": text, "is_error": answer.is_error, "seconds": seconds})
        self._box.count(kept["set"], is_error=answer.is_error)
        self._tell("tool_result", {key: kept[key] for key in RESULT})

    async def _answer(self, call: ToolCall) -> ToolAnswer:
        """What the tool says; whatever goes wrong is an answer, too, so that the model can do something about it."""
        offered = self._offer.tools.get(call.name)
        if offered is None:
            return ToolAnswer(f"There is no tool {call.name[:64]}", is_error=True)
        arguments = call.object()
        if arguments is None:
            return ToolAnswer("The arguments are not a JSON object", is_error=True)
        seconds = self._config.tool_timeout
        try:
            work = _call(offered.set, offered.tool.name, arguments)
            return await run_bounded(self._hub.tasks, work, seconds, f"tool of {offered.set.id}")
        except MoorageError as error:
            return ToolAnswer(error.message, is_error=True)
        except TimeoutError:
            return ToolAnswer(f"The tool did not answer within {seconds:g} seconds", is_error=True)
        except Exception:
            self._hub.log.exception("a tool failed", set=offered.set.id)
            return ToolAnswer("The tool failed", is_error=True)

    def _cut(self, text: str) -> str:
        """What a tool said, as far as it is kept and sent."""
        text = sound(str(text))
        most = min(self._config.max_tool_answer, self._left)
        self._left -= min(len(text), most)
        if len(text) <= most:
            return text
        return f"{text[:most]}\n[{len(text) - most} more characters are left out]"


async def _call(one: ToolSet, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
    answer = await one.call(name, arguments)
    if not isinstance(answer, ToolAnswer):
        raise TypeError(f"{one.id} answered a {type(answer).__name__}")
    return answer
