"""What was used, as its user and administrators are told; users' own limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from moorage_chat.store import usage
from moorage_chat.store.usage import Used

EMPTY = {"messages": 0, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.fixture
def moorage_config():
    limits = {"viewer": {"messages_per_day": 200, "tokens_per_day": 5000}}
    return {"plugins": {"chat": {"enabled": True, "limits": limits}}}


@pytest.fixture
def active(moorage_app):
    with moorage_app.hub("chat").db.activate():
        yield moorage_app


def today():
    return datetime.now(UTC).date()


async def answered(app, client, model="small", asked=10, said=5):
    admission = await app.plugin("chat").services.limits.admit(client.actor)
    await admission.settle("lm", model, asked, said)


async def test_users_see_what_they_used_and_administrators_what_all_did(active):
    ann, bob, boss = await active.as_user("viewer"), await active.as_user("viewer"), await active.as_user("admin")
    told = (await ann.get("/chat/usage")).json()
    assert told == {
        "user_id": ann.actor.user.id,
        "today": EMPTY,
        "limits": {"messages_per_day": 200, "tokens_per_day": 5000, "source": "role"},
        "resets_at": f"{today() + timedelta(days=1)}T00:00:00.000000",
        "days": [],
    }
    await answered(active, ann)
    await answered(active, ann, "big", 1, 1)
    await answered(active, bob, asked=1000)
    old = today() - timedelta(days=40)
    await usage.count(active.hub("chat"), ann.actor.user.id, old, Used(3, 30, 40))
    told = (await ann.get("/chat/usage")).json()
    day = {"messages": 2, "prompt_tokens": 11, "completion_tokens": 6, "total_tokens": 17}
    assert told["today"] == day
    assert told["days"] == [
        {
            "day": str(today()),
            **day,
            "models": [
                {**EMPTY, "provider_id": "lm", "model": "big", "messages": 1, "prompt_tokens": 1}
                | {"completion_tokens": 1, "total_tokens": 2},
                {**EMPTY, "provider_id": "lm", "model": "small", "messages": 1, "prompt_tokens": 10}
                | {"completion_tokens": 5, "total_tokens": 15},
            ],
        }
    ]
    assert [one["day"] for one in (await ann.get("/chat/usage?days=41")).json()["days"]] == [str(today()), str(old)]
    other = f"/chat/usage?user_id={bob.actor.user.id}"
    assert (await ann.get(other)).status_code == 403
    assert (await boss.get(other)).json()["today"]["prompt_tokens"] == 1000
    assert (await boss.get("/chat/usage?user_id=99999")).json()["code"] == "USER_NOT_FOUND"
    assert (await ann.get("/chat/usage/users")).status_code == 403
    ranking = (await boss.get("/chat/usage/users")).json()["users"]
    assert [one["user_id"] for one in ranking] == [bob.actor.user.id, ann.actor.user.id]
    assert ranking[1] == {**day, "user_id": ann.actor.user.id}
    assert len((await boss.get("/chat/usage/users?limit=1&offset=1")).json()["users"]) == 1
    for wrong in ("days=0", "days=367", "days=x", "user_id=0", "user_id=99999999999"):
        answer = await boss.get(f"/chat/usage?{wrong}")
        assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR"), wrong
    metrics = (await boss.get("/metrics")).text
    assert 'moorage_chat_refused_total{limit="messages_per_day"}' not in metrics


async def test_administrators_give_users_limits_of_their_own(active):
    ann, boss = await active.as_user("viewer"), await active.as_user("admin")
    path = f"/chat/limits/users/{ann.actor.user.id}"
    assert (await ann.get(path)).status_code == (await ann.put(path, json={})).status_code == 403
    assert (await boss.get(path)).json() == {
        "user_id": ann.actor.user.id,
        "messages_per_day": 200,
        "tokens_per_day": 5000,
        "source": "role",
    }
    given = {"messages_per_day": 1, "tokens_per_day": None}
    answer = await boss.put(path, json=given)
    assert (answer.status_code, answer.json()) == (200, {"user_id": ann.actor.user.id, **given, "source": "user"})
    assert (await boss.get("/chat/limits")).json()["users"] == [answer.json()]
    assert (await ann.get("/chat/usage")).json()["limits"] == {**given, "source": "user"}
    await answered(active, ann)
    with pytest.raises(Exception, match="used up the 1 messages"):
        await answered(active, ann)
    assert 'moorage_chat_refused_total{limit="messages_per_day"} 1.0' in (await boss.get("/metrics")).text
    assert (await boss.delete(path)).status_code == (await boss.delete(path)).status_code == 200
    await answered(active, ann)
    for body in ({"messages_per_day": -1}, {"messages_per_day": 2**31}, {"tokens_per_day": "5"}, {"other": 1}, [1]):
        assert (await boss.put(path, json=body)).status_code == 400, body
    for wrong in ("0", "x", "99999", "user_x", "1" * 30):
        assert (await boss.get(f"/chat/limits/users/{wrong}")).json()["code"] == "USER_NOT_FOUND", wrong
    await boss.put(path, json={"tokens_per_day": 7})
    events = (await boss.get("/api/v1/audit", params={"action": "chat.limits_set"})).json()["data"]["events"]
    assert len(events) == 2
    assert ann.actor.user.pid in str(events)
