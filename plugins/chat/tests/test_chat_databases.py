"""What both databases must do alike: search, writing at the same time, whole trees at once, deletion."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from chatstore import Store, opened
from moorage.api import NotFound
from moorage_chat.models import ChatConversation, ChatEvents, ChatGeneration, ChatUsage, ChatUserLimit
from moorage_chat.records import Message, MessageStatus, Role, Space
from moorage_chat.store import tree
from moorage_chat.store.words import MAX_BYTES, words

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def store(request, tmp_path_factory):
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgres" else None
    async with opened(tmp_path_factory.mktemp("databases"), url=url) as store:
        yield store


def message(id: int, parent: int | None, content: str, **more) -> Message:
    role = Role.USER if id % 2 else Role.ASSISTANT
    at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=id)
    return Message(id, "", 0, id, parent, role, content, MessageStatus.COMPLETE, at, **more)


async def add(store: Store, actor, messages):
    return await store.conversations.add(
        actor, Space.CHAT, messages, title="T", mode="chat", created_at=datetime.now(UTC), head_id=None
    )


# -- search ------------------------------------------------------------------------------------------------------

TEXTS = {
    "german": "Der Größte Übermut kostet viel",
    "japanese": "今日はいい天気ですね。",
    "code": "call foo_bar.baz() at 100% of C++ on host-7.example.org",
    "hindi": "हिन्दी भाषा में लिखो",
    "thai": "สวัสดีครับ",
    "quotes": "it's a \"quoted\" 'thing' & | ! ( ) : * \\ NEAR AND OR NOT",
    "greek": "ΟΔΥΣΣΕΎΣ went home",
    "korean": "안녕하세요 세계",
    "arabic": "السَّلامُ عليكم",
}
SEARCHES = {
    "ubermut": "german",
    "GRÖSSTE über": "german",
    "kosten": None,
    "天気": "japanese",
    "天": "japanese",
    "ね": "japanese",
    "天で": None,
    "今日は いい天": "japanese",
    "bar": "code",
    "BAZ foo": "code",
    "az": None,
    "100": "code",
    "c": "code",
    "example.org": "code",
    "हिन्दी": "hindi",
    "लिख": "hindi",
    "สวัส": "thai",
    "'": None,
    "it's": "quotes",
    '"quoted" & thing': "quotes",
    "near not": "quotes",
    "thing*": "quotes",
    "οδυσσευς": "greek",
    "안녕": "korean",
    "عليكم": "arabic",
    "der 天": None,
    "?! -- \\ '": None,
    "": None,
    "\ue0001": "by its number",
}


async def test_words_of_all_scripts_are_found(store: Store):
    ann, ben = await store.person(), await store.person()
    made = {name: await store.talk(ann, text) for name, text in TEXTS.items()}
    for text in TEXTS.values():
        await store.talk(ben, text)
    for q, name in SEARCHES.items():
        hits = await store.search.find(ann, Space.CHAT, q)
        wanted = [made[name].id] if name in made else []
        assert [hit.conversation.id for hit in hits] == wanted, q
        for hit in hits:
            assert hit.marks, q
            assert all(0 <= start < end <= len(hit.excerpt) for start, end in hit.marks), q
        pages = await store.conversations.page(ann, Space.CHAT, q=q or "?", in_messages=True, limit=9, offset=0)
        assert {one.id for one in pages} >= set(wanted), q


async def test_long_texts_are_searched_within_bounds(store: Store):
    """Others wait for what one search looks at: it is bounded, however much there is."""
    ann = await store.person()
    long = [message(n, None, "wreck " * 33_000 + f"lagan {n}") for n in range(1, 41)]
    await add(store, ann, long)
    hits = await store.search.find(ann, Space.CHAT, "lagan", limit=200)
    assert len(hits) == 40
    assert "lagan" in hits[0].excerpt
    assert [bool(hit.marks) for hit in hits[19:22]] == [True, False, False]
    assert hits[-1].excerpt.startswith("wreck wreck")


async def test_an_excerpt_shows_where_the_words_are(store: Store):
    ann = await store.person()
    text = "Lorem ipsum " * 40 + "the <b>anchor</b> holds\nfast in mud " + "dolor sit " * 40
    made = await store.talk(ann, "anchor first", "second", text)
    hits = await store.search.find(ann, Space.CHAT, "mud anch")
    (hit,) = hits
    assert hit.conversation == made
    assert [hit.excerpt[start:end] for start, end in hit.marks] == ["anch", "mud"]
    assert "anchor</b> holds fast in mud" in hit.excerpt, "one line, and as it was typed"
    assert hit.excerpt[0] == hit.excerpt[-1] == "…"
    assert len(hit.excerpt) < 220
    newest, oldest = await store.search.find(ann, Space.CHAT, "anchor")
    assert (newest.message.seq, oldest.message.seq) == (3, 1), "the newest first"
    assert oldest.excerpt == "anchor first"
    (only,) = await store.search.find(ann, Space.CHAT, "anchor", limit=1, offset=1)
    assert only == oldest
    elsewhere = await store.talk(ann, "another anchor")
    (within,) = await store.search.find(ann, Space.CHAT, "anchor", conversation=elsewhere)
    assert within.conversation.id == elsewhere.id


async def test_titles_are_searched_as_they_are_typed(store: Store):
    ann = await store.person()
    titles = ["100% Äpfel_und Birnen!", "100 Apfel", "ΟΔΟΣ", "back\\slash"]
    made = [await store.conversations.create(ann, Space.CHAT, title=title) for title in titles]
    for q, found in {
        "100%": [0],
        "ÄPFEL": [0],
        "l_u": [0],
        "nen!": [0],
        "%": [0],
        "_": [0],
        "!": [0],
        "\\": [3],
        "οδος": [2],
        "100": [1, 0],
    }.items():
        for in_messages in (False, True):
            pages = await store.conversations.page(ann, Space.CHAT, q=q, in_messages=in_messages, limit=10, offset=0)
            assert [one.id for one in pages] == [made[number].id for number in found], q


async def test_a_huge_message_is_stored_and_found_by_its_beginning(store: Store):
    ann = await store.person()
    rand = random.Random(1)
    text = "beginning " + " ".join(f"{rand.getrandbits(64):x}" for _ in range(60_000))
    assert len(text) > 1_000_000
    assert len("".join(words(text)).encode()) <= MAX_BYTES
    made = await store.talk(ann, text)
    (hit,) = await store.search.find(ann, Space.CHAT, "begin")
    assert hit.message.content == text
    assert hit.conversation.id == made.id


async def test_an_answer_is_found_once_it_is_finished(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "hello")
    answer = await store.messages.reserve(made, made.head_id, "g", "lm", "m")
    await store.messages.finish(answer.id, "the harbour is near", MessageStatus.PARTIAL)
    assert [hit.message.id for hit in await store.search.find(ann, Space.CHAT, "harb")] == [answer.id]
    await store.conversations.delete(ann, made.id)
    assert await store.search.find(ann, Space.CHAT, "harb") == []


# -- at the same time --------------------------------------------------------------------------------------------


async def test_messages_that_come_together_stand_in_a_row(store: Store):
    ann = await store.person()
    made = await store.talk(ann)
    await asyncio.gather(*(store.messages.append(made, Role.USER, str(number)) for number in range(20)))
    listed = await store.listed(made)
    assert [one.seq for one in listed] == list(range(1, 21))
    assert [one.parent_id for one in listed] == [None, *(one.id for one in listed[:-1])]
    assert await store.listed(await store.again(ann, made), branch="active") == listed


async def test_writing_and_deleting_at_the_same_time_leave_nothing_behind(store: Store):
    ann = await store.person()
    made = await store.talk(ann, *("zanzibar" for _ in range(30)))
    answers = [await store.messages.reserve(made, made.head_id, str(number), "lm", "m") for number in range(10)]
    results = await asyncio.gather(
        *(store.messages.append(made, Role.USER, "zanzibar") for _ in range(10)),
        store.conversations.delete(ann, made.id),
        *(store.messages.finish(one.id, "zanzibar", MessageStatus.COMPLETE) for one in answers),
        return_exceptions=True,
    )
    assert all(not isinstance(one, Exception) or isinstance(one, NotFound) for one in results), results
    assert await store.rows(f"SELECT id FROM chat_messages WHERE conversation_id = {made.id}") == []
    ids = {one.id for one in answers}
    key = "rowid" if store.hub.db.dialect == "sqlite" else "id"
    left = {row[0] for row in await store.rows(f"SELECT {key} AS id FROM chat_search")}
    assert not left & ids


# -- whole trees -------------------------------------------------------------------------------------------------


async def test_a_tree_is_written_as_it_was(store: Store):
    ann = await store.person()
    shape = [(1, None), (2, 1), (3, 2), (4, 1), (5, 4), (6, None), (7, 3)]
    messages = [
        message(id, parent, f"text {id}", parts={"reasoning": "r"}, usage={"total_tokens": id}) for id, parent in shape
    ]
    made = await add(store, ann, messages)
    listed = await store.listed(made)
    seqs = {one.id: one.seq for one in listed}
    assert [(one.seq, seqs.get(one.parent_id or 0)) for one in listed] == shape
    assert [one.created_at for one in listed] == [one.created_at for one in messages]
    assert all(one.parts == {"reasoning": "r"} for one in listed)
    assert [one.usage for one in listed] == [{"total_tokens": id} for id, _ in shape]
    assert await store.said(made, branch="active") == ["text 1", "text 2", "text 3", "text 7"]
    below = await store.conversations.set_head(ann, made.id, listed[3].id)
    assert await store.said(below, branch="active") == ["text 1", "text 4", "text 5"]
    await store.messages.append(made, Role.USER, "goes on")
    assert (await store.listed(made))[-1].seq == 8


async def test_a_long_conversation(store: Store):
    """2,500 messages: more than one statement takes, in every way that they are read."""
    ann = await store.person()
    made = await add(store, ann, [message(id, id - 1 or None, f"text {id} zebra") for id in range(1, 2501)])
    listed = await store.listed(made)
    assert [one.content for one in listed] == [f"text {id} zebra" for id in range(1, 2501)]
    assert await store.listed(made, branch="active") == listed
    assert await store.listed(made, after_seq=2498) == listed[2498:]
    assert await store.listed(made, after_seq=100, limit=700) == listed[100:800]
    assert len(await store.search.find(ann, Space.CHAT, "zebra", limit=200, offset=2400)) == 100
    if store.hub.db.dialect == "sqlite":
        plans = await store.rows(
            "EXPLAIN QUERY PLAN SELECT * FROM chat_conversations WHERE deleted_at IS NULL AND user_id = 1 "
            "AND space = 'chat' ORDER BY updated_at DESC, id DESC LIMIT 20"
        )
        plans += await store.rows(
            "EXPLAIN QUERY PLAN SELECT * FROM chat_messages WHERE conversation_id = 1 AND seq > 5 AND status <> 'x' "
            "ORDER BY seq LIMIT 500"
        )
        found = "SELECT rowid AS id FROM chat_search WHERE chat_search MATCH 'zebra'"
        joined = f"SELECT m.id FROM ({found}) s JOIN chat_messages m ON m.id = s.id ORDER BY s.id DESC LIMIT 20"
        plans += await store.rows(f"EXPLAIN QUERY PLAN {joined}")
        plans = [plan for plan in plans if "VIRTUAL TABLE" not in str(plan)]
        assert all("USING IN" in str(plan) for plan in plans), plans
        assert not any("TEMP B-TREE" in str(plan) for plan in plans), "in the order of the index"


# -- deletion ----------------------------------------------------------------------------------------------------


async def furnished(store: Store, actor, text: str):
    """A conversation with a generation and its events."""
    made = await store.talk(actor, text)
    now = datetime.now(UTC)
    generation = await ChatGeneration.create(
        id=f"g{made.id}", conversation_id=made.id, user_id=actor.user.id, server="s", provider="lm", model="m",
        status="ok", started_at=now, ended_at=now,
    )  # fmt: skip
    await ChatEvents.create(generation_id=generation.id, first_seq=1, last_seq=1, events=[[1, "done", {}]])
    return made


async def counted(store: Store, user_id: int, word: str) -> dict[str, int]:
    tables = ("chat_conversations", "chat_generations", "chat_usage", "chat_user_limits", "chat_idempotency")
    found = {name: len(await store.rows(f"SELECT 1 AS one FROM {name} WHERE user_id = {user_id}")) for name in tables}
    found["chat_messages"] = len(await store.rows(f"SELECT 1 AS one FROM chat_messages WHERE content = '{word}'"))
    sqlite = store.hub.db.dialect == "sqlite"
    matching = f"chat_search MATCH '{word}'" if sqlite else f"words @@ '{word}'::tsquery"
    found["chat_search"] = len(await store.rows(f"SELECT 1 AS one FROM chat_search WHERE {matching}"))
    return found


async def test_a_deleted_users_rows_go(store: Store):
    ann, ben, root = await store.person(), await store.person(), await store.server.as_user("owner")
    told: list[int] = []

    async def hear(conversation_id: int) -> None:
        told.append(conversation_id)

    store.conversations.on_delete(hear)
    made = {actor: [await furnished(store, actor, f"walrus{actor.user.id}") for _ in range(2)] for actor in (ann, ben)}
    for actor in (ann, ben):
        day = datetime.now(UTC).date()
        await ChatUsage.create(user_id=actor.user.id, day=day, provider="lm", model="m", messages=1)
        await ChatUserLimit.create(user_id=actor.user.id, updated_at=datetime.now(UTC))
    before = await counted(store, ben.user.id, f"walrus{ben.user.id}")
    assert before["chat_search"] == before["chat_messages"] == before["chat_conversations"] == 2
    answer = await root.delete(f"/api/users/{ann.user.pid}")
    assert answer.status_code == 200, answer.text

    async def gone() -> bool:
        return not any((await counted(store, ann.user.id, f"walrus{ann.user.id}")).values())

    await store.until(gone, "nothing of the user is left")
    assert set(told) == {one.id for one in made[ann]}
    assert await counted(store, ben.user.id, f"walrus{ben.user.id}") == before
    events = await store.rows("SELECT generation_id FROM chat_events")
    assert {(f"g{one.id}",) for one in made[ben]} <= set(events)
    assert not {(f"g{one.id}",) for one in made[ann]} & set(events)


async def test_what_a_crash_left_is_removed_later(store: Store):
    ann, cut = await store.person(), await store.person()
    mammoth, dodo = f"mammoth{ann.user.id}", f"dodo{ann.user.id}"
    made, other = await furnished(store, ann, mammoth), await furnished(store, ann, mammoth)
    assert await store.removal.mark(made.id)
    await store.removal.look()
    assert (await counted(store, ann.user.id, mammoth))["chat_messages"] == 2, "somebody may be at it"
    await ChatConversation.filter(id=made.id).update(deleted_at=datetime.now(UTC) - timedelta(hours=1))
    orphan = await furnished(store, cut, dodo)
    await store.hub.db.connection().execute_query(
        f"UPDATE chat_conversations SET user_id = 999999 WHERE id = {orphan.id}"
    )
    await store.removal.look()
    assert (await counted(store, ann.user.id, mammoth))["chat_messages"] == 1
    assert (await counted(store, 999999, dodo))["chat_messages"] == 0, "of a user who was deleted while nobody heard"
    assert await store.said(await store.again(ann, other)) == [mammoth]


async def test_a_tree_that_cannot_be_written_leaves_nothing(store: Store, monkeypatch):
    ann = await store.person()
    write = tree.index.put

    async def fails(*args):
        await write(*args)
        raise RuntimeError("the power is cut")

    monkeypatch.setattr(tree.index, "put", fails)
    with pytest.raises(RuntimeError):
        await add(store, ann, [message(1, None, "quagga")])
    assert not any((await counted(store, ann.user.id, "quagga")).values())
