"""Links by which anybody can read a conversation: only the digest of what is secret in them is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from moorage.api import Actor, Conflict, Hub, sql

from moorage_chat.models import ChatConversation
from moorage_chat.records import Conversation, Message, Role, Space
from moorage_chat.rights import SHARE
from moorage_chat.store import tree
from moorage_chat.store.conversations import Conversations, Ref, gone
from moorage_chat.store.rows import conversation_of

PREFIX = "mshare_"
"""Lets scanners of leaked secrets know it."""
MAX_TOKEN = 128


class Shares:
    """Gives out links, one for a conversation, and finds by them what they show.

    A link shows what there was when it was made: what is said later stays private, until `renew`.
    """

    def __init__(self, hub: Hub, conversations: Conversations) -> None:
        self._hub, self._conversations = hub, conversations

    async def share(self, actor: Actor, ref: Ref, *, space: Space | None = None) -> tuple[Conversation, str]:
        """The conversation and the token of a new link, which is told this once; an earlier one ends.

        Errors as of `Conversations.get`.
        """
        found = await self._conversations.get(actor, ref, SHARE, space=space)
        token = PREFIX + secrets.token_urlsafe(24)
        head_id = await self._written(found)
        columns = {"share_hash": _digest(token), "share_head_id": head_id, "shared_at": datetime.now(UTC)}
        await self._set(actor, found, "shared", columns)
        return await self._conversations.get(actor, ref), token

    async def renew(self, actor: Actor, ref: Ref, *, space: Space | None = None) -> Conversation:
        """Let the link show the branch that is shown now. Conflict (NOT_SHARED) when there is none."""
        found = await self._conversations.get(actor, ref, SHARE, space=space)
        if found.shared_at is None:
            raise Conflict("The conversation has no link", code="NOT_SHARED")
        columns = {"share_head_id": await self._written(found), "shared_at": datetime.now(UTC)}
        await self._set(actor, found, "shared", columns, share_hash__isnull=False)
        return await self._conversations.get(actor, ref)

    async def unshare(self, actor: Actor, ref: Ref, *, space: Space | None = None) -> bool:
        """End a conversation's link; whether there was one."""
        found = await self._conversations.get(actor, ref, SHARE, space=space)
        if found.shared_at is None:
            return False
        await self._set(actor, found, "unshared", {"share_hash": None, "share_head_id": None, "shared_at": None})
        return True

    async def open(self, token: str) -> tuple[Conversation, list[Message]]:
        """What a link shows, to anybody: what was said in the branch that was shown when it was shared.

        Neither what tools gave, nor reasoning, use or system messages. A link holds while its owner may share.
        NotFound (CONVERSATION_NOT_FOUND).
        """
        if not token.startswith(PREFIX) or len(token) > MAX_TOKEN:
            raise gone()
        row = await ChatConversation.filter(share_hash=_digest(token), deleted_at__isnull=True).first()
        if row is None or not await self._holds(row.user_id):
            raise gone()
        shown = await tree.path(self._hub, row.id, row.share_head_id)
        said = [one for one in shown if one.role in (Role.USER, Role.ASSISTANT)]
        return conversation_of(row), [replace(one, parts={}, usage=None, generation_id=None) for one in said]

    async def _holds(self, user_id: int) -> bool:
        user = await self._hub.accounts.get_user(user_id)
        return user is not None and self._hub.access.can(Actor(user=user), SHARE.name, owner_id=user_id)

    async def _written(self, found: Conversation) -> int | None:
        """The newest message of the branch that is shown, without an answer that is still being written."""
        path = await tree.path_ids(self._hub, found.id, found.head_id)
        running = await tree.running(path[-sql.AT_ONCE :])
        return next((id for id in reversed(path) if id not in running), None)

    async def _set(
        self, actor: Actor, found: Conversation, done: str, columns: dict[str, Any], **condition: Any
    ) -> None:
        async with self._hub.db.transaction():
            if not await ChatConversation.filter(id=found.id, deleted_at__isnull=True, **condition).update(**columns):
                raise gone()
            await self._hub.audit.write(
                f"chat.conversation_{done}",
                actor=actor,
                target=f"chat_conversation:{found.pid}",
                data={"user_id": found.user_id},
            )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
