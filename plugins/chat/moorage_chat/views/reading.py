"""What the views read: ids in paths, queries, and bodies in the variants that the contract's pages have sent.

Source of the variants: `api/chat.md` and the generations of its page: `model_id` and `generation_settings` of older
ones, bodies without a content type of the oldest, which browsers then call text/plain.
"""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Literal, TypeVar

from moorage.api import Exchange, NotFound, UnsupportedMediaType, current_actor, parse_json, validate
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator
from quart import request

from moorage_chat.config import ChatConfig
from moorage_chat.engine.live import GenerationOptions
from moorage_chat.store.rows import MAX_ID
from moorage_chat.store.text import MAX_TITLE

T = TypeVar("T", bound=BaseModel)
MAX_BODY = 64 * 1024
"""Bytes of a body that holds no message."""
LONG = 256 * 1024
"""Bytes of a body that others do not wait for while it is read."""
Id = Annotated[StrictInt, Field(ge=1, le=MAX_ID)]
Name = Annotated[StrictStr, Field(max_length=256, pattern="^[^\0]*$")]
Title = Annotated[StrictStr, Field(max_length=MAX_TITLE)]
_ORBITAL = re.compile(r"[cm][a-z0-9]{24}")


class Own(BaseModel):
    """A body of our own routes: a field that is not there is a mistake. Those of the contracts let others pass."""

    model_config = ConfigDict(extra="forbid")


class OptionsBody(BaseModel):
    """Which model is to answer, and how: what `POST …/stream` and `POST /chat/retry` share. All may be left out.

    Older pages say `model_id` for `model`, and put temperature, top_p and max_tokens into `generation_settings`.
    """

    provider_id: Name | None = None
    model: Name | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    tool_sets: Annotated[list[Name], Field(max_length=64)] | None = Field(
        None, description="The sets of tools that the model may use; without it, those set for the conversation."
    )

    @model_validator(mode="before")
    @classmethod
    def read_older(cls, data: Any) -> Any:
        """Put what older pages say where newer ones do. What is said both ways counts as the newer ones say it."""
        if not isinstance(data, dict):
            return data
        found = dict(data)
        settings = found.get("generation_settings")
        if isinstance(settings, dict):
            found = {key: settings[key] for key in ("temperature", "top_p", "max_tokens") if key in settings} | found
        for newer, older in (("model", "model_id"), ("provider_id", "provider")):
            if found.get(newer) is None and older in found:
                found[newer] = found[older]
        # Pages send what nobody has chosen as "".
        return {key: None if value == "" and key in ("provider_id", "model") else value for key, value in found.items()}

    def options(self) -> GenerationOptions:
        """As the engine takes it."""
        sets = None if self.tool_sets is None else tuple(self.tool_sets)
        return GenerationOptions(self.provider_id, self.model, self.temperature, self.top_p, self.max_tokens, sets)


class StreamBody(OptionsBody):
    """POST /conversations/{conversation_id}/stream."""


class RetryBody(OptionsBody):
    """POST /chat/retry."""

    conversation_id: Id


class FollowQuery(BaseModel):
    """GET /chat/generations/{generation_id}/stream."""

    after: int = Field(0, ge=0, le=MAX_ID, description="Only events with a greater `id`, as `Last-Event-ID` says too.")


class GenerationsQuery(BaseModel):
    """GET /conversations/{conversation_id}/generations."""

    active: bool = Field(False, description="Only what is being made.")


class PageQuery(BaseModel):
    """Which part of a list."""

    limit: int = Field(1000, ge=1, le=10_000)
    offset: int = Field(0, ge=0, le=MAX_ID)


class ConversationsQuery(PageQuery):
    """GET /conversations. A page past the end is empty."""

    q: Annotated[str, Field(max_length=500)] | None = Field(None, description="What titles must contain, in any case.")
    where: Literal["title", "messages"] = Field(
        "title", alias="in", description='"messages": conversations are found by what was said in them as well.'
    )


class ConversationBody(BaseModel):
    """POST /conversations. An empty title is none."""

    title: Title | None = None


class SettingsBody(OptionsBody):
    """What a conversation's next answers are made by, unless it is said otherwise then. null forgets a setting."""

    model_config = ConfigDict(extra="forbid")

    def given(self) -> dict[str, Any]:
        """What was said."""
        return self.model_dump(exclude_unset=True)


class ChangeBody(BaseModel):
    """PATCH /conversations/{conversation_id}. An empty title is none: the first line becomes it again."""

    title: Title | None = None
    settings: SettingsBody | None = None

    @model_validator(mode="after")
    def check_any(self) -> ChangeBody:
        """One of both."""
        if self.title is None and self.settings is None:
            raise ValueError("title or settings are needed")
        return self


class MessagesQuery(BaseModel):
    """GET /conversations/{conversation_id}/messages."""

    branch: Literal["all", "active"] = Field("all", description='"active": only the branch that is shown.')
    after_seq: int = Field(0, ge=0, le=MAX_ID, description="Only those with a greater `seq`.")
    limit: Annotated[int, Field(ge=1, le=100_000)] | None = Field(None, description="At most so many; else all.")


class MessageBody(BaseModel):
    """POST /conversations/{conversation_id}/messages. edit_of: the message in whose place it is said."""

    content: Annotated[StrictStr, Field(min_length=1)]
    edit_of: Id | None = None


class MessageRefBody(Own):
    """A message of the conversation."""

    message_id: Id


def conversation_id(text: str) -> int:
    """The number in a path of the chat contract. NotFound: no other id is one of its conversations."""
    return _number(text, "CONVERSATION_NOT_FOUND", "Conversation not found")


def user_id(text: str) -> int:
    """The number of a user in a path. NotFound."""
    return _number(text, "USER_NOT_FOUND", "User not found")


def conversation_pid(text: str) -> str:
    """The id in a path of Orbital's. NotFound."""
    if _ORBITAL.fullmatch(text) is None or text[0] != "c":
        raise NotFound("Conversation not found", code="CONVERSATION_NOT_FOUND")
    return text


async def read_body(model: type[T]) -> T:
    """The body of the view in hand; BadRequest, ValidationFailed, UnsupportedMediaType."""
    return validate(model, parse_json(await body_bytes()))


async def body_bytes() -> bytes:
    """The bytes of a body that may be JSON. UnsupportedMediaType."""
    checked_type(request.mimetype, csrf="X-CSRF-Token" in request.headers)
    data: bytes = await request.get_data(as_text=False)  # type: ignore[assignment]
    return data


def message_bytes(config: ChatConfig) -> int:
    """The longest body with a message: JSON may write each two bytes of a text as six."""
    return 3 * config.max_message_bytes + MAX_BODY


async def exchange_bytes(exchange: Exchange) -> bytes:
    """The same for a handler of exchanges; ClientLeft as well."""
    kind = exchange.headers.get("content-type", "").partition(";")[0].strip().lower()
    checked_type(kind, csrf="x-csrf-token" in exchange.headers)
    return await exchange.body()


async def exchange_body(exchange: Exchange, model: type[T]) -> T:
    """The body of an exchange, read; a long one beside the event loop. BadRequest and ValidationFailed as well."""
    data = await exchange_bytes(exchange)
    if len(data) < LONG:
        return validate(model, parse_json(data))
    return await asyncio.to_thread(lambda: validate(model, parse_json(data)))


def checked_type(kind: str, *, csrf: bool) -> None:
    """UnsupportedMediaType unless a body of that type may be JSON. csrf: whether the request shows a CSRF token.

    The oldest page says nothing of the type, so browsers send text/plain. Any page of any site could send that, so it
    is taken only where a token proves whose page it was (the gate has compared it), or where no cookie is behind it.
    """
    if not kind or kind == "application/json" or kind.endswith("+json"):
        return
    credential = current_actor().credential
    if kind == "text/plain" and (csrf or credential is None or credential.csrf is None):
        return
    raise UnsupportedMediaType("Expected a body of type application/json")


def _number(text: str, code: str, message: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    if not 0 < number <= MAX_ID:
        raise NotFound(message, code=code)
    return number
