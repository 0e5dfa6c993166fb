"""What this plugin does, as its clients see it."""

from __future__ import annotations

import json

import pytest
from moorage.api import Topic
from moorage.testing.client import Client
from moorage.testing.server import Server

GREETINGS = "/api/hello/greetings"


async def texts(client: Client) -> list[str]:
    """What a client is shown, newest first."""
    answer = await client.get(GREETINGS)
    assert answer.status_code == 200, answer.text
    return [greeting["text"] for greeting in answer.json()["greetings"]]


async def test_anybody_is_greeted(moorage_app: Server) -> None:
    answer = await moorage_app.anonymous.get("/api/hello", params={"name": "Ann"})
    assert answer.json() == {"greeting": "Good day, Ann!"}


async def test_everybody_sees_their_own_and_an_admin_sees_all(moorage_app: Server) -> None:
    ann, ben, admin = [await moorage_app.as_user(role) for role in ("operator", "operator", "admin")]
    assert (await ann.post(GREETINGS, json={"text": "from Ann"})).status_code == 201
    assert (await ben.post(GREETINGS, json={"text": "from Ben"})).status_code == 201
    assert await texts(ann) == ["from Ann"]
    assert await texts(ben) == ["from Ben"]
    assert await texts(admin) == ["from Ben", "from Ann"]


async def test_nobody_deletes_what_is_not_theirs(moorage_app: Server) -> None:
    ann, ben, admin = [await moorage_app.as_user(role) for role in ("operator", "operator", "admin")]
    kept = (await ann.post(GREETINGS, json={"text": "mine"})).json()
    path = f"{GREETINGS}/{kept['id']}"
    assert (await ben.delete(path)).status_code == 404, "Ben may not even know that it is there"
    assert (await admin.delete(path)).status_code == 204
    assert (await ann.delete(path)).status_code == 404
    assert await texts(ann) == []


async def test_a_viewer_may_look_and_not_write(moorage_app: Server) -> None:
    viewer = await moorage_app.as_user("viewer")
    assert await texts(viewer) == []
    refused = await viewer.post(GREETINGS, json={"text": "x"})
    assert refused.status_code == 403
    assert refused.json()["details"]["required"] == "hello:greeting:create"


async def test_a_key_may_do_less_than_its_owner(moorage_app: Server) -> None:
    reader = await moorage_app.as_user("operator", scopes=["hello:greeting:read"])
    assert await texts(reader) == []
    assert (await reader.post(GREETINGS, json={"text": "x"})).status_code == 403


@pytest.mark.parametrize("body", [{}, {"text": ""}, {"text": "x" * 501}, {"text": "a\x00b"}, {"text": 1}, {"txt": "x"}])
async def test_a_wrong_body_is_refused(moorage_app: Server, body: dict[str, object]) -> None:
    ann = await moorage_app.as_user()
    assert (await ann.post(GREETINGS, json=body)).status_code == 422


async def test_one_keeps_as_many_as_configured(moorage_app: Server) -> None:
    ann = await moorage_app.as_user()
    codes = [(await ann.post(GREETINGS, json={"text": str(n)})).status_code for n in range(4)]
    assert codes == [201, 201, 201, 409]


async def test_pages_go_back_in_time(moorage_app: Server) -> None:
    ann = await moorage_app.as_user()
    for n in range(3):
        await ann.post(GREETINGS, json={"text": str(n)})
    first = (await ann.get(GREETINGS, params={"limit": 2})).json()["greetings"]
    assert [greeting["text"] for greeting in first] == ["2", "1"]
    rest = (await ann.get(GREETINGS, params={"before": first[-1]["id"]})).json()["greetings"]
    assert [greeting["text"] for greeting in rest] == ["0"]


async def test_a_socket_greets_and_hears_of_what_its_user_may_see(moorage_app: Server) -> None:
    ann, ben = await moorage_app.as_user(), await moorage_app.as_user()
    async with ann.connect("/ws/hello") as socket:
        await socket.send("Ann")
        assert json.loads(await socket.recv()) == {"greeting": "Good day, Ann!"}
        await ben.post(GREETINGS, json={"text": "not for Ann"})
        await ann.post(GREETINGS, json={"text": "for Ann"})
        assert json.loads(await socket.recv())["kept"]["text"] == "for Ann"


async def test_what_a_deleted_user_kept_goes_too(moorage_app: Server) -> None:
    ann, ben, admin = [await moorage_app.as_user(role) for role in ("operator", "operator", "admin")]
    for client in (ann, ben):
        await client.post(GREETINGS, json={"text": client.user.username})
    bus = moorage_app.hub("hello").bus
    bus.publish(Topic.USER_DELETED, {"user_id": ann.user.id})
    assert await bus.join()
    assert await texts(admin) == [ben.user.username]


async def test_kept_greetings_are_counted_and_audited(moorage_app: Server) -> None:
    owner = await moorage_app.as_user("owner")
    await owner.post(GREETINGS, json={"text": "x"})
    assert "moorage_hello_greetings_total 1.0" in (await owner.get("/metrics")).text
