"""Runs generations: a provider is asked, its pieces become events, the end is stored before it is told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from moorage.api import Hub, MoorageError

from moorage_chat.config import ChatConfig
from moorage_chat.engine.closing import Closing, Fault
from moorage_chat.engine.journal import MAX_UNWRITTEN
from moorage_chat.engine.live import Live, Stop
from moorage_chat.engine.log import DELTA, REASONING, STATUS
from moorage_chat.engine.prompt import prompt
from moorage_chat.engine.toolbox import Toolbox
from moorage_chat.engine.tools import ToolLoop
from moorage_chat.figures import Figures
from moorage_chat.limits import estimate_prompt
from moorage_chat.providers import faults
from moorage_chat.providers.base import (
    Ask,
    ErrorCode,
    Finish,
    Piece,
    ProviderError,
    Reasoning,
    Text,
    ToolFragment,
    Usage,
)
from moorage_chat.providers.registry import Choice, Providers, Queued, Running, Switched
from moorage_chat.records import GenerationStatus, MessageStatus
from moorage_chat.store import generations
from moorage_chat.store.messages import Messages

CLOSE_SECONDS = 1.0
"""Seconds in which a provider must have let go of an answer that is to stop."""
BREATHE = 64
"""Pieces after which others have their turn, however fast a provider is."""
MAX_EVENTS = 500_000
"""Events of one answer."""
TOO_LONG = "The answer was longer than this server allows."
TOO_SLOW = "The answer took longer than this server allows."
NOT_STORED = "The server cannot write answers down at the moment."


@dataclass(frozen=True, slots=True)
class End:
    """How an answer ended. kept: as what its text is, if there is any."""

    status: GenerationStatus
    kept: MessageStatus
    fault: Fault | None = None


class _GoneTooFar(Exception):
    """An answer passes a bound."""


class Runner:
    """Runs generations, each in a task of its own."""

    def __init__(
        self,
        hub: Hub,
        config: ChatConfig,
        messages: Messages,
        providers: Providers,
        toolbox: Toolbox,
        closing: Closing,
        figures: Figures,
    ) -> None:
        self._hub, self._config, self._figures = hub, config, figures
        self._messages, self._providers, self._toolbox, self._closing = messages, providers, toolbox, closing

    async def run(self, live: Live) -> None:
        """From the first question to a provider until `done`. Whatever happens, it ends so."""
        work = self._hub.tasks.spawn(self._produce(live), f"answer {live.id}")
        timer = asyncio.get_running_loop().call_later(self._config.max_seconds, live.stop, Stop.TIME)
        try:
            waited: set[asyncio.Future[Any]] = {work, live.stopping}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            live.stop(Stop.ENDING)  # The server ends, and its tasks with it: what there is, is stored all the same.
        finally:
            timer.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=CLOSE_SECONDS)
        if not work.done():
            self._hub.log.error("a provider does not let go of an answer", provider=live.generation.provider)
        live.closed = True
        end = self._end(live, work)
        live.answer.end_round(billed=live.asked and (end.fault is None or live.answer.heard or not end.fault.free))
        await self._closing.close(live, end.status, end.kept, end.fault)

    def _end(self, live: Live, work: asyncio.Task[Fault | None]) -> End:
        if work.done() and not work.cancelled():
            fault = work.result()
            if fault is None:
                return End(GenerationStatus.OK, MessageStatus.COMPLETE)
            return End(GenerationStatus.ERROR, MessageStatus.PARTIAL, fault)
        if live.why is Stop.CANCELED:
            return End(GenerationStatus.CANCELED, MessageStatus.CANCELED)
        if live.why is Stop.TIME:
            return End(GenerationStatus.ERROR, MessageStatus.PARTIAL, Fault(ErrorCode.TIMEOUT, TOO_SLOW))
        return End(GenerationStatus.INTERRUPTED, MessageStatus.PARTIAL)

    # -- while it comes -----------------------------------------------------------------------------------------

    async def _produce(self, live: Live) -> Fault | None:
        """Ask the provider, and take its answer. What went wrong; None when the answer is whole."""
        try:
            await self._answer(live)
        except ProviderError as error:
            self._hub.log.warning("an answer failed", generation=live.id, code=error.code.value, reason=error.detail)
            return Fault(error.code, faults.text(error.code), free=error.code in faults.FREE)
        except _GoneTooFar as error:
            return Fault(ErrorCode.ERROR, str(error))
        except MoorageError as error:
            self._hub.log.warning("an answer failed", generation=live.id, code=error.error_code, reason=error.message)
            return Fault(error.error_code, error.message)
        except Exception:
            self._hub.log.exception("an answer failed", generation=live.id)
            return Fault(ErrorCode.ERROR, faults.text(ErrorCode.ERROR))
        return None

    async def _answer(self, live: Live) -> None:
        loop = live.tools = ToolLoop(self._hub, self._config, self._toolbox, live.tool_sets, live.tell)
        await loop.open(able=self._providers.uses_tools(live.generation.provider))
        path = await self._messages.path(live.conversation, live.answered)
        messages = prompt(path, self._config.system_prompt, tools=loop.offers)
        options, content = live.options, live.answer.content
        ask = loop.begin(Ask(live.generation.model, messages, options.temperature, options.top_p, options.max_tokens))
        while True:
            live.answer.ask(estimate_prompt(ask.messages))
            before = content.length
            reason = await self._round(live, loop, ask)
            if not loop.wanted(reason):
                break
            live.answer.end_round()
            ask = await loop.next(ask, content.text()[before:], content.length)
        if reason == "content_filter":
            raise ProviderError(ErrorCode.CONTENT_FILTER, "the provider says so")
        live.finish_reason = reason

    async def _round(self, live: Live, loop: ToolLoop, ask: Ask) -> str:
        """One question and its answer, to the end that the provider marks; why it ended."""
        taken, reason = 0, ""
        choice = Choice(live.generation.provider, live.generation.model)
        # What has been said, in an earlier round too, is not gone on with by another.
        async with aclosing(self._providers.run(choice, ask, fallback=not live.spoken)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Queued | Running | Switched):
                    await self._notice(live, piece)
                elif isinstance(piece, Finish):
                    reason = piece.reason
                else:
                    self._take(live, loop, piece)
                taken += 1
                if not taken % BREATHE:
                    await asyncio.sleep(0)
        if not reason:
            raise ProviderError(ErrorCode.INCOMPLETE, "the end was not marked")
        return reason

    def _take(self, live: Live, loop: ToolLoop, piece: Piece) -> None:
        answer = live.answer
        if isinstance(piece, Usage):
            answer.count(piece)
            return
        answer.heard = True
        if not live.spoken:
            live.spoken = True
            self._figures.first(live.generation.provider, monotonic() - live.begun)
        if isinstance(piece, Text):
            if said := answer.say(piece.text):
                live.tell(DELTA, {"delta": said})
        elif isinstance(piece, Reasoning):
            if said := answer.reasoning.add(piece.text):
                live.tell(REASONING, {"reasoning": said})
        elif isinstance(piece, ToolFragment):
            loop.take(piece)
        if answer.size > self._config.max_answer_bytes or live.log.last > MAX_EVENTS:
            raise _GoneTooFar(TOO_LONG)
        if live.log.last - live.log.written > MAX_UNWRITTEN:
            raise _GoneTooFar(NOT_STORED)

    async def _notice(self, live: Live, notice: Queued | Running | Switched) -> None:
        """It waits, or it runs, or another provider runs it. What is as it was is not written again."""
        if isinstance(notice, Switched):
            choice = notice.choice
            live.generation = replace(live.generation, provider=choice.provider, model=choice.model)
            await generations.change(live.generation)
            return
        status = GenerationStatus.QUEUED if isinstance(notice, Queued) else GenerationStatus.RUNNING
        if live.generation.status is not status:
            live.generation = replace(live.generation, status=status)
            await generations.change(live.generation)
        elif live.asked:
            return
        live.asked = status is GenerationStatus.RUNNING
        live.tell(STATUS, {"status": status.value})
