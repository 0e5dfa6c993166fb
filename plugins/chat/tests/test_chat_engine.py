"""Answers as the engine makes them: what watchers, settings, limits and rights do to them."""

from __future__ import annotations

import asyncio
import json

import pytest
from chatpuppet import END, Puppeteer, Told, User, heard, puppets, until
from moorage_chat.engine import journal, live, log, service
from moorage_chat.engine.titles import made_of
from moorage_chat.models import ChatEvents, ChatGeneration, ChatMessage
from moorage_chat.providers.base import ErrorCode, ProviderError, Text, Usage
from moorage_chat.views import stream as stream_views
from waits import WAIT


@pytest.fixture
def run(moorage_server):
    return puppets(moorage_server)


# -- nobody watches -----------------------------------------------------------------------------------------------


async def test_an_answer_that_nobody_watches_goes_on(run):
    async with run() as (_, puppet, ann):
        conversation = await ann.ask()
        async with ann.stream(conversation) as (id, stream):
            puppet.says.put_nowait(Text("a"))
            await heard(stream, "delta")
        for piece in (Text("b"), Usage(1, 2), END):
            puppet.says.put_nowait(piece)
        await ann.becomes(id, "ok")
        assert await ann.messages(conversation) == [("user", "Hello", "complete"), ("assistant", "ab", "complete")]
        assert (await ann.follow(id)).text() == "ab"


@pytest.mark.parametrize("how", ["cancel", "grace:0"])
async def test_an_answer_that_nobody_watches_is_stopped_where_the_settings_say_so(run, how):
    async with run(on_disconnect=how) as (_, puppet, ann):
        conversation = await ann.ask()
        async with ann.stream(conversation) as (id, stream):
            puppet.says.put_nowait(Text("so far"))
            await heard(stream, "delta")
        async with asyncio.timeout(WAIT):
            await puppet.let_go.wait()
        await ann.becomes(id, "canceled")
        assert (await ann.messages(conversation))[1] == ("assistant", "so far", "canceled")


async def test_who_comes_back_in_time_saves_the_answer(run):
    async with run(on_disconnect="grace:2") as (app, puppet, ann):
        async with ann.stream(await ann.ask()) as (id, stream):
            puppet.says.put_nowait(Text("a"))
            await heard(stream, "delta")
        following = asyncio.create_task(ann.follow(id))
        running = app.plugin("chat").engine.running.find(id)
        await until(lambda: running.watched)
        await asyncio.sleep(2.2)
        puppet.says.put_nowait(END)
        assert (await following).done["status"] == "ok"


async def test_a_client_that_leaves_before_it_has_heard_anything_left_half_of_nothing(run, monkeypatch):
    monkeypatch.setattr(live, "FIRST_WATCHER", 0.1)
    monkeypatch.setattr(service, "FIRST_WATCHER", 0.1)
    async with run(on_disconnect="cancel") as (app, puppet, ann):
        conversation, engine = await ann.ask(), app.plugin("chat").engine
        with app.hub("chat").db.activate():
            found = await app.plugin("chat").conversations.get(ann.client.actor, conversation)
            generation = await engine.start(ann.client.actor, found, service.GenerationOptions())
            await ann.becomes(generation.id, "canceled")
        assert puppet.let_go.is_set()


# -- bounds -------------------------------------------------------------------------------------------------------


async def test_the_longest_time_of_an_answer(run):
    async with run(max_seconds=0.3) as (_, puppet, ann):
        conversation = await ann.ask()
        async with ann.stream(conversation) as (_, stream):
            puppet.says.put_nowait(Text("slow"))
            told = Told([event async for event in stream])
        assert [kind for kind, _ in told] == ["status", "delta", "usage", "error", "done"]
        assert told[-2][1]["code"] == "PROVIDER_TIMEOUT"
        assert (await ann.messages(conversation))[1] == ("assistant", "slow", "partial")


async def test_a_provider_that_does_not_let_go_is_left_behind(run, monkeypatch):
    async with run() as (_, puppet, ann):
        puppet.stubborn = True
        conversation = await ann.ask()
        async with ann.stream(conversation) as (id, stream):
            puppet.says.put_nowait(Text("I stay"))
            await heard(stream, "delta")
            assert (await ann.client.post(f"/chat/cancel/{id}")).status_code == 200
            assert (await heard(stream, "done"))["status"] == "canceled"
        assert (await ann.messages(conversation))[1] == ("assistant", "I stay", "canceled")
        puppet.stubborn = False
        async with asyncio.timeout(WAIT):
            await puppet.let_go.wait()


async def test_a_log_longer_than_the_memory_keeps_is_read_from_the_database(run, monkeypatch):
    monkeypatch.setattr(log, "KEPT", 20)
    monkeypatch.setattr(journal, "PAUSE", 0.01)
    async with run() as (app, puppet, ann):
        async with ann.stream(await ann.ask()) as (id, stream):
            kept = app.plugin("chat").engine.running.find(id).log
            for number in range(200):
                puppet.says.put_nowait(Text(f"{number} "))
                await heard(stream, "delta")
            await until(lambda: kept.since(0) is None)
            following = asyncio.create_task(ann.follow(id))
            puppet.says.put_nowait(Text("end"))
            puppet.says.put_nowait(END)
            told = await following
        assert told.text() == "".join(f"{number} " for number in range(200)) + "end"


async def test_a_client_that_takes_nothing_is_let_go_and_the_answer_goes_on(run, monkeypatch):
    monkeypatch.setattr(stream_views, "STALLED_SECONDS", 0.3)
    async with run(max_answer_bytes=64 * 1024 * 1024) as (app, puppet, ann):
        conversation, running = await ann.ask(), app.plugin("chat").engine.running
        _, deaf = await asyncio.open_connection("127.0.0.1", ann.client.base_url.port, limit=1024)
        head = f"POST /conversations/{conversation}/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
        deaf.write(f"{head}Authorization: Bearer {ann.client.key}\r\n\r\n".encode())
        await until(lambda: len(running) and not next(iter(running)).alone.is_set())
        (answering,) = running
        for _ in range(200):
            puppet.says.put_nowait(Text("x" * 64 * 1024))
        async with asyncio.timeout(WAIT):
            await answering.alone.wait()
        assert not answering.ended.is_set()
        deaf.close()
        puppet.says.put_nowait(END)
        await ann.becomes(answering.id, "ok")


# -- refusals -----------------------------------------------------------------------------------------------------


async def test_what_limits_refuse_leaves_nothing_behind(run):
    limits = {"operator": {"messages_per_day": 1}}
    async with run(limits=limits, max_running_per_user=1) as (_, puppet, ann):
        first, second = await ann.ask(), await ann.ask()
        async with ann.stream(first) as (_, stream):
            refused = await ann.client.post(f"/conversations/{second}/stream", json={})
            assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMITED")
            puppet.says.put_nowait(END)
            assert (await heard(stream, "done"))["status"] == "ok"
        refused = await ann.client.post(f"/conversations/{second}/stream", json={})
        assert (refused.status_code, refused.json()["code"]) == (429, "QUOTA_EXCEEDED")
        assert int(refused.headers["retry-after"]) > 0
        assert len(puppet.asked) == 1
        assert await ann.messages(second) == [("user", "Hello", "complete")]
        assert await ann.get(f"/conversations/{second}/generations") == []


async def test_who_may_not_use_models_is_refused(moorage_server):
    roles = {"reader": {"includes": "viewer", "denies": ["chat:model:use"]}}
    config = {"access": {"roles": roles}}
    async with moorage_server("chat", Puppeteer, config=config) as app:
        ann = User(app, await app.as_user("reader"))
        conversation = await ann.ask()
        answer = await ann.client.post(f"/conversations/{conversation}/stream", json={})
        assert answer.status_code == 403
        assert (await ann.client.post("/chat/retry", json={"conversation_id": conversation})).status_code == 403


# -- rights -------------------------------------------------------------------------------------------------------


async def test_an_answer_ends_with_the_right_to_it(run):
    async with run() as (app, puppet, ann):
        conversation, admin = await ann.ask(), await app.as_user("owner")
        async with ann.stream(conversation) as (id, stream):
            puppet.says.put_nowait(Text("so far"))
            await heard(stream, "delta")
            answer = await admin.delete(f"/api/v1/users/{ann.client.user.id}")  # Deactivated, that is.
            assert answer.status_code == 204, answer.text
            async with asyncio.timeout(WAIT):
                await puppet.let_go.wait()
        with app.hub("chat").db.activate():
            await until(lambda: ChatGeneration.filter(id=id, status="canceled").exists())
            row = await ChatMessage.get(generation_id=id)
        assert (row.content, row.status) == ("so far", "canceled")


async def test_a_deleted_user_leaves_nothing(run):
    async with run() as (app, puppet, ann):
        admin = await app.as_user("owner")
        async with ann.stream(await ann.ask()) as (_, stream):
            puppet.says.put_nowait(Text("so far"))
            await heard(stream, "delta")
            answer = await admin.delete(f"/api/admin/users/{ann.client.user.pid}")
            assert answer.status_code in (200, 204), answer.text
            async with asyncio.timeout(WAIT):
                await puppet.let_go.wait()
        with app.hub("chat").db.activate():
            for model in (ChatMessage, ChatGeneration, ChatEvents):
                await until(lambda model=model: _none(model))


async def _none(model):
    return not await model.all().count()


async def test_a_key_that_is_revoked_stops_what_it_began(run):
    async with run() as (app, puppet, ann):
        conversation = await ann.ask()
        async with ann.stream(conversation) as (id, stream):
            puppet.says.put_nowait(Text("so far"))
            await heard(stream, "delta")
            with app.app.db.activate():
                await app.app.accounts.revoke_key(ann.client.actor.credential.id, by=ann.client.actor)
            async with asyncio.timeout(WAIT):
                await puppet.let_go.wait()
        with app.hub("chat").db.activate():
            await until(lambda: ChatGeneration.filter(id=id, status="canceled").exists())


async def test_the_operators_prompt_is_said_before_each_conversation_and_not_at_v1(run):
    async with run(system_prompt="Be brief.") as (_, puppet, ann):
        conversation = await ann.ask("Hello")
        async with ann.stream(conversation) as (_, stream):
            puppet.says.put_nowait(END)
            await heard(stream, "done")
        puppet.says.put_nowait(END)
        said = [{"role": "user", "content": "Hello"}]
        answer = await ann.client.post("/v1/chat/completions", json={"model": "puppet", "messages": said})
        assert answer.status_code == 200, answer.text
        assert [ask.messages for ask in puppet.asked] == [[{"role": "system", "content": "Be brief."}, *said], said]


async def test_the_oldest_pages_find_their_members_where_the_settings_say_so(run):
    async with run(sse_legacy_fields=True) as (_, puppet, ann):
        async with ann.stream(await ann.ask()) as (_, stream):
            puppet.says.put_nowait(Text("wörd"))
            puppet.says.put_nowait(ProviderError(ErrorCode.CONTEXT_LENGTH, "a secret"))
            told = Told([event async for event in stream])
        by_type = dict(told)
        assert by_type["delta"] == {"delta": "wörd", "type": "delta", "content": "wörd", "text": "wörd"}
        assert by_type["error"]["type"] == "error"
        assert by_type["error"]["error"] == by_type["error"]["message"]
        assert "secret" not in json.dumps(told)
        assert by_type["done"]["type"] == "done"


# -- titles -------------------------------------------------------------------------------------------------------


async def test_a_model_thinks_of_a_title_after_the_first_answer(run):
    async with run(titles="model") as (_, puppet, ann):
        conversation = await ann.ask("What is this about?")

        async def title():
            return (await ann.get(f"/conversations/{conversation}"))["title"]

        assert await title() == "What is this about?"
        async with ann.stream(conversation) as (_, stream):
            for piece in (Text("Everything"), Usage(1, 2), END):
                puppet.says.put_nowait(piece)
            await heard(stream, "done")

        async def thought_of():
            return await title() == "A good title"

        await until(thought_of)
        used = (await ann.get("/chat/usage"))["today"]
        assert (used["messages"], used["total_tokens"]) == (1, 10)


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ('"Quoted"', "Quoted"),
        ("<think>Let me\nsee</think>\n\n## Title: Plants", "Plants"),
        ("<think>without an end", ""),
        ("", ""),
        ("**Bold words**\nmore", "Bold words"),
        ("x" * 200, "x" * 79 + "…"),
    ],
)
def test_titles_are_cleaned(said, title):
    assert made_of(said) == title
