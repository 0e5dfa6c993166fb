"""What a conversation's next answers are made by: model, numbers and tools, set by its user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moorage.api import Actor

from moorage_chat.engine.toolbox import Toolbox
from moorage_chat.engine.toolchoice import SETTING
from moorage_chat.providers.choice import Choice
from moorage_chat.providers.registry import Providers
from moorage_chat.records import Space
from moorage_chat.rights import WRITE
from moorage_chat.store.conversations import Conversations, Ref

WHERE = ("provider_id", "model")
"""Settings that are kept where the last answer's model is, so that it and a choice replace each other."""


class Settings:
    """Changes conversations: their titles, and what is to answer."""

    def __init__(self, conversations: Conversations, providers: Providers, toolbox: Toolbox) -> None:
        self._conversations, self._providers, self._toolbox = conversations, providers, toolbox

    async def change(
        self, actor: Actor, ref: Ref, *, title: str | None, wanted: Mapping[str, Any], space: Space | None = None
    ) -> None:
        """Give a title, unless it is None, and what is in `wanted`: a setting's value, or None to forget it.

        wanted: provider_id, model, temperature, top_p, max_tokens, tool_sets. Nothing is changed where one of them
        cannot be: BadRequest (PROVIDER_NOT_FOUND, MODEL_NOT_FOUND, TOOLS_NOT_FOUND); errors as of
        `Conversations.change`.
        """
        found = await self._conversations.get(actor, ref, WRITE, space=space)
        provider, model = (wanted.get(name) for name in WHERE)
        choice = None
        if provider is not None or model is not None:
            last = Choice(found.provider, found.model) if found.provider and found.model else None
            choice = await self._providers.choose(provider, model, last=last)
        settings = {name: value for name, value in wanted.items() if name not in WHERE}
        if settings.get(SETTING) is not None:
            settings[SETTING] = [one.id for one in await self._toolbox.chosen(actor, settings[SETTING])] or None
        if title is not None or settings:
            await self._conversations.change(actor, found.id, title=title, settings=settings or None)
        if choice is not None:
            await self._conversations.prefer(found.id, choice.provider, choice.model)
        elif any(name in wanted for name in WHERE):
            await self._conversations.prefer(found.id, None, None)
