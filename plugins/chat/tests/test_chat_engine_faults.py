"""Answers while the database is away, refuses something or forgets it, and after their server is gone."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest
from chatpuppet import END, Told, heard, puppets, until
from moorage.api import Unavailable
from moorage_chat.engine import closing, journal, peers, service, upkeep
from moorage_chat.models import ChatEvents, ChatGeneration
from moorage_chat.providers.base import Reasoning, Text, Usage
from waits import WAIT


@pytest.fixture
def run(moorage_server):
    return puppets(moorage_server)


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
            await until(lambda: kept.written >= 3)
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
                await until(lambda: lives.find(id).log.unwritable)
                await until(lambda: lives.find(other).log.written >= 1)
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
