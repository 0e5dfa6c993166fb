"""Answers as the engine makes them: what the settings, rights, the database and other servers do to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest
from moorage.api import Manifest, Plugin, Unavailable, hookimpl
from moorage_chat.engine import closing, journal, live, log, peers, service, upkeep
from moorage_chat.engine.titles import made_of
from moorage_chat.models import ChatEvents, ChatGeneration, ChatMessage
from moorage_chat.providers.base import (
    Ask,
    Bounds,
    ErrorCode,
    Finish,
    ModelInfo,
    Piece,
    Provider,
    ProviderError,
    Reasoning,
    Text,
    Usage,
)
from moorage_chat.views import stream as stream_views
from waits import WAIT

END = Finish("stop")


class Puppet(Provider):
    """Says what a test puts into `says`; None: the provider's generator ends."""

    id, name, bounds = "puppet", "Puppet", Bounds(max_parallel=100)

    def __init__(self) -> None:
        self.says: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()
        self.asked: list[Ask] = []
        self.let_go = asyncio.Event()
        self.stubborn = False

    async def models(self) -> Sequence[ModelInfo]:
        return [ModelInfo("p", "p")]

    async def generate(self, ask: Ask) -> AsyncIterator[Piece]:
        self.asked.append(ask)
        if "title generator" in str(ask.messages[0]["content"]):
            for piece in (Reasoning("hm"), Text('Title: "A good title"\nand more'), Usage(3, 4), END):
                yield piece
            return
        try:
            while (piece := await self.says.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        except asyncio.CancelledError:
            while self.stubborn:
                await asyncio.sleep(0.05)
            raise
        finally:
            self.let_go.set()


class Puppeteer(Plugin):
    """Gives the puppet."""

    manifest = Manifest(name="puppeteer", version="1", summary="A puppet", requires=("chat",))

    def __init__(self) -> None:
        self.puppet = Puppet()

    @hookimpl(optionalhook=True)
    def moorage_chat_providers(self):
        return [self.puppet]


class Told(list):
    """The events of a stream, as (type, data without the generation's id)."""

    def text(self):
        return "".join(data["delta"] for kind, data in self if kind == "delta")

    @property
    def done(self):
        kind, data = self[-1]
        assert kind == "done"
        return data


class User:
    """A user's client, over HTTP."""

    def __init__(self, app, client):
        self.app, self.client = app, client

    async def ask(self, content="Hello"):
        conversation = (await self.client.post("/conversations", json={})).json()["id"]
        await self.say(conversation, content)
        return conversation

    async def say(self, conversation, content):
        answer = await self.client.post(f"/conversations/{conversation}/messages", json={"content": content})
        assert answer.status_code == 200, answer.text

    @asynccontextmanager
    async def stream(self, conversation):
        """(id, an iterator of (type, data)); the client leaves at the end."""
        async with self.client.stream("POST", f"/conversations/{conversation}/stream", json={}) as response:
            if response.status_code != 200:
                await response.aread()
            assert response.status_code == 200, response.text
            yield response.headers["x-generation-id"], events(response)

    async def follow(self, id, after=0):
        async with self.client.stream("GET", f"/chat/generations/{id}/stream?after={after}") as response:
            assert response.status_code == 200
            return Told([event async for event in events(response)])

    async def get(self, path):
        answer = await self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def messages(self, conversation):
        return [
            (one["role"], one["content"], one["status"])
            for one in await self.get(f"/conversations/{conversation}/messages")
        ]

    async def becomes(self, id, status):
        await until(lambda: self._is(id, status))

    async def _is(self, id, status):
        return (await self.get(f"/chat/generations/{id}"))["status"] == status


async def events(response):
    rest = ""
    async for chunk in response.aiter_text():
        *whole, rest = (rest + chunk).split("\n\n")
        for block in whole:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            data = json.loads(fields["data"])
            del data["generation_id"]
            if fields["event"] != "ping":
                yield fields["event"], data


async def heard(stream, kind):
    """The next event of that kind."""
    async for found, data in stream:
        if found == kind:
            return data
    raise AssertionError(f"no {kind}")


async def until(there):
    async with asyncio.timeout(WAIT):
        while not await there():
            await asyncio.sleep(0.01)


@pytest.fixture
def run(moorage_server):
    """A server with the puppet: (app, puppet, ann)."""

    @asynccontextmanager
    async def made(**chat):
        async with moorage_server("chat", Puppeteer, config={"plugins": {"chat": chat}}) as app:
            yield app, app.plugin("puppeteer").puppet, User(app, await app.as_user())

    return made


@contextmanager
def failing(monkeypatch, name, *, times=10**9, error=None):
    """The store's function fails, as when the database is away; what it was called with."""
    error = error or Unavailable("The disk of the database is full")
    real, calls = getattr(service.generations, name), []

    async def fails(*args, **options):
        calls.append(args)
        if len(calls) <= times:
            raise error
        return await real(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(service.generations, name, fails)
        yield calls


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
        await until(lambda: _true(running.watched))
        await asyncio.sleep(2.2)
        puppet.says.put_nowait(END)
        assert (await following).done["status"] == "ok"


async def _true(value):
    return value


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
            await until(lambda: _true(kept.since(0) is None))
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
        await until(lambda: _true(len(running) and not next(iter(running)).alone.is_set()))
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


# -- the database is away -----------------------------------------------------------------------------------------


async def test_the_end_is_told_once_it_is_stored_and_counted_once(run, monkeypatch):
    monkeypatch.setattr(closing, "RETRIES", (0.05,))
    async with run() as (_, puppet, ann):
        conversation = await ann.ask()
        with failing(monkeypatch, "write", times=4) as calls:
            async with ann.stream(conversation) as (_, stream):
                for piece in (Text("kept"), Usage(5, 6), END):
                    puppet.says.put_nowait(piece)
                done = await heard(stream, "done")
        assert len(calls) >= 5
        assert done["status"] == "ok"
        assert (await ann.messages(conversation))[1] == ("assistant", "kept", "complete")
        today = (await ann.get("/chat/usage"))["today"]
        assert (today["messages"], today["total_tokens"]) == (1, 11)


async def test_who_follows_is_told_of_an_end_that_cannot_be_stored_and_it_is_stored_later(run, monkeypatch):
    monkeypatch.setattr(closing, "RETRIES", (0.02,))
    monkeypatch.setattr(closing, "TELL_SECONDS", 0.1)
    async with run() as (_, puppet, ann):
        conversation = await ann.ask()
        with failing(monkeypatch, "write"):
            async with ann.stream(conversation) as (id, stream):
                puppet.says.put_nowait(Text("later"))
                puppet.says.put_nowait(END)
                told = Told([event async for event in stream])
            assert (told.done["status"], told[-2][0]) == ("error", "error")
            assert [kind for kind, _ in told].count("done") == 1
            assert await ann.messages(conversation) == [("user", "Hello", "complete")]
        await ann.becomes(id, "ok")
        assert (await ann.messages(conversation))[1] == ("assistant", "later", "complete")
        assert (await ann.follow(id)).text() == "later"
        assert (await ann.get("/chat/usage"))["today"]["messages"] == 1


async def test_events_that_were_written_after_all_are_not_written_twice(run, monkeypatch):
    """A commit of which the server did not hear."""
    monkeypatch.setattr(journal, "PAUSE", 0.01)
    monkeypatch.setattr(journal, "RETRY", 0.01)
    async with run() as (app, puppet, ann):
        real, written = service.generations.write, asyncio.Event()

        async def loses(rows):
            await real(rows)
            if not written.is_set():
                app.hub("chat").db.after_commit(written.set)
                app.hub("chat").db.after_commit(lambda: None)

        conversation = await ann.ask()
        monkeypatch.setattr(service.generations, "write", loses)
        async with ann.stream(conversation) as (id, stream):
            puppet.says.put_nowait(Text("a"))
            await heard(stream, "delta")
            await written.wait()
            kept = app.plugin("chat").engine.running.find(id).log
            kept.written = 0  # As if it had failed.
            puppet.says.put_nowait(Text("b"))
            await until(lambda: _true(kept.written >= 3))
            kept.written = 0
            puppet.says.put_nowait(END)
            assert (await heard(stream, "done"))["status"] == "ok"
        with app.hub("chat").db.activate():
            rows = await ChatEvents.filter(generation_id=id).order_by("first_seq")
        numbers = [event[0] for row in rows for event in row.events]
        assert numbers == list(range(1, len(numbers) + 1))


async def test_what_cannot_be_stored_of_one_answer_costs_neither_its_text_nor_anybody_elses(run, monkeypatch):
    monkeypatch.setattr(journal, "PAUSE", 0.01)
    monkeypatch.setattr(closing, "RETRIES", (0.01,))
    async with run() as (app, puppet, ann):
        real, bad = service.generations.rows, []

        def spoilt(id, events):
            if id in bad and any(event.type == "delta" for event in events):
                raise ValueError("no text that a database takes")
            return real(id, events)

        monkeypatch.setattr(service.generations, "rows", spoilt)
        first, second = await ann.ask(), await ann.ask()
        async with ann.stream(first) as (id, spoiling):
            bad.append(id)
            puppet.says.put_nowait(Text("one"))
            await heard(spoiling, "delta")
            async with ann.stream(second) as (other, stream):
                puppet.says.put_nowait(Text("two"))  # To whoever waits longest, of both.
                lives = app.plugin("chat").engine.running
                await until(lambda: _true(lives.find(id).log.unwritable))
                await until(lambda: _true(lives.find(other).log.written >= 1))
                for _ in range(2):
                    puppet.says.put_nowait(END)
                assert (await heard(stream, "done"))["status"] == "ok"
            assert (await heard(spoiling, "done"))["status"] == "ok"
        texts = [(await ann.messages(one))[1][1] for one in (first, second)]
        assert "".join(texts) == "onetwo"
        # Who comes later, after the memory has let go of it, is told the whole text as well.
        lives.forget(first)
        assert (await ann.follow(id)).text() == texts[0]


async def test_an_end_that_can_never_be_stored_is_given_up_and_the_conversation_goes_on(run, monkeypatch):
    monkeypatch.setattr(closing, "RETRIES", (0.01,))
    monkeypatch.setattr(peers, "STOP_SECONDS", 0.2)
    async with run() as (_, puppet, ann):
        conversation = await ann.ask()
        with failing(monkeypatch, "end", error=ValueError("nothing that a database takes")) as calls:
            async with ann.stream(conversation) as (id, stream):
                for piece in (Text("lost"), Usage(5, 6), END):
                    puppet.says.put_nowait(piece)
                told = Told([event async for event in stream])
        assert (told.done["status"], told[-2][0], len(calls)) == ("error", "error", closing.MAX_REFUSED)
        async with ann.stream(conversation) as (_, stream):
            puppet.says.put_nowait(Text("next"))
            puppet.says.put_nowait(END)
            assert (await heard(stream, "done"))["status"] == "ok"
        assert (await ann.messages(conversation))[-1] == ("assistant", "next", "complete")
        # What it had used is counted by what was written before.
        assert (await ann.get(f"/chat/generations/{id}"))["status"] == "interrupted"
        assert (await ann.get("/chat/usage"))["today"]["messages"] == 2


# -- what is let go -----------------------------------------------------------------------------------------------


async def test_old_events_are_let_go_and_the_answer_is_told_from_the_message(run):
    async with run(keep_events_seconds=0) as (app, puppet, ann):
        async with ann.stream(await ann.ask()) as (id, stream):
            for piece in (Reasoning("think"), Text("Hello "), Text("you"), Usage(1, 2), END):
                puppet.says.put_nowait(piece)
            await heard(stream, "done")
        engine = app.plugin("chat").engine
        with app.hub("chat").db.activate():
            await engine._upkeep.look()
            assert not await ChatEvents.all().count()
        engine.running._ended.clear()
        told = await ann.follow(id)
        assert [kind for kind, _ in told] == ["reasoning", "delta", "usage", "done"]
        assert told.text() == "Hello you"
        assert [kind for kind, _ in await ann.follow(id, after=3)] == ["usage", "done"]


async def test_an_answer_whose_server_is_gone_for_long_is_ended_by_another(run):
    async with run(max_seconds=1) as (app, puppet, ann):
        conversation = await ann.ask()
        async with ann.stream(conversation) as (id, stream):
            puppet.says.put_nowait(Text("so far"))
            await heard(stream, "delta")
            engine = app.plugin("chat").engine
            with app.hub("chat").db.activate():
                await until(lambda: ChatEvents.filter(generation_id=id, last_seq__gte=2).exists())
                long_ago = (await ChatGeneration.get(id=id)).started_at - 2 * upkeep.LATE
                await ChatGeneration.filter(id=id).update(started_at=long_ago, server="elsewhere")
                await engine._upkeep.look()
            assert (await ann.messages(conversation))[1] == ("assistant", "so far", "partial")
            # If it lives after all, it does not store or count a second time, and lets its provider go.
            async with asyncio.timeout(WAIT):
                await puppet.let_go.wait()
            assert (await heard(stream, "done"))["status"] == "interrupted"
        assert (await ann.messages(conversation))[1] == ("assistant", "so far", "partial")
        assert (await ann.get("/chat/usage"))["today"]["messages"] == 1


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
