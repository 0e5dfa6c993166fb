"""Files of conversations, hostile ones too, and how long a link holds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from chatstore import Store, opened
from moorage.accounts import SYSTEM
from moorage.api import BadRequest, Conflict, MoorageError, NotFound, ValidationFailed
from moorage_chat.records import MessageStatus, Role, Space

pytestmark = pytest.mark.asyncio(loop_scope="module")
HEAD = {"format": "moorage-chat", "version": 1}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory):
    limits = {"max_messages": 600, "max_message_bytes": 2000, "max_answer_bytes": 3000}
    async with opened(tmp_path_factory.mktemp("portable"), limits) as store:
        yield store


def file(*messages: dict, **more) -> str:
    entries = [{"id": number, "role": "user", **one} for number, one in enumerate(messages, 1)]
    return json.dumps({**HEAD, **more, "messages": entries})


async def test_what_is_not_text_comes_along(store: Store):
    ann = await store.person()
    made = await store.talk(ann, "one", "two")
    answer = await store.messages.reserve(made, made.head_id, "g", "lm", "small")
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "estimated": True}
    parts = {"reasoning": "hm", "tool_calls": [{"id": "1", "name": "x", "arguments": "{}"}]}
    await store.messages.finish(answer.id, "Hal", MessageStatus.CANCELED, usage=usage, parts=parts)
    running = await store.messages.reserve(made, answer.id, "h", "lm", "small")
    copy = await store.messages.append(
        made, Role.USER, "one", parent_id=None, retry_of=(await store.listed(made))[0].id
    )
    written = await store.portable.as_json(ann, made.id)
    assert len(written["messages"]) == 4, "without the one that is still written"
    await store.messages.finish(running.id, "", MessageStatus.PARTIAL)
    (again,) = await store.portable.take(ann, Space.CHAT, json.dumps(written))
    old, new = await store.listed(made), await store.listed(again)
    for one, other in zip(old, new, strict=True):
        same = ("role", "content", "status", "created_at", "usage", "parts", "provider", "model")
        assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]
    assert new[3].retry_of == new[0].id
    assert old[3].id == copy.id
    assert again.head_id == new[3].id
    assert again.space is Space.CHAT
    assert (await store.portable.as_json(ann, again.id))["messages"] == [
        {**entry, "id": number, **({"parent": number - 1} if entry["parent"] else {})}
        for number, entry in enumerate(written["messages"], 1)
    ]
    (hit,) = await store.search.find(ann, Space.CHAT, "hal", conversation=again)
    assert hit.message.id == new[2].id, "and is found"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("null", "no conversation"),
        ("3", "no conversation"),
        ('"x"', "no conversation"),
        (b"\xff\xfe", "UTF-8"),
        ("{" * 200, "nested deeper"),
        (file({"role": "root"}), "role"),
        (file({"content": None}), "content"),
        (file({"content": "x" * 3001}), "3000 bytes"),
        (file({"id": "one"}), "id"),
        (file({"parent": 2}, {}), "does not stand before"),
        (file({}, {"retry_of": 2}), "does not stand before"),
        (file({}, {"id": 1}), "id of another"),
        (file({}, head=7), "head"),
        (file({"created_at": "yesterday"}), "created_at"),
        (file({"usage": {"total_tokens": "x"}}), "usage"),
        (file({"usage": {"total_tokens": 1e300}}), "usage"),
        (file({"parts": []}), "parts"),
        (file({"model": "x" * 257}), "model"),
        (file(*({} for _ in range(601))), "more than 600"),
        (file({"parts": {"x": 1}}).replace('{"x": 1}', '{"x": 1e999}'), "too large"),
        (file({"parts": {"x": 1}}).replace('{"x": 1}', '{"x": NaN}'), "JSON"),
        (file({"content": "x"}).replace('"x"', '"\\ud800"'), "surrogate"),
        (file(mode="hack"), "mode"),
        ("\n".join([file()] * 1001), "divide"),
        ("\n".join([file(), file({"role": "x"}), file()]), "line 2"),
    ],
)
async def test_a_wrong_file_is_refused_by_name_and_whole(store: Store, text, said):
    ann = await store.person()
    with pytest.raises((BadRequest, ValidationFailed)) as caught:
        await store.portable.take(ann, Space.CHAT, text)
    assert said in caught.value.message
    assert await store.conversations.page(ann, Space.CHAT, limit=5, offset=0) == []


async def test_odd_files_are_taken_for_what_they_are(store: Store):
    ann = await store.person()
    future = (datetime.now(UTC) + timedelta(days=999)).isoformat()
    text = file(
        {"content": "\x00nul", "status": "running", "created_at": future, "parts": {"a\x00": ["\x00"]}},
        {"content": "", "role": "assistant", "created_at": "0001-01-01T00:00:00+14:00", "parent": 1},
        title=" many\n  lines \x07" + "o" * 600,
        created_at="9999-12-31T23:59:59",
        unknown={"is": "left out"},
    )
    (made,) = await store.portable.take(ann, Space.ORBITAL, b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    first, second = await store.listed(made)
    assert (first.content, first.parts) == ("\ufffdnul", {"a\ufffd": ["\ufffd"]})
    assert first.status is MessageStatus.PARTIAL, "nothing of another server runs here"
    now = datetime.now(UTC)
    assert max(first.created_at, second.created_at, made.created_at) <= now
    assert made.title.startswith("many lines ooo")
    assert len(made.title) == 500
    assert made.space is Space.ORBITAL
    (named,) = await store.portable.take(ann, Space.CHAT, file({"content": "\nFirst line\nsecond"}))
    assert named.title == "First line"
    pretty = json.dumps(json.loads(file({"content": "{\n}"})), indent=1)
    (made,) = await store.portable.take(ann, Space.CHAT, pretty)
    assert await store.said(made) == ["{\n}"]


async def test_an_import_stops_at_the_limit(store: Store):
    ann = await store.person()
    store.conversations._config = store.hub.config.model_copy(update={"max_conversations_per_user": 2})
    try:
        with pytest.raises(Conflict):
            await store.portable.take(ann, Space.CHAT, "\n".join([file({"content": "x"})] * 3))
    finally:
        store.conversations._config = store.hub.config
    assert len(await store.conversations.page(ann, Space.CHAT, limit=5, offset=0)) == 2


async def test_all_lines_come_once(store: Store):
    ann = await store.person()
    made = [await store.talk(ann, f"number {number}") for number in range(5)]
    lines = []
    async for line in store.portable.lines(ann, Space.CHAT):
        lines.append(json.loads(line))
        if len(lines) == 2:
            await store.messages.append(made[0], Role.USER, "comes to the front")
    assert sorted(line["title"] for line in lines) == [f"number {number}" for number in range(5)]


async def test_a_link_holds_while_its_owner_may_share(store: Store):
    accounts = store.hub.accounts
    ann = await store.person()
    made = await store.talk(ann, "one", "two")
    await store.messages.append(made, Role.TOOL, "secret of a tool", parts={"tool_call_id": "1"})
    answer = await store.messages.reserve(
        await store.again(ann, made), (await store.again(ann, made)).head_id, "g", "lm", "m"
    )
    _, token = await store.shares.share(ann, made.id)
    found, said = await store.shares.open(token)
    assert [one.content for one in said] == ["one", "two"], "neither tools nor what is still written"
    assert found.shared_at is not None
    await store.messages.finish(answer.id, "three", MessageStatus.COMPLETE, parts={"reasoning": "secret"})
    _, said = await store.shares.open(token)
    assert [one.content for one in said] == ["one", "two"]
    await store.shares.renew(ann, made.id)
    _, said = await store.shares.open(token)
    assert [(one.content, one.parts) for one in said][2:] == [("three", {})]
    stored = await store.rows(f"SELECT share_hash FROM chat_conversations WHERE id = {made.id}")
    assert token not in str(stored)
    await accounts.set_active(ann.user.id, False, by=SYSTEM)
    await nothing(store, token)
    await accounts.set_active(ann.user.id, True, by=SYSTEM)
    await store.shares.open(token)
    for wrong in (token[:-1], token + "x", token.upper(), "", "\ud800", "mshare_" + "\x00"):
        await nothing(store, wrong)
    await accounts.delete_user(ann.user.id, by=SYSTEM)
    await nothing(store, token)


async def nothing(store: Store, token: str) -> None:
    with pytest.raises(NotFound) as caught:
        await store.shares.open(token)
    assert isinstance(caught.value, MoorageError)
    assert caught.value.error_code == "CONVERSATION_NOT_FOUND"
