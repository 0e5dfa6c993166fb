"""Messages: appended, listed, and the answers that are reserved first and finished later."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from moorage.api import BadRequest, Conflict, Hub, PayloadTooLarge, sql

from moorage_chat.config import ChatConfig
from moorage_chat.models import ChatConversation, ChatMessage
from moorage_chat.records import Conversation, Message, MessageStatus, Role
from moorage_chat.store import index, tree
from moorage_chat.store.conversations import locked
from moorage_chat.store.rows import message_of_row, new_pid
from moorage_chat.store.text import checked, first_line, folded, sound, sound_json


class Head(enum.Enum):
    """The type of HEAD."""

    HEAD = "head"


HEAD: Final = Head.HEAD
"""As a parent: the newest message of the branch that is shown."""
Branch = Literal["all", "active"]


class Messages:
    """Messages of conversations that `Conversations.get` gave: rights are checked there."""

    def __init__(self, hub: Hub, config: ChatConfig) -> None:
        self._hub, self._config = hub, config

    # -- reading -------------------------------------------------------------------------------------------------

    async def get(self, conversation: Conversation, ref: int | str) -> Message:
        """One message, by its number or public id. NotFound (MESSAGE_NOT_FOUND)."""
        return await tree.find(self._hub, conversation.id, ref)

    async def listed(
        self, conversation: Conversation, *, branch: Branch = "all", after_seq: int = 0, limit: int | None = None
    ) -> list[Message]:
        """Messages by their places: all, or those that lead to the head. None that is still being written."""
        if branch == "active":
            return await tree.path(self._hub, conversation.id, conversation.head_id, after_seq=after_seq, limit=limit)
        return await tree.listed(self._hub, conversation.id, after_seq=after_seq, limit=limit)

    async def path(self, conversation: Conversation, leaf_id: int | None) -> list[Message]:
        """What led to a message, from the first on, and itself; also answers that were broken off."""
        return await tree.path(self._hub, conversation.id, leaf_id)

    async def newest(self, conversation_ids: Iterable[int]) -> dict[int, Message]:
        """The newest message of each conversation that has one."""
        found: dict[int, Message] = {}
        for some in sql.chunks(list(conversation_ids)):
            for message in await tree.newest(self._hub, some):
                found[message.conversation_id] = message
        return found

    async def last_user(self, conversation: Conversation) -> Message | None:
        """The last message of the user in the branch that is shown. A few queries, however long it is."""
        async for id, role, _ in tree.upwards(conversation.id, conversation.head_id):
            if role is Role.USER:
                return await tree.find(self._hub, conversation.id, id)
        return None

    # -- writing -------------------------------------------------------------------------------------------------

    async def append(
        self,
        conversation: Conversation,
        role: Role,
        content: str,
        *,
        parent_id: int | Head | None = HEAD,
        edit_of: int | str | None = None,
        retry_of: int | None = None,
        parts: Mapping[str, Any] | None = None,
    ) -> Message:
        """Add a message, which becomes the head.

        parent_id: what it follows; None: nothing. edit_of: a message in whose place it stands beside it, so that it
        has that one's parent and nothing is lost. retry_of: of which it is a copy.
        NotFound (CONVERSATION_NOT_FOUND: deleted meanwhile; MESSAGE_NOT_FOUND), PayloadTooLarge, ValidationFailed for
        a text that cannot be stored, Conflict (CONVERSATION_FULL).
        """
        if len(content.encode("utf-8", "surrogatepass")) > self._config.max_message_bytes:
            raise PayloadTooLarge(f"A message may have {self._config.max_message_bytes} bytes")
        words = await index.cut(checked("content", content))
        async with self._hub.db.transaction():
            row = await locked(conversation.id)
            if edit_of is not None:
                parent_id = (await tree.find(self._hub, row.id, edit_of)).parent_id
            elif isinstance(parent_id, int):
                parent_id = (await tree.find(self._hub, row.id, parent_id)).id
            message = self._row(row, role, row.head_id if isinstance(parent_id, Head) else parent_id)
            message.content, message.status = content, MessageStatus.COMPLETE.value
            message.retry_of, message.parts = retry_of, sound_json(parts or {})
            await message.save()
            await index.put(self._hub, row.user_id, row.id, [message.id], words)
            changed = self._moved(row, message)
            if role is Role.USER and row.title_source == "default" and (title := first_line(content)):
                row.title, row.title_key, row.title_source = title, folded(title), "first_line"
                changed += ["title", "title_key", "title_source"]
            await row.save(update_fields=changed)
        return message_of_row(message)

    async def reserve(
        self, conversation: Conversation, parent_id: int | None, generation_id: str, provider: str, model: str
    ) -> Message:
        """Give an answer its place, to be finished later; it becomes the head. Joins the caller's transaction.

        NotFound when the conversation was deleted meanwhile, Conflict (CONVERSATION_FULL).
        """
        async with self._hub.db.transaction():
            row = await locked(conversation.id)
            message = self._row(row, Role.ASSISTANT, parent_id)
            message.content, message.status = "", MessageStatus.RUNNING.value
            message.generation_id, message.provider, message.model = generation_id, provider, model
            await message.save()
            row.provider, row.model = provider, model
            await row.save(update_fields=[*self._moved(row, message), "provider", "model"])
        return message_of_row(message)

    async def finish(
        self,
        message_id: int,
        content: str,
        status: MessageStatus,
        *,
        usage: Mapping[str, Any] | None = None,
        parts: Mapping[str, Any] | None = None,
        provider: str | None = None,
        model: str | None = None,
    ) -> Message | None:
        """Write an answer that was reserved. Joins the caller's transaction. Once: a second time changes nothing.

        provider, model: who answered, where that is another than was asked. None when the message or its conversation
        is gone, or when it was not completed and has no text: then it is removed, and what follows it moves up.
        """
        if status is MessageStatus.RUNNING:
            raise BadRequest("An answer does not end as one that runs")
        words = await index.cut(content)
        async with self._hub.db.transaction():
            known = await ChatMessage.filter(id=message_id).first()
            if known is None:
                return None
            conversation = await ChatConversation.filter(id=known.conversation_id).select_for_update().first()
            row = await ChatMessage.filter(id=message_id).select_for_update().first()
            if row is None or conversation is None or conversation.deleted_at is not None:
                return None
            if row.status != MessageStatus.RUNNING.value:
                return message_of_row(row)
            if not content and status is not MessageStatus.COMPLETE:
                await self._drop(conversation, row)
                return None
            row.content, row.status = sound(content), status.value
            row.usage, row.parts = sound_json(usage), sound_json(parts or {})
            row.provider, row.model = provider or row.provider, model or row.model
            await row.save(update_fields=["content", "status", "usage", "parts", "provider", "model"])
            await index.put(self._hub, conversation.user_id, conversation.id, [row.id], words)
            conversation.updated_at = datetime.now(UTC)
            conversation.provider, conversation.model = row.provider, row.model
            await conversation.save(update_fields=["updated_at", "provider", "model"])
        return message_of_row(row)

    # -- how -----------------------------------------------------------------------------------------------------

    def _row(self, conversation: ChatConversation, role: Role, parent_id: int | None) -> ChatMessage:
        if conversation.next_seq > self._config.max_messages:
            raise Conflict(
                f"The conversation has {self._config.max_messages} messages, and no more are allowed",
                code="CONVERSATION_FULL",
            )
        return ChatMessage(
            pid=new_pid("m"),
            conversation_id=conversation.id,
            seq=conversation.next_seq,
            parent_id=parent_id,
            role=role.value,
            created_at=datetime.now(UTC),
        )

    @staticmethod
    def _moved(conversation: ChatConversation, message: ChatMessage) -> list[str]:
        """Take a message in; the columns that changed."""
        conversation.head_id, conversation.next_seq = message.id, message.seq + 1
        conversation.updated_at = message.created_at
        return ["head_id", "next_seq", "updated_at"]

    @staticmethod
    async def _drop(conversation: ChatConversation, message: ChatMessage) -> None:
        await ChatMessage.filter(parent_id=message.id).update(parent_id=message.parent_id)
        await ChatMessage.filter(id=message.id).delete()
        if conversation.head_id == message.id:
            await ChatConversation.filter(id=conversation.id).update(head_id=message.parent_id)
