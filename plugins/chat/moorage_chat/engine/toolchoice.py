"""Which sets of tools a conversation's answers may use: chosen by its user, kept in its settings."""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api import Actor, ToolSet

from moorage_chat.engine.toolbox import Toolbox
from moorage_chat.records import Conversation
from moorage_chat.rights import VIEW
from moorage_chat.store.conversations import Conversations, Ref

SETTING = "tool_sets"


def chosen(conversation: Conversation) -> list[str]:
    """The ids that are kept for a conversation."""
    kept = conversation.settings.get(SETTING)
    return [one for one in kept if isinstance(one, str)] if isinstance(kept, list) else []


class ToolChoice:
    """Reads and keeps it. One object."""

    def __init__(self, toolbox: Toolbox, conversations: Conversations) -> None:
        self._toolbox, self._conversations = toolbox, conversations

    async def of(self, actor: Actor, ref: Ref) -> list[str]:
        """What is chosen for a conversation; errors as of `Conversations.get`."""
        return chosen(await self._conversations.get(actor, ref, VIEW))

    async def choose(self, actor: Actor, ref: Ref, ids: Sequence[str]) -> list[str]:
        """Choose. BadRequest for a set that there is not; errors as of `Conversations.change`."""
        sets = await self._toolbox.chosen(actor, ids)
        changed = await self._conversations.change(actor, ref, settings={SETTING: [one.id for one in sets] or None})
        return chosen(changed)

    async def for_answer(self, actor: Actor, conversation: Conversation, asked: Sequence[str] | None) -> list[ToolSet]:
        """The sets for one answer. asked: instead of those of the conversation. BadRequest for one that is not there.

        One of the conversation's that is gone by now is left out.
        """
        if asked is not None:
            return await self._toolbox.chosen(actor, asked)
        return await self._toolbox.chosen(actor, chosen(conversation), strict=False)
