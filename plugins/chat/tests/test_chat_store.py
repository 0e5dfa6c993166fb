"""What chat stores: the tree of messages, answers that are reserved and finished, who sees what, and bounds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio
from chatstore import Store, opened
from moorage.api import (
    ANONYMOUS,
    Conflict,
    Forbidden,
    MoorageError,
    NotFound,
    PayloadTooLarge,
    Unauthorized,
    ValidationFailed,
)
from moorage_chat.records import MessageStatus, Role, Space
from moorage_chat.rights import VIEW, WRITE

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIMITS = {"max_message_bytes": 2000, "max_messages": 30, "max_conversations_per_user": 20}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory):
    async with opened(tmp_path_factory.mktemp("store"), LIMITS) as store:
        yield store


async def refused(work, kind: type[MoorageError], code: str) -> None:
    with pytest.raises(kind) as caught:
        await work
    assert caught.value.error_code == code


# -- the tree ----------------------------------------------------------------------------------------------------


async def test_messages_stand_in_the_order_of_writing(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "one", "two", "three")
    listed = await store.listed(made)
    assert [(one.seq, one.role, one.content) for one in listed] == [
        (1, Role.USER, "one"),
        (2, Role.ASSISTANT, "two"),
        (3, Role.USER, "three"),
    ]
    assert [one.parent_id for one in listed] == [None, listed[0].id, listed[1].id]
    assert made.head_id == listed[2].id
    assert made.updated_at == listed[2].created_at
    assert await store.said(made, after_seq=1, limit=1) == ["two"]


async def test_an_edit_loses_nothing(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "one", "two", "three", "four")
    old = await store.listed(made)
    edited = await store.messages.append(made, Role.USER, "drei", edit_of=old[2].id)
    made = await store.again(ann, made)
    assert edited.parent_id == old[1].id
    assert await store.said(made) == ["one", "two", "three", "four", "drei"]
    assert await store.said(made, branch="active") == ["one", "two", "drei"]
    first = await store.messages.append(made, Role.USER, "eins", edit_of=old[0].pid)
    assert first.parent_id is None
    assert await store.said(await store.again(ann, made), branch="active") == ["eins"]
    made = await store.conversations.set_head(ann, made.id, old[2].id)
    assert await store.said(made, branch="active") == ["one", "two", "three", "four"], "up to the newest below"
    made = await store.conversations.set_head(ann, made.pid, old[0].pid)
    assert await store.said(made, branch="active") == ["one", "two", "drei"], "the newest of its branches"
    assert [one.seq for one in await store.listed(made)] == [1, 2, 3, 4, 5, 6]


async def test_a_fork_is_a_conversation_of_its_own(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "one", "two", "three", "four")
    await store.conversations.change(ann, made.id, title="Numbers", settings={"model": "small"})
    old = await store.listed(made)
    copy = await store.conversations.fork(ann, made.id, old[1].id)
    assert await store.said(copy) == ["one", "two"]
    listed = await store.listed(copy, branch="active")
    assert [one.created_at for one in listed] == [one.created_at for one in old[:2]]
    assert {one.id for one in listed}.isdisjoint(one.id for one in old)
    assert (copy.title, dict(copy.settings), copy.head_id) == ("Numbers", {"model": "small"}, listed[1].id)
    await store.messages.append(copy, Role.USER, "more")
    assert await store.said(await store.again(ann, made)) == ["one", "two", "three", "four"]
    other = await store.talk(ann, "elsewhere")
    await refused(store.conversations.fork(ann, other.id, old[0].id), NotFound, "MESSAGE_NOT_FOUND")
    await refused(store.conversations.set_head(ann, other.id, old[0].id), NotFound, "MESSAGE_NOT_FOUND")
    await refused(store.messages.append(other, Role.USER, "x", edit_of=old[0].id), NotFound, "MESSAGE_NOT_FOUND")
    await refused(store.messages.append(other, Role.USER, "x", parent_id=old[0].id), NotFound, "MESSAGE_NOT_FOUND")


# -- answers -----------------------------------------------------------------------------------------------------


async def test_an_answer_has_its_place_before_its_text(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "one")
    answer = await store.messages.reserve(made, made.head_id, "g-1", "lm", "small")
    made = await store.again(ann, made)
    assert (made.head_id, made.provider, made.model) == (answer.id, "lm", "small")
    assert await store.said(made) == ["one"], "nobody sees it while it is written"
    assert await store.said(made, branch="active") == ["one"]
    assert (await store.messages.newest([made.id]))[made.id].content == "one"
    later = await store.messages.append(made, Role.USER, "and two")
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    done = await store.messages.finish(
        answer.id, "Hello\x00 \ud800", MessageStatus.COMPLETE, usage=usage, parts={"reasoning": "hm\x00"}
    )
    assert done is not None
    assert done.content == "Hello\ufffd \ufffd", "what a model says is kept, whatever it is"
    assert (done.parts, done.usage) == ({"reasoning": "hm\ufffd"}, usage)
    made = await store.again(ann, made)
    assert await store.said(made, branch="active") == ["one", done.content, "and two"]
    assert made.head_id == later.id
    again = await store.messages.finish(answer.id, "other", MessageStatus.PARTIAL)
    assert again == done, "once"


@pytest.mark.parametrize("status", [MessageStatus.CANCELED, MessageStatus.PARTIAL])
async def test_an_answer_without_text_leaves_nothing(store: Store, status):
    ann = await store.person()
    made = await store.talk(ann, "one")
    answer = await store.messages.reserve(made, made.head_id, "g", "lm", "m")
    assert await store.messages.finish(answer.id, "", status) is None
    assert (await store.again(ann, made)).head_id == made.head_id
    answer = await store.messages.reserve(made, made.head_id, "g", "lm", "m")
    below = await store.messages.append(made, Role.USER, "two")
    assert await store.messages.finish(answer.id, "", status) is None
    assert (await store.messages.get(made, below.id)).parent_id == made.head_id, "what hung below moved up"
    kept = await store.messages.reserve(made, below.id, "g", "lm", "m")
    found = await store.messages.finish(kept.id, "Hal", status)
    assert found is not None
    assert found.status is status
    assert await store.said(await store.again(ann, made), branch="active") == ["one", "two", "Hal"]


async def test_an_empty_answer_that_is_whole_is_kept(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "one")
    answer = await store.messages.reserve(made, made.head_id, "g", "lm", "m")
    assert await store.messages.finish(answer.id, "", MessageStatus.COMPLETE)
    assert await store.said(made) == ["one", ""]


async def test_the_last_message_of_the_user_is_found_upwards(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "one", "two")
    await store.messages.append(made, Role.TOOL, "x")
    found = await store.messages.last_user(await store.again(ann, made))
    assert found is not None
    assert found.content == "one"
    assert await store.messages.last_user(await store.talk(ann)) is None


# -- titles ------------------------------------------------------------------------------------------------------


async def test_a_conversation_is_called_after_its_first_line(store: Store):
    ann = await store.person()
    made = await store.conversations.create(ann, Space.CHAT, title="")
    assert made.title == "New Conversation"
    assert (await store.conversations.create(ann, Space.ORBITAL, mode="agent")).title == "New agent conversation"
    await store.messages.append(made, Role.SYSTEM, "Be brief")
    await store.messages.append(made, Role.USER, "\n \t\n  What\tis\x07 a   boat?\nTell me")
    made = await store.again(ann, made)
    assert (made.title, made.title_source) == ("What is a boat?", "first_line")
    await store.messages.append(made, Role.USER, "Something else")
    assert (await store.again(ann, made)).title == "What is a boat?"
    assert await store.conversations.entitle(made.id, "Boats")
    assert (await store.again(ann, made)).title_source == "model"
    await store.conversations.change(ann, made.id, title="  My\nboats ")
    assert not await store.conversations.entitle(made.id, "Ships"), "the user's own stays"
    assert (await store.again(ann, made)).title == "My boats"
    long = await store.talk(ann, "word " * 100)
    assert long.title.endswith("word…")
    assert len(long.title) <= 80
    assert len((await store.talk(ann, "x" * 1000)).title) == 80


# -- who ---------------------------------------------------------------------------------------------------------


async def test_what_belongs_to_others_is_not_there(store: Store):
    ann, ben = await store.person(), await store.person("operator")
    made = await store.talk(ann, "secret")
    for ref in (made.id, made.pid):
        await refused(store.conversations.get(ben, ref), NotFound, "CONVERSATION_NOT_FOUND")
        await refused(store.conversations.change(ben, ref, title="x"), NotFound, "CONVERSATION_NOT_FOUND")
        await refused(store.conversations.delete(ben, ref), NotFound, "CONVERSATION_NOT_FOUND")
        await refused(store.conversations.fork(ben, ref, 1), NotFound, "CONVERSATION_NOT_FOUND")
        await refused(store.shares.share(ben, ref), NotFound, "CONVERSATION_NOT_FOUND")
        await refused(store.portable.as_json(ben, ref), NotFound, "CONVERSATION_NOT_FOUND")
        await refused(store.conversations.get(ANONYMOUS, ref), Unauthorized, "UNAUTHORIZED")
    assert await store.conversations.page(ben, Space.CHAT, limit=10, offset=0) == []
    assert await store.search.find(ben, Space.CHAT, "secret") == []
    for ref in (0, -1, 2**31, 2**63, "", "c" * 25, made.pid.upper(), made.pid + " ", "c%", "é" * 25):
        await refused(store.conversations.get(ann, ref), NotFound, "CONVERSATION_NOT_FOUND")


async def test_an_administrator_reads_others_on_the_record(store: Store):
    ann, admin = await store.person(), await store.person("admin")
    made = await store.talk(ann, "hello")
    assert (await store.conversations.get(admin, made.id)).id == made.id
    assert await store.conversations.page(admin, Space.CHAT, limit=10, offset=0) == [], "a list is one's own"
    records = await store.rows("SELECT data FROM core_audit_events WHERE action = 'chat_conversation.read'")
    assert made.pid in str(records)


async def test_a_key_may_less_than_its_owner(store: Store):
    key = await store.person(scopes=[VIEW.name])
    full = replace(key, credential=None)
    made = await store.talk(full, "mine")
    assert (await store.conversations.get(key, made.id)).id == made.id
    with pytest.raises(Forbidden):
        await store.conversations.get(key, made.id, WRITE)
    with pytest.raises(Forbidden):
        await store.conversations.create(key, Space.CHAT)
    with pytest.raises(Forbidden):
        await store.shares.share(key, made.id)


async def test_the_contracts_lists_are_apart(store: Store):
    ann = await store.person()
    chat, orbital = await store.talk(ann, "boat"), await store.talk(ann, "boat", space=Space.ORBITAL)
    for space, mine, other in ((Space.CHAT, chat, orbital), (Space.ORBITAL, orbital, chat)):
        for how in ({}, {"q": "boat"}, {"q": "boat", "in_messages": True}):
            found = await store.conversations.page(ann, space, limit=10, offset=0, **how)
            assert [one.id for one in found] == [mine.id]
        assert [hit.conversation.id for hit in await store.search.find(ann, space, "boat")] == [mine.id]
        assert await store.conversations.get(ann, mine.pid, space=space)
        await refused(store.conversations.get(ann, other.pid, space=space), NotFound, "CONVERSATION_NOT_FOUND")


# -- bounds ------------------------------------------------------------------------------------------------------


async def test_what_is_too_much_is_refused(store: Store):
    ann = await store.person()
    made = await store.talk(ann)
    await store.messages.append(made, Role.USER, "é" * 1000)
    with pytest.raises(PayloadTooLarge):
        await store.messages.append(made, Role.USER, "é" * 1000 + "x")
    for text in ("a\x00b", "\ud83d", "x\udc00"):
        with pytest.raises(ValidationFailed):
            await store.messages.append(made, Role.USER, text)
        with pytest.raises(ValidationFailed):
            await store.conversations.change(ann, made.id, title=text)
        await store.conversations.page(ann, Space.CHAT, q=text, in_messages=True, limit=1, offset=0)
        assert await store.search.find(ann, Space.CHAT, text + "q") == []
    with pytest.raises(ValidationFailed):
        await store.conversations.create(ann, Space.CHAT, title="x" * 501)
    with pytest.raises(ValidationFailed):
        await store.conversations.change(ann, made.id, settings={"x": "y" * 20_000})
    for number in range(29):
        await store.messages.append(made, Role.USER, str(number))
    await refused(store.messages.append(made, Role.USER, "one too many"), Conflict, "CONVERSATION_FULL")
    await refused(store.messages.reserve(made, None, "g", "p", "m"), Conflict, "CONVERSATION_FULL")
    for _ in range(19):
        await store.conversations.create(ann, Space.CHAT)
    await refused(store.conversations.create(ann, Space.ORBITAL), Conflict, "TOO_MANY_CONVERSATIONS")
    await refused(
        store.conversations.fork(ann, made.id, (await store.listed(made))[0].id), Conflict, "TOO_MANY_CONVERSATIONS"
    )
    await store.conversations.delete(ann, made.id)
    await store.conversations.create(ann, Space.CHAT)


async def test_settings_are_set_and_removed_one_by_one(store: Store):
    ann = await store.person()
    made = await store.talk(ann)
    await store.conversations.change(ann, made.id, settings={"model": "small", "temperature": 0.5})
    changed = await store.conversations.change(ann, made.id, settings={"model": None, "top_p": 1})
    assert dict(changed.settings) == {"temperature": 0.5, "top_p": 1}
    assert changed.updated_at == made.updated_at, "only what is said or renamed moves it up"


async def test_a_message_to_what_is_deleted_meanwhile_is_refused(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "one")
    answer = await store.messages.reserve(made, made.head_id, "g", "lm", "m")
    await store.conversations.delete(ann, made.id)
    await refused(store.messages.append(made, Role.USER, "two"), NotFound, "CONVERSATION_NOT_FOUND")
    await refused(store.messages.reserve(made, None, "g", "p", "m"), NotFound, "CONVERSATION_NOT_FOUND")
    assert await store.messages.finish(answer.id, "text", MessageStatus.COMPLETE) is None
    assert await store.messages.newest([made.id]) == {}
    results = await asyncio.gather(
        *(store.conversations.delete(ann, other.id) for other in [await store.talk(ann, "x")] * 3),
        return_exceptions=True,
    )
    assert sum(one is None for one in results) == 1, "deleted once, by one of them"
    assert all(one is None or isinstance(one, NotFound) for one in results)
