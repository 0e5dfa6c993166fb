"""Conversations as files: JSON (one), JSONL (one a line) and Markdown to read; and JSON and JSONL back in.

The JSON is our own, so that nothing is lost: messages with their branches, in which numbers of the file's own say what
follows what.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from moorage.api import Actor, BadRequest, Hub, ValidationFailed, parse_json
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, ValidationError

from moorage_chat.config import ChatConfig
from moorage_chat.records import Conversation, Message, MessageStatus, Role, Space
from moorage_chat.store import tree
from moorage_chat.store.conversations import Conversations, Ref
from moorage_chat.store.text import LINE_TITLE, MAX_TITLE, first_line, one_line, sound, sound_json

FORMAT, VERSION = "moorage-chat", 1
MAX_AT_ONCE = 1000
"""Conversations of one import."""
MAX_PARTS = 4 * 1024 * 1024
"""Bytes of what a message has beside its text, as JSON."""
PAGE = 100
_NAMES = {Role.USER: "User", Role.ASSISTANT: "Assistant", Role.SYSTEM: "System", Role.TOOL: "Tool"}


class FileMessage(BaseModel):
    """A message in a file. id: any number, once in a file; parent, retry_of: of a message that stands before it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    parent: int | None = None
    retry_of: int | None = None
    role: Role
    content: str = ""
    status: MessageStatus = MessageStatus.COMPLETE
    created_at: AwareDatetime | NaiveDatetime | None = None
    provider: str | None = Field(None, max_length=64)
    model: str | None = Field(None, max_length=256)
    usage: dict[str, int | bool | None] | None = Field(None, max_length=16)
    parts: dict[str, Any] = {}


class FileConversation(BaseModel):
    """A conversation in a file. head: the number of the message at the end of the branch that is shown."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    format: Literal["moorage-chat"]
    version: Literal[1]
    title: str = ""
    mode: Literal["chat", "tool", "agent"] = "chat"
    created_at: AwareDatetime | NaiveDatetime | None = None
    head: int | None = None
    messages: list[FileMessage]


class Portable:
    """Gives conversations out as files, and takes them in again."""

    def __init__(self, hub: Hub, config: ChatConfig, conversations: Conversations) -> None:
        self._hub, self._config, self._conversations = hub, config, conversations

    # -- out -----------------------------------------------------------------------------------------------------

    async def as_json(self, actor: Actor, ref: Ref) -> dict[str, Any]:
        """A conversation with all its branches. Errors as of `Conversations.get`."""
        found = await self._conversations.get(actor, ref)
        return _file(found, await tree.listed(self._hub, found.id))

    async def as_markdown(self, actor: Actor, ref: Ref) -> str:
        """The branch that is shown, to read. Errors as of `Conversations.get`."""
        found = await self._conversations.get(actor, ref)
        return _markdown(found, await tree.path(self._hub, found.id, found.head_id))

    async def lines(self, actor: Actor, space: Space) -> AsyncIterator[str]:
        """All the actor's own as JSONL, a line at a time, those that changed last before others. Forbidden."""
        seen: set[int] = set()
        offset = 0
        while page := await self._conversations.page(actor, space, limit=PAGE, offset=offset):
            # What changes meanwhile comes to the front: the rest moves back, and some come twice.
            for found in page:
                if found.id not in seen:
                    seen.add(found.id)
                    messages = await tree.listed(self._hub, found.id)
                    yield json.dumps(_file(found, messages), ensure_ascii=False, separators=(",", ":")) + "\n"
            offset += PAGE

    # -- in ------------------------------------------------------------------------------------------------------

    async def take(self, actor: Actor, space: Space, text: bytes | str) -> list[Conversation]:
        """Store what a file holds, JSON of one or JSONL of several, as new conversations of the actor's.

        BadRequest for what is no JSON, ValidationFailed for what is not ours: then nothing is stored. Conflict
        (TOO_MANY_CONVERSATIONS): those that came before are stored.
        """
        # Beside the event loop: of a file as large as may be it takes seconds.
        files = await asyncio.to_thread(lambda: [self._checked(value, where) for value, where in _values(text)])
        if not files:
            raise BadRequest("There is no conversation in the file")
        return [await self._store(actor, space, file) for file in files]

    def _checked(self, value: Any, where: str) -> FileConversation:
        if not isinstance(value, Mapping):
            raise _no_export(f"{where}no conversation")
        messages = value.get("messages")
        if isinstance(messages, list) and len(messages) > self._config.max_messages:
            raise _wrong([{"field": where + "messages", "message": f"are more than {self._config.max_messages}"}])
        try:
            file = FileConversation.model_validate(value)
        except ValidationError as error:
            problems = [
                {"field": where + ".".join(str(part) for part in item["loc"]), "message": item["msg"]}
                for item in error.errors(include_url=False, include_input=False, include_context=False)[:20]
            ]
            raise _wrong(problems) from None
        most = max(self._config.max_message_bytes, self._config.max_answer_bytes)
        seen: set[int] = set()
        for number, message in enumerate(file.messages):
            if reason := _lacking(message, seen, most):
                raise _wrong([{"field": f"{where}messages.{number}", "message": reason}])
            seen.add(message.id)
        if file.head is not None and file.head not in seen:
            raise _wrong([{"field": where + "head", "message": "is no message of the file"}])
        return file

    async def _store(self, actor: Actor, space: Space, file: FileConversation) -> Conversation:
        now = datetime.now(UTC)
        numbered = enumerate(file.messages, 1)
        messages = await asyncio.to_thread(lambda: [_message(message, seq, now) for seq, message in numbered])
        title = one_line(sound(file.title))[:MAX_TITLE]
        if not title:
            texts = (message.content for message in messages if message.role is Role.USER)
            title = next((line for line in map(first_line, texts) if line), "")[:LINE_TITLE]
        return await self._conversations.add(
            actor,
            space,
            messages,
            title=title,
            mode=file.mode,
            created_at=min(_utc(file.created_at, now), now),
            head_id=file.head,
        )


def _values(text: bytes | str) -> list[tuple[Any, str]]:
    """What stands in a file, and how its place is called in errors."""
    try:
        whole = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError:
        raise BadRequest("The file is not valid UTF-8") from None
    lines = [(number, line) for number, line in enumerate(whole.split("\n"), 1) if line.strip()]
    if len(lines) > 1 and lines[0][1].lstrip().startswith("{") and lines[0][1].rstrip().endswith("}"):
        if len(lines) > MAX_AT_ONCE:
            raise BadRequest(f"The file has more than {MAX_AT_ONCE} conversations: divide it")
        return [(_parsed(line, f"line {number}: "), f"line {number}: ") for number, line in lines]
    return [(_parsed(whole, ""), "")] if lines else []


def _parsed(text: str, where: str) -> Any:
    try:
        return parse_json(text)
    except BadRequest as error:
        raise _no_export(f"{where}{error.message}") from None


def _no_export(reason: str) -> BadRequest:
    return BadRequest(f"Only what was exported as JSON can be brought in: {reason}")


def _lacking(message: FileMessage, seen: set[int], most: int) -> str:
    """What is wrong with a message of a file, after those of `seen`; "" when nothing is."""
    if message.id in seen:
        return "has the id of another message"
    if any(other is not None and other not in seen for other in (message.parent, message.retry_of)):
        return "follows, or is a copy of, a message that does not stand before it"
    if len(message.content.encode()) > most:
        return f"has a text of more than {most} bytes"
    try:
        size = len(json.dumps(message.parts, allow_nan=False))
    except ValueError:
        return "has a number in its parts that is too large"
    return f"has parts of more than {MAX_PARTS} bytes" if size > MAX_PARTS else ""


def _message(message: FileMessage, seq: int, now: datetime) -> Message:
    running = message.status is MessageStatus.RUNNING
    return Message(
        id=message.id,
        pid="",
        conversation_id=0,
        seq=seq,
        parent_id=message.parent,
        role=message.role,
        content=sound(message.content),
        status=MessageStatus.PARTIAL if running else message.status,
        created_at=min(_utc(message.created_at, now), now),
        retry_of=message.retry_of,
        usage=sound_json(message.usage),
        parts=sound_json(message.parts),
        provider=sound(message.provider) if message.provider is not None else None,
        model=sound(message.model) if message.model is not None else None,
    )


def _utc(at: datetime | None, now: datetime) -> datetime:
    if at is None:
        return now
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return now


def _file(found: Conversation, messages: Sequence[Message]) -> dict[str, Any]:
    places = {message.id: message.seq for message in messages}
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": found.title,
        "mode": found.mode,
        "created_at": found.created_at.isoformat(),
        "updated_at": found.updated_at.isoformat(),
        "head": places.get(found.head_id or 0),
        "messages": [_entry(message, places) for message in messages],
    }


def _entry(message: Message, places: Mapping[int, int]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": message.seq,
        "parent": places.get(message.parent_id or 0),
        "role": message.role.value,
        "content": message.content,
        "status": message.status.value,
        "created_at": message.created_at.isoformat(),
    }
    more = {
        "retry_of": places.get(message.retry_of or 0),
        "provider": message.provider,
        "model": message.model,
        "usage": message.usage,
        "parts": message.parts,
    }
    return entry | {key: value for key, value in more.items() if value}


def _markdown(found: Conversation, messages: Sequence[Message]) -> str:
    parts = [f"# {found.title}"]
    for message in messages:
        head = f"## {_NAMES[message.role]} · {message.created_at:%Y-%m-%d %H:%M} UTC"
        if message.role is Role.ASSISTANT and message.model:
            head += f" · {one_line(message.model)}"
        if message.status is not MessageStatus.COMPLETE:
            head += f" · {message.status.value}"
        parts += [head, message.content.strip("\n")]
    return "\n\n".join(parts) + "\n"


def _wrong(problems: list[dict[str, str]]) -> ValidationFailed:
    text = "; ".join(f"{one['field']}: {one['message']}" for one in problems[:5])
    return ValidationFailed(text, problems=problems)
