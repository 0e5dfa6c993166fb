"""Answers over HTTP: how they are framed, followed, stopped and stored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chatsite import ChatSite, Sse, text
from realparts.llm import USAGE, Hang, Llm, Say


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    made = Llm()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory, llm) -> Iterator[ChatSite]:
    with ChatSite.running(tmp_path_factory.mktemp("site"), llm) as made:
        yield made


def test_an_answer_is_framed_as_the_page_reads_it_and_stored_before_it_is_done(site, llm):
    llm.script("two words", Say("Hello Wörld"))
    chat = site.chat()
    conversation = chat.ask("Say two words")
    with chat.stream(conversation) as stream:
        head = stream.response.headers
        assert head["content-type"] == "text/event-stream"
        assert (head["cache-control"], head["x-accel-buffering"]) == ("no-cache", "no")
        id = stream.id
        done = stream.until("done")
        # The page reads what is stored as soon as it hears `done`.
        (asked, said) = chat.messages(conversation)
        assert list(stream) == []
    ping, *events = stream.events
    assert (ping.type, ping.data["generation_id"], ping.id) == ("ping", id, None)
    assert events == [
        Sse("status", {"generation_id": id, "status": "running"}, 1),
        Sse("delta", {"generation_id": id, "delta": "Hello"}, 2),
        Sse("delta", {"generation_id": id, "delta": " Wörld"}, 3),
        Sse("usage", {"generation_id": id, "usage": USAGE}, 4),
        Sse("done", {"generation_id": id, "status": "ok", "message_id": said["id"], "usage": USAGE}, 5),
    ]
    assert done == events[-1]
    expected = {"role": "assistant", "content": "Hello Wörld", "status": "complete", "parent_id": asked["id"]}
    assert expected.items() <= said.items()
    assert (said["token_usage"], said["generation_id"]) == (USAGE, id)
    assert chat.generation(id) == {
        "generation_id": id,
        "conversation_id": conversation,
        "message_id": said["id"],
        "provider_id": "lm",
        "model": "scripted",
        "status": "ok",
        "token_usage": USAGE,
        "started_at": chat.generation(id)["started_at"],
        "ended_at": chat.generation(id)["ended_at"],
    }


def test_an_answer_is_cancelled_from_elsewhere_and_its_text_kept(site, llm):
    llm.script("hang on", Hang("So far and"))
    chat = site.chat()
    conversation = chat.ask("Now hang on")
    with chat.stream(conversation) as stream:
        stream.until("delta", delta=" and")
        assert chat.cancel(stream.id).json() == {"message": "Generation canceled"}
        done = stream.until("done")
    assert done.data["status"] == "canceled"
    said = chat.messages(conversation)[-1]
    assert (said["content"], said["status"]) == ("So far and", "canceled")
    again = chat.cancel(stream.id)
    assert (again.status_code, again.json()["code"]) == (404, "GENERATION_NOT_FOUND")


def test_who_comes_later_gets_all_of_it_or_the_rest(site, llm):
    llm.script("count to four", Say("one two three four", pause=0.05))
    chat = site.chat()
    conversation = chat.ask("Please count to four")
    with chat.stream(conversation) as stream:
        stream.until("delta")
        id = stream.id
    with chat.follow(id) as other:
        whole = list(other)
    assert text(whole) == "one two three four"
    assert [event.id for event in whole[1:]] == list(range(1, len(whole)))
    with chat.follow(id, after=3) as rest:
        assert [event.id for event in rest] == [None, *range(4, len(whole))]
    with chat.follow(id, query=None, after=None) as other:
        assert list(other)[1:] == whole[1:]
    assert chat.client.get(f"/chat/generations/{id}/stream", params={"after": len(whole) - 1}).status_code == 204
