"""Two servers over one PostgreSQL and one Redis: what one makes is followed, stopped and deleted from the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chatsite import USERS, Chat, ChatSite, Stream, text, until
from realparts.llm import Hang, Llm, Say


@pytest.fixture(scope="module")
def llm() -> Iterator[Llm]:
    made = Llm()
    yield made
    made.stop()


@pytest.fixture
def both(tmp_path, llm, postgres_url, redis_url) -> Iterator[tuple[ChatSite, ChatSite]]:
    shared = {
        "database": {"url": postgres_url},
        "redis": {"url": redis_url},
        "accounts": {"secret_key": "one secret for both of them, long enough"},
    }
    sites = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        sites.append(ChatSite(tmp_path / name, llm, **shared))
    a, b = sites
    try:
        a.server.add_users(USERS)
        for site in sites:
            site.server.spawn()
        for site in sites:
            site.server.wait_started()
        yield a, b
    finally:
        for site in sites:
            site.close()


def test_an_answer_is_everywhere(both, llm):
    a, b = (site.chat() for site in both)
    followed_and_stopped(a, b, llm)
    second_stream(a, b, llm)
    deleted(a, b, llm)
    killed(*both, llm)


def followed_and_stopped(a: Chat, b: Chat, llm: Llm) -> None:
    llm.script("from afar", Hang("Heard of"))
    conversation = a.ask("Listen from afar")
    with a.stream(conversation) as near:
        near.until("delta", delta=" of")
        with b.follow(near.id) as far:
            assert far.until("delta", delta=" of")
            (active,) = b.client.get(f"/conversations/{conversation}/generations", params={"active": 1}).json()
            assert active["generation_id"] == near.id
            assert b.cancel(near.id).status_code == 200
            assert far.until("done").data == near.until("done").data
    assert b.messages(conversation)[1]["content"] == "Heard of"
    assert b.cancel(near.id).status_code == 404


def second_stream(a: Chat, b: Chat, llm: Llm) -> None:
    llm.script("twice", Hang("The first"))
    conversation = a.ask("Answer twice")
    with a.stream(conversation) as stream:
        stream.until("delta", delta=" first")
        refused = b.client.post(f"/conversations/{conversation}/stream", json={})
        assert (refused.status_code, refused.json()["code"]) == (409, "GENERATION_IN_PROGRESS")
    llm.script("twice", Say("The second"))

    def again():
        """None while a has not heard that its client left."""
        with b.client.stream("POST", f"/conversations/{conversation}/stream", json={}) as response:
            return text(list(Stream(response))) if response.status_code == 200 else None

    assert until(again) == "The second"
    assert [one["status"] for one in a.messages(conversation)] == ["complete", "canceled", "complete"]


def deleted(a: Chat, b: Chat, llm: Llm) -> None:
    llm.script("far delete", Hang("Going"))
    conversation = a.ask("Now far delete")
    with a.stream(conversation) as stream:
        stream.until("delta")
        assert b.client.delete(f"/conversations/{conversation}").status_code == 200
        assert stream.until("done").data["status"] == "canceled"
    assert a.client.get(f"/chat/generations/{stream.id}").status_code == 404


def killed(first: ChatSite, second: ChatSite, llm: Llm) -> None:
    """A server that is gone for good does not block the conversation; its answer is ended by who asks."""
    llm.script("gone for good", Hang("Half"))
    a, b = first.chat(), second.chat()
    conversation = a.ask("It is gone for good")
    with a.stream(conversation) as stream:
        stream.until("delta")
        with b.follow(stream.id) as far:
            far.until("delta")
        first.server.kill()
    llm.script("gone for good", Say("Whole"))
    assert text(b.answer(conversation)) == "Whole"
    assert [one["content"] for one in b.messages(conversation)] == ["It is gone for good", "Half", "Whole"]
    assert b.generation(stream.id)["status"] == "interrupted"
