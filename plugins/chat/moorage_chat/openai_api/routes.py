"""The routes of `/v1`. Source: OpenAI's API reference, Models and Chat completions."""

from __future__ import annotations

import asyncio
import json
import secrets
import time

from moorage.api import OPENAI, DeadlineExceeded, Exchange, Hub, MoorageError, Route, Routes, json_response
from quart import Response

from moorage_chat.config import ChatConfig
from moorage_chat.openai_api.completions import Answer, Completions
from moorage_chat.openai_api.dialect import refusal
from moorage_chat.openai_api.eventstream import EventStream
from moorage_chat.openai_api.naming import chosen, name_of
from moorage_chat.openai_api.reading import CompletionBody
from moorage_chat.openai_api.shapes import (
    DONE,
    Chunks,
    CompletionShape,
    ModelList,
    ModelShape,
    Whole,
    failed,
)
from moorage_chat.providers import faults
from moorage_chat.providers.base import Ask, ErrorCode, ProviderError
from moorage_chat.providers.registry import Choice, Providers
from moorage_chat.rights import GENERATE
from moorage_chat.views.reading import exchange_body
from moorage_chat.views.services import Services

BODIES = 8
"""How many of a user's longest messages one request may hold: all of a conversation comes with it, and its images."""
READ_SECONDS = 120.0
JSON = ((b"content-type", b"application/json"),)


class Front:
    """Reads requests and writes answers."""

    def __init__(self, hub: Hub, config: ChatConfig, providers: Providers, completions: Completions) -> None:
        self._hub, self._config, self._providers, self._completions = hub, config, providers, completions
        self.started = int(time.time())

    async def complete(self, exchange: Exchange) -> None:
        """Let a model answer: whole, or as a stream of `data:` events that ends with `[DONE]`.

        Tools are the client's own: the model's calls are handed to it. Nothing is stored; the user's limits hold, and
        count what is used. When the client leaves, the model is stopped. A failure after a stream has begun is an event
        `{"error": …}`, after which nothing comes.
        """
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = await exchange_body(exchange, CompletionBody)
        except TimeoutError:
            raise DeadlineExceeded("The request took too long to arrive") from None
        body.refuse_what_is_not_offered()
        choice = await chosen(self._providers, body.model)
        ask = body.ask(choice.model)
        if body.stream:
            await self._stream(exchange, choice, ask, usage=body.wants_usage)
        else:
            await self._whole(exchange, choice, ask)

    async def _whole(self, exchange: Exchange, choice: Choice, ask: Ask) -> None:
        id, created, whole = _new_id(), int(time.time()), Whole()
        answer: Answer | None = None
        try:
            async with self._completions.answer(exchange.actor, choice, ask) as answer:
                async for piece in answer.pieces():
                    whole.add(piece)
        except ProviderError as error:
            raise _refused(error, answer) from error
        found: CompletionShape = whole.completion(id, created, name_of(answer.choice), answer.reason, answer.usage())
        await exchange.answer(200, JSON, json.dumps(found, separators=(",", ":")).encode())

    async def _stream(self, exchange: Exchange, choice: Choice, ask: Ask, *, usage: bool) -> None:
        id, created = _new_id(), int(time.time())
        events = EventStream(exchange, self._hub.tasks, self._config.ping_seconds)
        answer: Answer | None = None
        chunks: Chunks | None = None
        async with events.kept_alive():
            try:
                async with self._completions.answer(exchange.actor, choice, ask) as answer:
                    async for piece in answer.pieces():
                        if chunks is None:
                            chunks = Chunks(id, created, name_of(answer.choice), usage=usage)
                            await events.send(chunks.first() + chunks.piece(piece))
                        else:
                            await events.send(chunks.piece(piece))
            except ProviderError as error:
                await _tell(exchange, events, _refused(error, answer))
                return
            except MoorageError as error:
                await _tell(exchange, events, error)
                return
            end = chunks or Chunks(id, created, name_of(answer.choice), usage=usage)
            parts = [end.first()] if chunks is None else []
            parts += [end.last(answer.reason), *([end.usage(answer.usage())] if usage else []), DONE]
            await events.send(b"".join(parts))

    def model(self, id: str, provider: str) -> ModelShape:
        """A model as its object."""
        return {"id": id, "object": "model", "created": self.started, "owned_by": provider}


def routes(services: Services) -> list[Route]:
    """`/v1/models` and `/v1/chat/completions`."""
    table = Routes()
    hub, config, providers = services.hub, services.config, services.providers
    front = Front(hub, config, providers, Completions(hub, config, providers, services.limits))

    @table.get("/v1/models", access=GENERATE.name, dialect=OPENAI, answer=ModelList)
    async def models() -> Response:
        """List the models of all providers that answer."""
        found = [
            front.model(name_of(Choice(one.id, model.id)), one.id)
            for one in await providers.listed()
            for model in one.models
        ]
        answer: ModelList = {"object": "list", "data": found}
        return json_response(answer)

    @table.get("/v1/models/{model:path}", access=GENERATE.name, dialect=OPENAI, answer=ModelShape)
    async def model(model: str) -> Response:
        """Show a model, by any of the names that it may be asked for."""
        choice = await chosen(providers, model)
        return json_response(front.model(name_of(choice), choice.provider))

    table.exchange(
        "POST",
        "/v1/chat/completions",
        access=GENERATE.name,
        dialect=OPENAI,
        max_body=BODIES * config.max_message_bytes,
        timeout=0,
        body=CompletionBody,
        answer=CompletionShape,
        also_types=("text/event-stream",),
        answers={502: None, 504: None},
    )(front.complete)
    return list(table)


async def _tell(exchange: Exchange, events: EventStream, error: MoorageError) -> None:
    """An error: as the answer, or within the stream if that has begun."""
    if not events.begun:
        raise error
    await events.send(failed(OPENAI.error(error, exchange.info.id)))


def _refused(error: ProviderError, answer: Answer | None) -> MoorageError:
    # A provider that failed somehow may have worked for it all the same.
    spent = answer is not None and (answer.spent or error.code is ErrorCode.ERROR)
    return refusal(error, faults.text(error.code), spent=spent)


def _new_id() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"
