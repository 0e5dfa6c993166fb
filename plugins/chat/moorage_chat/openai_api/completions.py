"""Answers for clients of `/v1`: let in, asked for, counted; nothing of them is stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from moorage.api import Actor, ClientLeft, Hub

from moorage_chat.config import ChatConfig
from moorage_chat.figures import COMPLETION, Figures
from moorage_chat.limits import PER_MESSAGE, Admission, Limits, estimate, estimate_bytes, estimate_prompt
from moorage_chat.openai_api.shapes import UsageShape
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

SMALLEST = 8
"""Bytes that a fragment of a call counts for at least: those without a name or a word could come without end."""


class Answer:
    """One answer under way. choice: who gives it, another one after a fallback. reason: why it ended, "" until then.

    spent: the provider may have counted tokens.
    """

    source: AsyncIterator[object]

    def __init__(self, choice: Choice, ask: Ask, most: int, figures: Figures) -> None:
        self.choice, self.reason, self.spent = choice, "", False
        self._ask, self._most, self._figures = ask, most, figures
        self._usage: Usage | None = None
        self._began = time.monotonic()
        self._bytes, self._said = 0, False

    async def pieces(self) -> AsyncIterator[Text | Reasoning | ToolFragment]:
        """What the model says, as it comes. ProviderError. One that never stops is ended as one that was too long."""
        async for piece in self.source:
            if isinstance(piece, Text | Reasoning | ToolFragment):
                if not self._said:
                    self._said = self.spent = True
                    self._figures.first(self.choice.provider, self.seconds)
                self._bytes += _size(piece)
                yield piece
                if self._bytes > self._most:
                    self.reason = "length"
                    return
            elif isinstance(piece, Usage):
                self._usage, self.spent = piece, True
            elif isinstance(piece, Finish):
                self.reason = piece.reason
            elif isinstance(piece, Running):
                self.spent = True
            elif isinstance(piece, Queued):
                self.spent = False
            elif isinstance(piece, Switched):
                self.choice, self.spent = piece.choice, False

    def failed(self, error: ProviderError) -> None:
        """It ended by a fault."""
        if not self._said and self._usage is None and error.code in faults.FREE:
            self.spent = False

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    def usage(self) -> UsageShape:
        """The tokens so far: as the provider counted them, else estimated."""
        if (usage := self._usage) is not None:
            return {
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
                "total_tokens": usage.total_tokens,
            }
        asked = estimate_prompt(self._ask.messages) + _tools(self._ask)
        said = estimate_bytes(self._bytes)
        return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said, "estimated": True}


class Completions:
    """Gives answers. The same limits hold as for conversations, and count together with them."""

    def __init__(self, hub: Hub, config: ChatConfig, providers: Providers, limits: Limits) -> None:
        self._hub, self._config, self._providers, self._limits = hub, config, providers, limits
        self._figures = Figures(hub)

    @asynccontextmanager
    async def answer(self, actor: Actor, choice: Choice, ask: Ask) -> AsyncIterator[Answer]:
        """Around one answer: let in at the start, counted at the end, however it comes about.

        QuotaExceeded, TooManyRequests. ProviderError passes through.
        """
        self._providers.admit(choice)
        admission = await self._limits.admit(actor)
        self._figures.began(COMPLETION)
        answer = Answer(choice, ask, self._config.max_answer_bytes, self._figures)
        status, code = "ok", ""
        try:
            async with self._in_time(), aclosing(self._providers.run(choice, ask)) as answer.source:
                yield answer
        except ProviderError as error:
            answer.failed(error)
            status, code = "error", error.code.value
            raise
        except BaseException as error:
            status = "canceled" if isinstance(error, asyncio.CancelledError | ClientLeft) else "error"
            raise
        finally:
            await self._close(answer, admission, status, code)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        most = self._config.max_seconds
        try:
            async with asyncio.timeout(most) as limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise ProviderError(ErrorCode.TIMEOUT, f"the answer took more than {most:g} s") from None

    async def _close(self, answer: Answer, admission: Admission, status: str, code: str) -> None:
        try:
            # Apart from the request: what was used is counted also when that is cancelled once more meanwhile.
            ending = self._hub.tasks.spawn(self._end(answer, admission, status, code), "end of an answer")
        except RuntimeError:
            # The plugin has been stopped, by a reload for one, and this answer was still there.
            await self._end(answer, admission, status, code)
        else:
            await asyncio.shield(ending)

    async def _end(self, answer: Answer, admission: Admission, status: str, code: str) -> None:
        usage, choice = answer.usage(), answer.choice
        asked, said = (usage["prompt_tokens"], usage["completion_tokens"]) if answer.spent else (0, 0)
        self._figures.ended(COMPLETION, choice.provider, status, answer.seconds, error=code, tokens=(asked, said))
        if answer.spent:
            await admission.settle(choice.provider, choice.model, asked, said)
        else:
            await admission.release()


def _size(piece: Piece) -> int:
    """Bytes of a piece."""
    if isinstance(piece, Text | Reasoning):
        return len(piece.text.encode("utf-8", "surrogatepass"))
    if isinstance(piece, ToolFragment):
        said = len(piece.id) + len(piece.name) + len(piece.arguments.encode("utf-8", "surrogatepass"))
        return max(said, SMALLEST)
    return 0


def _tools(ask: Ask) -> int:
    return sum(PER_MESSAGE + estimate(str(tool)) for tool in ask.tools)
