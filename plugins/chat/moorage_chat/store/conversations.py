"""Conversations: made, found, listed, changed and deleted, by those who may."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from moorage.api import Actor, Conflict, Hub, NotFound, Permission, Unauthorized, ValidationFailed

from moorage_chat.config import ChatConfig
from moorage_chat.models import ChatConversation
from moorage_chat.records import Conversation, Message, Space
from moorage_chat.rights import VIEW, WRITE
from moorage_chat.store import search, tree
from moorage_chat.store.removal import Removal
from moorage_chat.store.rows import MAX_ID, conversation_of, new_pid
from moorage_chat.store.text import checked_title, folded, sound
from moorage_chat.store.words import wanted

Ref = int | str
OnDelete = Callable[[int], Awaitable[None]]
MAX_SETTINGS = 16 * 1024
"""Bytes of a conversation's settings, as JSON."""


class Conversations:
    """All conversations. Each method checks the actor's right and the owner; see `get` for `space` and its errors."""

    def __init__(self, hub: Hub, config: ChatConfig, removal: Removal) -> None:
        self._hub, self._config, self._removal = hub, config, removal

    # -- reading -------------------------------------------------------------------------------------------------

    async def get(
        self, actor: Actor, ref: Ref, permission: Permission = VIEW, *, space: Space | None = None
    ) -> Conversation:
        """The conversation of that number or public id, when the actor may do that with it.

        space: the contract that asks, which knows only its own unless they are joined; None: either.
        NotFound (CONVERSATION_NOT_FOUND), also for one that the actor may not know of; Forbidden for one that they may
        see and no more; Unauthorized. That somebody reads another's is on record.
        """
        if actor.user is None:
            raise Unauthorized
        row = await _live().filter(**_by(ref)).first() if _possible(ref) else None
        if row is None or (space is not None and not self._shown(row, space)):
            raise gone()
        access = self._hub.access
        if not access.can(actor, permission.name, owner_id=row.user_id):
            if actor.user.id != row.user_id and not access.can(actor, VIEW.name, owner_id=row.user_id):
                raise gone()
            access.require(actor, permission.name, owner_id=row.user_id)
        if actor.user.id != row.user_id:
            await self._hub.audit.note_read("chat_conversation", actor=actor, data={"conversation": row.pid})
        return conversation_of(row)

    async def page(
        self, actor: Actor, space: Space, *, q: str | None = None, in_messages: bool = False, limit: int, offset: int
    ) -> list[Conversation]:
        """The actor's own, those that changed last before others.

        q: a part of the title, whatever its capitals; in_messages: or words of the messages. Forbidden, Unauthorized.
        """
        user = self._own(actor, VIEW)
        rows = _live().filter(user_id=user, **self._spaces(space))
        if q and (key := folded(sound(q)).strip()):
            if in_messages and (terms := wanted(q)):
                ids = await search.conversations(self._hub, user, self._spaces(space), key, terms, limit, offset)
                found = await _live().filter(id__in=ids).order_by("-updated_at", "-id")
                return [conversation_of(row) for row in found]
            rows = rows.filter(title_key__contains=key)
        return [conversation_of(row) for row in await rows.order_by("-updated_at", "-id").offset(offset).limit(limit)]

    # -- changing ------------------------------------------------------------------------------------------------

    async def create(self, actor: Actor, space: Space, *, title: str | None = None, mode: str = "chat") -> Conversation:
        """Make an empty one. Without a title it is called after its first message, as soon as there is one.

        ValidationFailed for a title that cannot be, Conflict (TOO_MANY_CONVERSATIONS) at the limit.
        """
        self._own(actor, WRITE)
        title = checked_title(title or "")
        row = self._row(actor, space, mode)
        _entitle(row, title or _default_title(row), "user" if title else "default")
        async with self._hub.db.transaction():
            await self._refuse_more(row.user_id)
            await row.save()
        return conversation_of(row)

    async def change(
        self,
        actor: Actor,
        ref: Ref,
        *,
        title: str | None = None,
        settings: Mapping[str, Any] | None = None,
        space: Space | None = None,
    ) -> Conversation:
        """Give another title ("": the default one, until a message gives a better), and settings: None removes one.

        ValidationFailed for a title or settings that are too long.
        """
        found = await self.get(actor, ref, WRITE, space=space)
        async with self._hub.db.transaction():
            row = await locked(found.id)
            columns: list[str] = []
            if title is not None:
                title = checked_title(title)
                _entitle(row, title or _default_title(row), "user" if title else "default")
                row.updated_at = datetime.now(UTC)
                columns += ["title", "title_key", "title_source", "updated_at"]
            if settings is not None:
                merged = {**row.settings, **settings}
                row.settings = {key: value for key, value in merged.items() if value is not None}
                if len(json.dumps(row.settings)) > MAX_SETTINGS:
                    message = f"are longer than {MAX_SETTINGS} bytes"
                    raise ValidationFailed(f"settings {message}", problems=[{"field": "settings", "message": message}])
                columns.append("settings")
            if columns:
                await row.save(update_fields=columns)
        return conversation_of(row)

    async def entitle(self, conversation_id: int, title: str) -> bool:
        """Give the title that a model thought of, unless the user gave one; whether it was given."""
        title = checked_title(sound(title)[:200])
        if not title:
            return False
        changed: int = (
            await _live()
            .filter(id=conversation_id)
            .exclude(title_source="user")
            .update(title=title, title_key=folded(title), title_source="model")
        )
        return bool(changed)

    async def prefer(self, conversation_id: int, provider: str | None, model: str | None) -> None:
        """Let this model answer next, unless another one is asked for then; None: none rather than another."""
        await _live().filter(id=conversation_id).update(provider=provider, model=model)

    async def delete(self, actor: Actor, ref: Ref, *, space: Space | None = None) -> None:
        """Delete one with all that belongs to it. Who asked to be told is told before its messages go."""
        found = await self.get(actor, ref, WRITE, space=space)
        if not await self._removal.mark(found.id):
            raise gone()
        if actor.user is not None and actor.user.id != found.user_id:
            await self._hub.audit.write(
                "chat.conversation_deleted",
                actor=actor,
                target=f"chat_conversation:{found.pid}",
                data={"user_id": found.user_id},
            )
        await self._removal.remove(found.id)

    def on_delete(self, callback: OnDelete) -> None:
        """Await `callback(conversation_id)` for each that is deleted, when nobody can see it any more."""
        self._removal.callbacks.append(callback)

    # -- branches ------------------------------------------------------------------------------------------------

    async def set_head(self, actor: Actor, ref: Ref, message_id: Ref, *, space: Space | None = None) -> Conversation:
        """Show the branch of a message, up to the newest that follows it. NotFound (MESSAGE_NOT_FOUND)."""
        found = await self.get(actor, ref, WRITE, space=space)
        async with self._hub.db.transaction():
            await locked(found.id)
            head = await tree.newest_below(self._hub, found.id, await tree.find(self._hub, found.id, message_id))
            await ChatConversation.filter(id=found.id).update(head_id=head)
        return replace(found, head_id=head)

    async def fork(self, actor: Actor, ref: Ref, message_id: Ref, *, space: Space | None = None) -> Conversation:
        """Copy what led to a message, and the message, into a new conversation of the actor's.

        NotFound (MESSAGE_NOT_FOUND), Conflict as of `create`.
        """
        found = await self.get(actor, ref, VIEW, space=space)
        self._own(actor, WRITE)
        message = await tree.find(self._hub, found.id, message_id)
        copied = await tree.path(self._hub, found.id, message.id)
        row = self._row(actor, found.space, found.mode)
        _entitle(row, found.title, found.title_source)
        row.settings, row.provider, row.model = dict(found.settings), found.provider, found.model
        return await self._write(row, copied, message.id)

    async def add(
        self,
        actor: Actor,
        space: Space,
        messages: Sequence[Message],
        *,
        title: str,
        mode: str,
        created_at: datetime,
        head_id: int | None,
    ) -> Conversation:
        """A new conversation with messages from elsewhere. title: "" for the default one.

        messages: their numbers and parents hold among themselves, and a parent stands before what follows it.
        head_id: one of their numbers; None: the newest. Errors as of `create`.
        """
        self._own(actor, WRITE)
        row = self._row(actor, space, mode)
        row.created_at = created_at
        title = checked_title(title)
        _entitle(row, title or _default_title(row), "user" if title else "default")
        return await self._write(row, messages, head_id)

    async def _write(self, row: ChatConversation, messages: Sequence[Message], head_id: int | None) -> Conversation:
        """Store a conversation; nobody sees it before it is whole, and what a crash leaves of it is removed."""
        row.deleted_at = datetime.now(UTC)
        async with self._hub.db.transaction():
            await self._refuse_more(row.user_id)
            await row.save()
        try:
            ids = await tree.write(self._hub, row, messages)
            row.head_id = ids[messages[-1].id if head_id is None else head_id] if messages else None
            row.next_seq, row.deleted_at = len(messages) + 1, None
            await row.save(update_fields=["head_id", "next_seq", "deleted_at"])
        except BaseException:
            await self._removal.remove(row.id)
            raise
        return conversation_of(row)

    # -- how -----------------------------------------------------------------------------------------------------

    def _own(self, actor: Actor, permission: Permission) -> int:
        """The actor's number, when they may do that with their own."""
        if actor.user is None:
            raise Unauthorized
        self._hub.access.require(actor, permission.name, owner_id=actor.user.id)
        return actor.user.id

    def _spaces(self, space: Space) -> dict[str, str]:
        return {} if self._config.shared_conversations else {"space": space.value}

    def _shown(self, row: ChatConversation, space: Space) -> bool:
        return self._config.shared_conversations or row.space == space.value

    def _row(self, actor: Actor, space: Space, mode: str) -> ChatConversation:
        assert actor.user is not None
        now = datetime.now(UTC)
        return ChatConversation(
            pid=new_pid("c"),
            user_id=actor.user.id,
            user_pid=actor.user.pid,
            space=space.value,
            mode=mode,
            created_at=now,
            updated_at=now,
        )

    async def _refuse_more(self, user_id: int) -> None:
        count = await _live().filter(user_id=user_id).count()
        if count >= self._config.max_conversations_per_user:
            raise Conflict(
                f"There are {count} conversations already, and no more are allowed", code="TOO_MANY_CONVERSATIONS"
            )


def gone() -> NotFound:
    """What is said of a conversation that is not there, or not for the one who asks."""
    return NotFound("Conversation not found", code="CONVERSATION_NOT_FOUND")


async def locked(conversation_id: int) -> ChatConversation:
    """The row, which nobody else changes until the transaction ends. NotFound when it is gone meanwhile."""
    row: ChatConversation | None = await _live().filter(id=conversation_id).select_for_update().first()
    if row is None:
        raise gone()
    return row


def _live() -> Any:
    return ChatConversation.filter(deleted_at__isnull=True)


def _possible(ref: Ref) -> bool:
    return 0 < ref <= MAX_ID if isinstance(ref, int) else len(ref) == 25 and ref.isalnum() and ref.isascii()


def _by(ref: Ref) -> dict[str, Any]:
    return {"id": ref} if isinstance(ref, int) else {"pid": ref}


def _entitle(row: ChatConversation, title: str, source: str) -> None:
    row.title, row.title_key, row.title_source = title, folded(title), source


def _default_title(row: ChatConversation) -> str:
    return f"New {row.mode} conversation" if row.space == Space.ORBITAL else "New Conversation"
