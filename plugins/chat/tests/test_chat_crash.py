"""Answers when their server ends: killed, stopped, reloaded. What was said is kept, and counted once."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest
from chatsite import ChatSite, text, until
from realparts.llm import Hang, Llm, Say


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    made = Llm()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory, llm) -> Iterator[ChatSite]:
    chat = {"providers": {"single": {"base_url": llm.url, "max_parallel": 1}}}
    with ChatSite.running(tmp_path_factory.mktemp("site"), llm, chat=chat) as made:
        yield made


def used(chat):
    return chat.client.get("/chat/usage").json()["today"]


def test_what_was_said_until_the_server_was_killed_is_kept(site, llm):
    llm.script("a power cut", Hang("Said before the cut"))
    chat = site.chat()
    before = used(chat)
    conversation, waiting = chat.ask("Then comes a power cut"), chat.ask("Then comes a power cut")
    with (
        chat.stream(conversation, provider_id="single") as stream,
        chat.stream(waiting, provider_id="single") as queued,
    ):
        queued.until("status", status="queued")
        stream.until("delta", delta=" cut")
        # What is written down four times a second is in the database once it can be read from there.
        until(lambda: rows(site, stream.id) >= 5)
        site.server.kill()
        with pytest.raises(httpx.TransportError):
            list(stream)
    site.server.start()
    said = chat.messages(conversation)[1]
    assert (said["content"], said["status"]) == ("Said before the cut", "partial")
    shown = chat.generation(stream.id)
    assert (shown["status"], shown["message_id"]) == ("interrupted", said["id"])
    with chat.follow(stream.id) as again:
        events = list(again)
    assert text(events) == "Said before the cut"
    assert (events[-1].type, events[-1].data["status"]) == ("done", "interrupted")
    # A page that reloads takes up the rest: the end.
    with chat.follow(stream.id, after=5) as rest:
        assert [event.type for event in rest] == ["ping", "usage", "done"]
    # So does one that was told more than had been written down.
    with chat.follow(stream.id, after=9) as rest:
        assert [event.type for event in rest] == ["ping", "usage", "done"]
    # The one that waited has said nothing, leaves nothing, and costs nothing.
    assert chat.generation(queued.id)["status"] == "interrupted"
    assert len(chat.messages(waiting)) == 1
    after = used(chat)
    assert after["messages"] - before["messages"] == 1
    assert after["total_tokens"] - before["total_tokens"] == said["token_usage"]["total_tokens"]
    # And it goes on.
    llm.script("a power cut", Say("Back again"))
    assert text(chat.answer(waiting)) == "Back again"
    assert text(chat.answer(conversation)) == "Back again"


def rows(site, generation):
    """The number of the last event that is written down."""
    with closing(sqlite3.connect(f"file:{site.server.data_dir}/moorage.db?mode=ro", uri=True)) as database:
        query = "SELECT MAX(last_seq) FROM chat_events WHERE generation_id = ?"
        return database.execute(query, [generation]).fetchone()[0] or 0


def test_a_server_that_is_stopped_tells_who_follows_and_keeps_the_text(site, llm):
    llm.script("going down", Hang("So far"))
    chat = site.chat()
    conversation = chat.ask("It is going down")
    llm.clear()
    with chat.stream(conversation) as stream:
        stream.until("delta", delta=" far")
        site.server.signal(signal.SIGTERM)
        assert stream.until("done").data["status"] == "interrupted"
        llm.wait_left()
    until(lambda: site.server.process.poll() is not None)
    assert site.server.stop() == 0
    site.server.start()
    said = chat.messages(conversation)[1]
    assert (said["content"], said["status"]) == ("So far", "partial")
    assert chat.generation(stream.id)["status"] == "interrupted"


def test_a_reload_that_replaces_the_plugin_ends_its_answers_tidily(site, llm):
    llm.script("other settings", Hang("Until then"))
    chat = site.chat()
    conversation = chat.ask("Now come other settings")
    with chat.stream(conversation) as stream:
        stream.until("delta", delta=" then")
        site.server.write_config({"plugins": {"chat": {"ping_seconds": 3.0}}})
        site.server.signal(signal.SIGHUP)
        assert stream.until("done").data["status"] == "interrupted"
    said = chat.messages(conversation)[1]
    assert (said["content"], said["status"]) == ("Until then", "partial")
    llm.script("other settings", Say("And on"))
    assert text(chat.answer(conversation)) == "And on"
