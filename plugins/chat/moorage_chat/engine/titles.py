"""Titles that a model thinks of, once the first answer is there. Nobody waits for one."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing

from moorage.api import Hub, MoorageError

from moorage_chat.config import ChatConfig
from moorage_chat.engine.live import Live
from moorage_chat.limits import Limits, estimate, estimate_prompt
from moorage_chat.providers.base import Ask, ProviderError, Text, Usage
from moorage_chat.providers.registry import Choice, Providers
from moorage_chat.records import GenerationStatus
from moorage_chat.store import tree
from moorage_chat.store.conversations import Conversations

SECONDS = 60.0
SHOWN = 2000
"""Characters of the question and of the answer that the model is shown."""
MAX_TOKENS = 1024
"""Models that reason need most of them before they say anything."""
LONGEST = 80
_WISH = (
    "You are a title generator. Write a title for the conversation that follows: at most six words, in its language, "
    "without quotation marks. Answer with the title alone."
)
_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(r"^[\s#*>\-]*(?:title\s*:\s*)?", re.IGNORECASE)


class Titles:
    """Asks for them, where the settings want it."""

    def __init__(
        self, hub: Hub, config: ChatConfig, conversations: Conversations, providers: Providers, limits: Limits
    ) -> None:
        self._hub, self._wanted = hub, config.titles == "model"
        self._conversations, self._providers, self._limits = conversations, providers, limits

    def think(self, live: Live) -> None:
        """An answer has ended: think of a title for its conversation, if it needs one."""
        if (
            self._wanted
            and live.generation.status is GenerationStatus.OK
            and live.conversation.title_source in ("default", "first_line")
        ):
            self._hub.tasks.spawn(self._think(live), f"title {live.conversation.id}")

    async def _think(self, live: Live) -> None:
        try:
            asked = await tree.find(self._hub, live.conversation.id, live.answered)
            said = live.answer.content.text()
            shown = f"Question:\n{asked.content[:SHOWN]}\n\nAnswer:\n{said[:SHOWN]}"
            async with asyncio.timeout(SECONDS):
                title = made_of(await self._ask(live, shown))
            if title:
                await self._conversations.entitle(live.conversation.id, title)
        except (ProviderError, MoorageError, TimeoutError) as error:
            # The first line stays.
            self._hub.log.info("no title", conversation=live.conversation.pid, reason=type(error).__name__)

    async def _ask(self, live: Live, shown: str) -> str:
        generation = live.generation
        choice = Choice(generation.provider, generation.model)
        messages = [{"role": "system", "content": _WISH}, {"role": "user", "content": shown}]
        said, used = "", None
        try:
            ask = Ask(choice.model, messages, temperature=0.2, max_tokens=MAX_TOKENS)
            async with aclosing(self._providers.run(choice, ask, fallback=False)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Text) and len(said) < SHOWN:
                        said += piece.text
                    elif isinstance(piece, Usage):
                        used = piece
        finally:
            if said or used is not None:
                tokens = used or Usage(estimate_prompt(messages), estimate(said))
                await self._limits.spend(
                    generation.user_id, choice.provider, choice.model, tokens.prompt_tokens, tokens.completion_tokens
                )
        return said


def made_of(said: str) -> str:
    """The title in what a model said: its first line, without what models put around one. "" for none."""
    lines = (_LABEL.sub("", line).strip(" \t\"'`*“”„«».") for line in _THOUGHTS.sub("", said).splitlines())
    title = next((line for line in lines if line), "")
    return title if len(title) <= LONGEST else title[: LONGEST - 1].rstrip() + "…"
