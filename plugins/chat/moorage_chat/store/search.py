"""Search in the texts of one's messages."""

from __future__ import annotations

import re
from asyncio import to_thread
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from moorage.api import Actor, Hub, Unauthorized, sql

from moorage_chat.config import ChatConfig
from moorage_chat.models import ChatConversation
from moorage_chat.records import Conversation, Message, Space
from moorage_chat.rights import VIEW
from moorage_chat.store import index, rows
from moorage_chat.store.rows import conversation_of
from moorage_chat.store.text import one_line
from moorage_chat.store.words import Term, pattern, plain, wanted

BEFORE, LENGTH = 60, 200
"""Characters of an excerpt: before what was found, and in all."""
LOOKED_AT = 200_000
"""Characters of a message in which an excerpt is looked for."""
LOOKED_AT_IN_ALL = 4_000_000
"""Of all that one search finds; of what comes after, the beginning is shown."""
MAX_MARKS = 20


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found. excerpt: a line of its text; marks: where in it the words are, as (start, end)."""

    message: Message
    conversation: Conversation
    excerpt: str
    marks: tuple[tuple[int, int], ...]


class Search:
    """Finds messages by their words: all of them, or their beginnings; neither capitals nor accents matter."""

    def __init__(self, hub: Hub, config: ChatConfig) -> None:
        self._hub, self._config = hub, config

    async def find(
        self,
        actor: Actor,
        space: Space,
        q: str,
        *,
        conversation: Conversation | None = None,
        limit: int = 20,
        offset: int = 0,
    ) -> list[Hit]:
        """The actor's own messages, the newest first; of one conversation, where it is given (checked by `get`).

        A text without any letter or digit finds nothing. Unauthorized, Forbidden.
        """
        if actor.user is None:
            raise Unauthorized
        self._hub.access.require(actor, VIEW.name, owner_id=actor.user.id)
        terms = wanted(q)
        if not terms:
            return []
        owner = conversation.user_id if conversation is not None else actor.user.id
        asked = index.lookup(
            self._hub, terms, user_id=owner, conversation_id=conversation.id if conversation is not None else None
        )
        joined = conversation is not None or self._config.shared_conversations
        own = 'AND c."space" = ? '
        found = await sql.query(
            self._hub,
            'SELECT m."id" AS "id" '  # noqa: S608 - nothing that anybody typed is in it.
            f'FROM ({index.found(self._hub)}) s JOIN "chat_messages" m ON m."id" = s."id" '
            'JOIN "chat_conversations" c ON c."id" = m."conversation_id" WHERE c."deleted_at" IS NULL '
            f'{"" if joined else own}ORDER BY s."id" DESC LIMIT ? OFFSET ?',
            [asked, *([] if joined else [space.value]), limit, offset],
        )
        return await self._hits([row["id"] for row in found], terms)

    async def _hits(self, ids: Sequence[int], terms: Sequence[Term]) -> list[Hit]:
        if not ids:
            return []
        messages = await rows.messages(self._hub, f'"id" IN ({sql.marks(ids)}) ORDER BY "id" DESC', ids)
        asked = ChatConversation.filter(id__in={one.conversation_id for one in messages})
        conversations = {row.id: conversation_of(row) for row in await asked}
        found = [one for one in messages if one.conversation_id in conversations]
        texts = [one.content for one in found]
        # Beside the event loop where they are long: of a megabyte it takes a quarter of a second.
        shown = excerpts(texts, terms) if sum(map(len, texts)) < index.LONG else await to_thread(excerpts, texts, terms)
        return [Hit(one, conversations[one.conversation_id], *what) for one, what in zip(found, shown, strict=True)]


async def conversations(
    hub: Hub, user_id: int, only: Mapping[str, str], key: str, terms: Sequence[Term], limit: int, offset: int
) -> list[int]:
    """A user's conversations with `key` in their title or all of `terms` in a message: numbers, newest first.

    only: {"space": …}, or {} for those of both contracts. key: as `text.folded` gives it.
    """
    own = "".join(f'AND "{name}" = ? ' for name in only)
    found = await sql.query(
        hub,
        'SELECT "id" FROM "chat_conversations" WHERE "user_id" = ? '  # noqa: S608 - nothing typed is in it.
        f'{own}AND "deleted_at" IS NULL '
        """AND ("title_key" LIKE ? ESCAPE '!' OR "id" IN (SELECT m."conversation_id" """
        f'FROM "chat_messages" m WHERE m."id" IN ({index.found(hub)}))) '
        'ORDER BY "updated_at" DESC, "id" DESC LIMIT ? OFFSET ?',
        [
            user_id,
            *only.values(),
            "%" + re.sub("[!%_]", r"!\g<0>", key) + "%",
            index.lookup(hub, terms, user_id=user_id),
            limit,
            offset,
        ],
    )
    return [row["id"] for row in found]


def excerpts(texts: Sequence[str], terms: Sequence[Term]) -> list[tuple[str, tuple[tuple[int, int], ...]]]:
    """The `excerpt` of each."""
    found, left = [], LOOKED_AT_IN_ALL
    for text in texts:
        found.append(excerpt(text, terms, min(left, LOOKED_AT)))
        left = max(0, left - len(text))
    return found


def excerpt(text: str, terms: Sequence[Term], looked_at: int = LOOKED_AT) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The place of a text where the most different words of a search stand, in one line, and where they are in it."""
    places = _places(text[:looked_at], terms, 200)
    start = max(0, _best(places) - BEFORE) if places else 0
    if start:  # Not within a word.
        space = text.find(" ", start, start + BEFORE)
        start = space + 1 if space >= 0 else start
    line = one_line(text[start : start + 2 * LENGTH])
    cut = line[:LENGTH]
    line = ("…" if start else "") + cut + ("…" if len(cut) < len(line) or start + 2 * LENGTH < len(text) else "")
    return line, tuple((begin, end) for begin, end, _ in _places(line, terms, MAX_MARKS))


def _places(text: str, terms: Sequence[Term], most: int) -> list[tuple[int, int, str]]:
    """Where words of the search are: (start, end, which one)."""
    found: list[tuple[int, int, str]] = []
    for match in pattern().finditer(text):
        word, begin = plain(match[0]), match.start()
        for term in terms:
            if match.lastgroup == "unspaced":
                at = word.find(term.text)
                if at >= 0:
                    found.append((begin + at, min(begin + at + len(term.text), match.end()), term.text))
            elif word == term.text if term.whole else word.startswith(term.text):
                found.append((begin, min(begin + len(term.text), match.end()), term.text))
        if len(found) >= most:
            break
    return _apart(found)


def _apart(places: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """The same without places within others; those of neighbouring signs become one."""
    apart: list[tuple[int, int, str]] = []
    for begin, end, term in sorted(places, key=lambda place: (place[0], -place[1])):
        if apart and begin < apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]), apart[-1][2])
        else:
            apart.append((begin, end, term))
    return apart


def _best(places: list[tuple[int, int, str]]) -> int:
    """Where to begin so that the most different words are near."""

    def near(at: int) -> int:
        return len({term for begin, _, term in places if at <= begin < at + LENGTH - BEFORE})

    return max((begin for begin, _, _ in places), key=near)
