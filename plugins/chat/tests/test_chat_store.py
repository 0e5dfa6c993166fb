"""What chat stores: the tree of messages, answers that are reserved and finished, deletion, who sees what."""

from __future__ import annotations

import pytest
from moorage.api import Actor, NotFound
from moorage.testing.server import Server
from moorage_chat.records import MessageStatus, Role, Space

CONFIG = {"plugins": {"chat": {"max_message_bytes": 2000, "max_messages": 40, "max_conversations_per_user": 100}}}


class Store:
    """The services of a server, and people."""

    def __init__(self, server: Server) -> None:
        self.server, self.hub = server, server.hub("chat")
        plugin = server.plugin("chat")
        self.services = plugin.services
        self.conversations, self.messages = self.services.conversations, self.services.messages

    async def person(self, role: str = "viewer") -> Actor:
        client = await self.server.as_user(role)
        me = (await client.get("/auth/me")).json()
        return Actor(user=await self.hub.accounts.get_user(me["user"]["id"]))

    async def talk(self, actor: Actor, *texts: str, space: Space = Space.CHAT):
        """A conversation in which both sides speak by turns."""
        made = await self.conversations.create(actor, space)
        for number, text in enumerate(texts):
            await self.messages.append(made, Role.ASSISTANT if number % 2 else Role.USER, text)
        return await self.conversations.get(actor, made.id)


@pytest.fixture
async def store(moorage_server):
    async with moorage_server("chat", config=CONFIG) as server:
        with server.hub("chat").db.activate():
            yield Store(server)


async def test_smoke(store):
    ann = await store.person()
    made = await store.talk(ann, "Hello\nthere", "Hi", "How?", "So")
    assert made.title == "Hello"
    listed = await store.messages.listed(made)
    assert [one.content for one in listed] == ["Hello\nthere", "Hi", "How?", "So"]
    assert [one.seq for one in listed] == [1, 2, 3, 4]
    assert made.head_id == listed[-1].id
    edited = await store.messages.append(made, Role.USER, "Why?", edit_of=listed[2].id)
    made = await store.conversations.get(ann, made.pid)
    assert [one.content for one in await store.messages.listed(made, branch="active")] == ["Hello\nthere", "Hi", "Why?"]
    assert len(await store.messages.listed(made)) == 5
    made = await store.conversations.set_head(ann, made.id, listed[2].pid)
    assert made.head_id == listed[3].id
    copy = await store.conversations.fork(ann, made.id, edited.id)
    assert [one.content for one in await store.messages.listed(copy)] == ["Hello\nthere", "Hi", "Why?"]
    assert [one.content for one in await store.messages.path(copy, copy.head_id)] == ["Hello\nthere", "Hi", "Why?"]
    reserved = await store.messages.reserve(copy, copy.head_id, "g", "p", "m")
    assert (await store.conversations.get(ann, copy.id)).head_id == reserved.id
    later = await store.messages.append(copy, Role.USER, "More")
    assert later.parent_id == reserved.id
    assert await store.messages.finish(reserved.id, "", MessageStatus.CANCELED) is None
    assert (await store.messages.get(copy, later.id)).parent_id == copy.head_id
    newest = await store.messages.newest([made.id, copy.id])
    assert {one.content for one in newest.values()} == {"Why?", "More"}
    assert (await store.messages.last_user(await store.conversations.get(ann, copy.id))).content == "More"
    assert [one.id for one in await store.conversations.page(ann, Space.CHAT, q="HELLO", limit=10, offset=0)] == [
        copy.id,
        made.id,
    ]
    await store.conversations.delete(ann, copy.id)
    with pytest.raises(NotFound):
        await store.conversations.get(ann, copy.id)


async def test_search(store):
    ann, bob = await store.person(), await store.person()
    made = await store.talk(
        ann, "Der Größte Übermut kostet viel", "今日はいい天気ですね", "foo_bar.baz 100%", "हिन्दी भाषा"
    )
    await store.talk(bob, "Der Größte Übermut")
    search = store.services.search
    for q, found in {
        "ubermut": [0], "GRÖSSTE über": [0], "天気": [1], "天": [1], "い": [1], "ね": [1], "気で": [1], "天で": [],
        "bar": [2], "BAZ foo": [2], "100": [2], "az": [], "हिन्दी": [3], "der 天": [], "?!": [], "": [],
    }.items():  # fmt: skip
        hits = await search.find(ann, Space.CHAT, q)
        assert [hit.message.seq - 1 for hit in hits] == found, q
        for hit in hits:
            assert hit.marks
            print(q, [hit.excerpt[a:b] for a, b in hit.marks])
    assert await search.find(ann, Space.ORBITAL, "der") == []
    assert await store.conversations.page(ann, Space.CHAT, q="baz", limit=5, offset=0) == []
    (found,) = await store.conversations.page(ann, Space.CHAT, q="baz", in_messages=True, limit=5, offset=0)
    assert found.id == made.id
    (found,) = await store.conversations.page(ann, Space.CHAT, q="rößte Ü", in_messages=True, limit=5, offset=0)
    await store.conversations.delete(ann, made.id)
    assert await search.find(ann, Space.CHAT, "der") == []
