"""Answers of models as streams of events: begun, followed from any tab, stopped. Source: `api/chat.md`, Chat.

To follow one again, to see how it is and to list them are our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from time import monotonic, time
from typing import Any

from moorage.api import (
    Actor,
    Exchange,
    Route,
    Routes,
    current_actor,
    current_request,
    json_response,
    parse_json,
    read_query,
    validate,
)
from quart import Response, request

from moorage_chat.config import ChatConfig
from moorage_chat.engine.bounded import run_to_end
from moorage_chat.engine.following import Follower
from moorage_chat.engine.log import PING
from moorage_chat.records import Conversation, Event, Generation, Space
from moorage_chat.rendering.sse import HEADERS, Renderer
from moorage_chat.rights import GENERATE, VIEW, WRITE
from moorage_chat.store.idempotency import HEADER, REPLAYED, Key, read_key
from moorage_chat.views import reading
from moorage_chat.views.reading import FollowQuery, GenerationsQuery, RetryBody, StreamBody, body_bytes
from moorage_chat.views.services import Services
from moorage_chat.views.shapes import AppendedAnswer, GenerationShape, Said, generation_shape

STREAM = "/conversations/{conversation_id}/stream"
GENERATION = "/chat/generations/{generation_id}"
START_SECONDS = 60.0
"""Until an answer has begun, or is refused."""
STALLED_SECONDS = 60.0
"""A client that takes nothing for so long is let go; it can come back and follow again."""
EVENTS = "text/event-stream"


def routes(services: Services) -> list[Route]:
    """All of them."""
    return [*_streams(services), *_generations(services)]


def _streams(services: Services) -> Routes:
    table = Routes()
    engine = services.engine

    @table.exchange(
        "POST",
        STREAM,
        access=GENERATE.name,
        timeout=0,
        max_body=reading.MAX_BODY,
        body=StreamBody,
        answer=str,
        media_type=EVENTS,
    )
    async def stream(exchange: Exchange) -> None:
        """Let a model answer the last message of the branch that is shown, and follow its answer.

        Events: `ping`, `status`, `reasoning`, `delta`, `tool_call`, `tool_result`, `usage`, `error`, and one `done` at
        the end. The answer goes on when the client leaves, as the server's settings say. With an Idempotency-Key, the
        same request again within a day follows the first one's answer.
        """
        actor, ref = exchange.actor, reading.conversation_id(exchange.params["conversation_id"])
        async with asyncio.timeout(START_SECONDS):
            raw = await reading.exchange_bytes(exchange)
            key = read_key(actor, exchange.headers.get(HEADER.lower()), f"POST {exchange.info.path}", raw)
            body = validate(StreamBody, parse_json(raw))
            found = await services.conversations.get(actor, ref, WRITE, space=Space.CHAT)
            begun = _begin(services, actor, found, body, key)
            generation, before = await run_to_end(services.hub.tasks, begun, "start of an answer")
        await _tell(exchange, services, generation.id, 0, again=before)

    @table.exchange(
        "GET",
        GENERATION + "/stream",
        access=VIEW.name,
        timeout=0,
        query=FollowQuery,
        answer=str,
        media_type=EVENTS,
        answers={204: None},
    )
    async def follow(exchange: Exchange) -> None:
        """Follow an answer: what has been said so far, or since `Last-Event-ID`, and what is said from now on.

        204 when the client has all of it already, so that browsers do not come back again.
        """
        after = _after(exchange)
        generation = await engine.find(exchange.actor, exchange.params["generation_id"], space=Space.CHAT)
        if after and await engine.told_all(generation.id, after):
            await exchange.answer(204)
            return
        await _tell(exchange, services, generation.id, after)

    return table


def _generations(services: Services) -> Routes:
    table = Routes()
    config, engine, conversations = services.config, services.engine, services.conversations

    @table.get(GENERATION, access=VIEW.name, answer=GenerationShape)
    async def get(generation_id: str) -> Response:
        """Show how an answer is, or was."""
        found = await engine.find(current_actor(), generation_id, space=Space.CHAT)
        return json_response(generation_shape(config, found))

    @table.get(
        "/conversations/{conversation_id}/generations",
        access=VIEW.name,
        query=GenerationsQuery,
        answer=list[GenerationShape],
    )
    async def listed(conversation_id: str) -> Response:
        """List the answers of a conversation, the newest first; with `active=1`, the one that is being made."""
        query = read_query(GenerationsQuery)
        found = await conversations.get(current_actor(), reading.conversation_id(conversation_id), space=Space.CHAT)
        return json_response([generation_shape(config, one) for one in await engine.listed(found, active=query.active)])

    @table.post("/chat/cancel/{generation_id}", access=WRITE.name, max_body=reading.MAX_BODY, answer=Said)
    async def cancel(generation_id: str) -> Response:
        """Stop an answer that is being made. What it has said is kept."""
        await engine.cancel(current_actor(), generation_id, space=Space.CHAT)
        return json_response({"message": "Generation canceled"})

    @table.post("/chat/retry", access=GENERATE.name, max_body=reading.MAX_BODY, body=RetryBody, answer=AppendedAnswer)
    async def retry() -> Response:
        """Say the last message of the user once more, beside the first; nothing is answered yet.

        What is said of the model holds for the next stream. With an Idempotency-Key, the same request again within a
        day adds nothing and is answered as the first was.
        """
        actor, raw = current_actor(), await body_bytes()
        key = read_key(actor, request.headers.get(HEADER), f"POST {current_request().path}", raw)
        body = validate(RetryBody, parse_json(raw))
        found = await conversations.get(actor, body.conversation_id, WRITE, space=Space.CHAT)
        options = body.options()
        choice = await engine.plan_retry(actor, found, options)

        async def add() -> dict[str, Any]:
            made = await engine.retry(actor, found, options, choice)
            return {"message_id": made.id, "conversation_id": made.conversation_id}

        made, before = await services.idempotency.once(key, add)
        return json_response(made, headers={REPLAYED: "true"} if before else None)

    return table


async def _begin(
    services: Services, actor: Actor, found: Conversation, body: StreamBody, key: Key | None
) -> tuple[Generation, bool]:
    """Start an answer; or find the one that was started by the same request, and True."""
    kept: Mapping[str, Any] | None = await services.idempotency.begin(key)
    if kept is not None:
        return await services.engine.find(actor, str(kept["generation_id"]), space=Space.CHAT), True

    async def keep(generation: Generation) -> None:
        await services.idempotency.keep(key, {"generation_id": generation.id})

    try:
        # The key is kept with the generation or not at all: no crash makes the same request ask a model twice.
        return await services.engine.start(actor, found, body.options(), also=keep), False
    except BaseException:
        await services.idempotency.drop(key)
        raise


async def _tell(exchange: Exchange, services: Services, id: str, after: int, *, again: bool = False) -> None:
    """Send the events of a generation until `done`, with a `ping` at once and then from time to time."""
    headers = [*HEADERS, (b"x-generation-id", id.encode())]
    if again:
        headers.append((REPLAYED.lower().encode(), b"true"))
    async with services.engine.follow(id, after) as follower:
        await exchange.begin(200, headers)
        if exchange.method != "HEAD":
            await _send(exchange, follower, services.config)


async def _send(exchange: Exchange, follower: Follower, config: ChatConfig) -> None:
    renderer = Renderer(follower.generation_id, legacy=config.sse_legacy_fields)
    await _write(exchange, renderer.render([_ping()]))
    due = monotonic() + config.ping_seconds
    while not follower.ended and not exchange.left:
        events = await follower.some(due - monotonic())
        if monotonic() >= due:
            events = [*events, _ping()] if not follower.ended else events
            due = monotonic() + config.ping_seconds
        if events:
            await _write(exchange, renderer.render(events))


async def _write(exchange: Exchange, chunk: bytes) -> None:
    # The follower holds no more than its place in the log, so a client that does not read costs little meanwhile.
    async with asyncio.timeout(STALLED_SECONDS):
        await exchange.write(chunk)


def _ping() -> Event:
    return Event(0, PING, {"ts": int(time())})


def _after(exchange: Exchange) -> int:
    """The number of the last event that the client has."""
    said = exchange.headers.get("last-event-id", "").strip()
    if said.isascii() and said.isdigit() and len(said) < 10:
        return int(said)
    return validate(FollowQuery, exchange.query).after
