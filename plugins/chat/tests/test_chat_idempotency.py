"""Idempotency keys on both databases: one of many wins, time passes, a server dies in between."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from chatstore import opened
from moorage.api import Conflict
from moorage_chat.models import ChatIdempotency
from moorage_chat.store.idempotency import Idempotency, Key, KeyReused

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgres"])
async def keys(request, tmp_path_factory):
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgres" else None
    async with opened(tmp_path_factory.mktemp("idempotency"), url=url) as store:
        # What was of users who are not there would be removed.
        for _ in range(2):
            await store.person()
        yield Idempotency(store.hub)


@pytest_asyncio.fixture(loop_scope="module")
async def key(keys):
    await ChatIdempotency.all().delete()
    return Key(1, "a key", "digest")


async def passes(seconds: float) -> None:
    """Let so much time have passed."""
    for row in await ChatIdempotency.all():
        row.expires_at -= timedelta(seconds=seconds)
        await row.save()


async def test_one_of_many_does_it(keys, key):
    done = []

    async def do():
        done.append(len(done))
        await asyncio.sleep(0)
        return {"number": done[-1]}

    answers = await asyncio.gather(*(keys.once(key, do) for _ in range(10)))
    assert [answer for answer, _ in answers] == [{"number": 0}] * 10
    assert sorted(before for _, before in answers) == [False] + [True] * 9
    assert done == [0]


async def test_what_fails_leaves_nothing_and_the_key_free(keys, key):
    async def fail():
        await ChatIdempotency.create(user_id=1, key="written", body_hash="", expires_at=datetime.now(UTC))
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await keys.once(key, fail)
    assert await ChatIdempotency.all().count() == 0


async def test_a_key_belongs_to_its_user_and_its_request_for_a_day(keys, key):
    async def one():
        return {"one": 1}

    async def two():
        return {"two": 2}

    await keys.once(key, one)
    with pytest.raises(KeyReused):
        await keys.once(Key(1, "a key", "another digest"), two)
    assert await keys.once(Key(2, "a key", "digest"), two) == ({"two": 2}, False)
    await passes(23 * 3600)
    assert await keys.once(key, two) == ({"one": 1}, True)
    await passes(3600)
    assert await keys.once(key, two) == ({"two": 2}, False)


async def test_what_takes_long_is_begun_once_and_given_again(keys, key):
    begun = await asyncio.gather(*(keys.begin(key) for _ in range(5)), return_exceptions=True)
    assert [one for one in begun if one is None] == [None]
    assert [one.error_code for one in begun if isinstance(one, Conflict)] == ["IDEMPOTENCY_IN_PROGRESS"] * 4
    with pytest.raises(KeyReused):
        await keys.begin(Key(1, "a key", "another digest"))
    await keys.keep(key, {"id": "x"})
    assert await keys.begin(key) == {"id": "x"}
    await passes(23 * 3600)
    assert await keys.begin(key) == {"id": "x"}


async def test_what_came_to_nothing_may_be_begun_again(keys, key):
    assert await keys.begin(key) is None
    await keys.drop(key)
    assert await keys.begin(key) is None


async def test_what_a_server_took_with_it_may_be_begun_again_after_a_minute(keys, key):
    assert await keys.begin(key) is None
    await passes(59)
    with pytest.raises(Conflict):
        await keys.begin(key)
    await passes(1)
    assert await keys.begin(key) is None


async def test_without_a_key_everything_is_done(keys):
    async def do():
        return {}

    assert await keys.once(None, do) == ({}, False)
    assert await keys.begin(None) is None
    await keys.keep(None, {})
    await keys.drop(None)
