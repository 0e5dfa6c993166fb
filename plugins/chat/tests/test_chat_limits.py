"""Who may have one more answer, and what is counted of it: by role, by user, at once and by the day."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from harness import running
from moorage.api import ANONYMOUS, TooManyRequests, Unauthorized
from moorage_chat.limits import Limits, QuotaExceeded, estimate, estimate_prompt
from moorage_chat.store import usage
from moorage_chat.store.usage import Allowed, Used
from realparts.llm import MODEL, USAGE, Llm

MOST = 3


@pytest.fixture
def moorage_config():
    limits = {"viewer": {"messages_per_day": MOST, "tokens_per_day": 100}, "sailor": {"messages_per_day": 1}}
    return {"plugins": {"chat": {"enabled": True, "limits": limits, "max_running_per_user": 2 * MOST}}}


@pytest.fixture
async def limits(moorage_app):
    hub = moorage_app.hub("chat")
    with hub.db.activate():
        yield Limits(hub, hub.config)


def today():
    return datetime.now(UTC).date()


async def actor(app, role="viewer"):
    return (await app.as_user(role)).actor


async def used(actor):
    [total, *_] = await usage.of_days(actor.user.id, today(), today())
    return total.used


async def test_a_day_has_so_many_messages_and_parallel_starts_cannot_pass(moorage_app, limits):
    ann, bob = await actor(moorage_app), await actor(moorage_app)
    begun = await asyncio.gather(*(limits.admit(ann) for _ in range(2 * MOST)), return_exceptions=True)
    let_in = [one for one in begun if not isinstance(one, BaseException)]
    refused = [one for one in begun if isinstance(one, QuotaExceeded)]
    assert (len(let_in), len(refused)) == (MOST, MOST)
    error = refused[0]
    assert (error.status, error.error_code, error.details["limit"]) == (429, "QUOTA_EXCEEDED", "messages_per_day")
    assert (error.details["allowed"], error.details["used"]) == (MOST, MOST)
    midnight = datetime.fromisoformat(error.details["resets_at"])
    assert midnight.date() == today() + timedelta(days=1)
    assert 0 < error.retry_after <= 24 * 3600 + 1
    assert limits.running(ann.user.id) == MOST
    # What never reached a provider is given back, and once only.
    await let_in[0].release()
    await let_in[0].release()
    assert (await used(ann)).messages == MOST - 1
    again = await limits.admit(ann)
    with pytest.raises(QuotaExceeded):
        await limits.admit(ann)
    await limits.admit(bob)  # Theirs is another count.
    for one in (*let_in[1:], again):
        await one.release()
    assert (limits.running(ann.user.id), limits.running(bob.user.id)) == (0, 1)


async def test_tokens_are_counted_once_and_end_the_day(moorage_app, limits):
    ann = await actor(moorage_app)
    first = await limits.admit(ann)
    await first.settle("lm", "small", 60, 30)
    await first.settle("lm", "small", 60, 30)
    await first.release()
    assert await used(ann) == Used(1, 60, 30)
    second = await limits.admit(ann)
    await second.settle("lm", "big", 5, 6)
    with pytest.raises(QuotaExceeded) as refused:
        await limits.admit(ann)
    assert refused.value.details | {"resets_at": ""} == {
        "limit": "tokens_per_day",
        "allowed": 100,
        "used": 101,
        "resets_at": "",
    }
    rows = {(row.provider, row.model): row.used for row in await usage.of_days(ann.user.id, today(), today())}
    assert rows == {
        ("", ""): Used(2, 65, 36),
        ("lm", "small"): Used(1, 60, 30),
        ("lm", "big"): Used(1, 5, 6),
    }
    assert (await usage.by_user(today(), today(), limit=10))[0] == (ann.user.id, Used(2, 65, 36))
    # Of a server that is gone: its answer is settled by who finds it.
    await limits.interrupted(ann.user.id, datetime.now(UTC)).settle("lm", "big", 1, 1)
    assert await used(ann) == Used(2, 66, 37)
    assert limits.running(ann.user.id) == 0


async def test_a_user_s_own_limits_hold_instead_of_the_role_s(moorage_app, limits):
    ann, boss = await actor(moorage_app), await actor(moorage_app, "admin")
    assert limits.of_role(boss.user.role) == Allowed()
    await usage.allow(ann.user.id, Allowed(0, None))
    with pytest.raises(QuotaExceeded):
        await limits.admit(ann)
    await usage.allow(ann.user.id, Allowed(None, None))
    for _ in range(MOST + 1):
        await (await limits.admit(ann)).settle("lm", "m", 1000, 1000)
    assert await usage.all_allowed() == {ann.user.id: Allowed()}
    assert await usage.forget_limits(ann.user.id)
    assert not await usage.forget_limits(ann.user.id)
    with pytest.raises(QuotaExceeded):
        await limits.admit(ann)


async def test_so_many_are_under_way_at_once(moorage_app, limits):
    boss = await actor(moorage_app, "admin")
    under_way = [await limits.admit(boss) for _ in range(2 * MOST)]
    with pytest.raises(TooManyRequests) as refused:
        await limits.admit(boss)
    assert refused.value.error_code == "RATE_LIMITED"
    await under_way.pop().settle("lm", "m", 1, 1)
    under_way.append(await limits.admit(boss))
    with pytest.raises(TooManyRequests):
        await limits.admit(boss)
    for one in under_way:
        await one.release()
    with pytest.raises(Unauthorized):
        await limits.admit(ANONYMOUS)


async def test_limits_of_what_is_no_role_are_told_at_the_start(moorage_app, caplog):
    told = [one.getMessage() for one in caplog.get_records("setup")]
    assert any("limits of a role that does not exist" in one and "sailor" in one for one in told)


def test_tokens_are_estimated():
    assert estimate("") == 0
    assert estimate("four") == 1
    assert estimate("x" * 401) == 101
    assert 3 <= estimate("你好世界") <= 4
    parts = [{"type": "text", "text": "four"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    told = [{"role": "user", "content": "four"}, {"role": "user", "content": parts}, {"role": "assistant"}]
    assert estimate_prompt(told) == 3 * 4 + 2


def test_postgres_counts_at_once_too(tmp_path, postgres_url):
    llm = Llm()
    limits = {"viewer": {"messages_per_day": MOST}}
    chat = {"enabled": True, "providers": {"lm": {"base_url": llm.url}}, "limits": limits}
    try:
        with running(tmp_path, {"database": {"url": postgres_url}, "plugins": {"chat": chat}}) as server:
            server.add_user("ann", "viewer")
            headers = {"Authorization": f"Bearer {server.key('ann')}"}
            body = {"model": f"lm/{MODEL}", "messages": [{"role": "user", "content": "hi"}]}

            def ask(_):
                with server.client() as client:
                    return client.post("/v1/chat/completions", json=body, headers=headers).status_code

            with ThreadPoolExecutor(2 * MOST) as pool:
                answers = sorted(pool.map(ask, range(2 * MOST)))
            assert answers == [200] * MOST + [429] * MOST
            with server.client() as client:
                told = client.get("/chat/usage", headers=headers).json()
            assert told["today"]["messages"] == told["days"][0]["models"][0]["messages"] == MOST
            assert told["today"]["total_tokens"] == MOST * USAGE["total_tokens"]
            assert server.cli("chat", "usage").stdout.splitlines()[1].split()[:2] == ["ann", str(MOST)]
            server.cli("chat", "limits", "set", "ann", "--messages", "none", "--tokens", "1")
            assert ask(None) == 429
    finally:
        llm.stop()
