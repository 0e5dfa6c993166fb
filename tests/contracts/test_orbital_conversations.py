"""Conversations and messages of `api/orbital.md`, with the token of a device login: examples, ids, wrong input."""

from __future__ import annotations

import re

import httpx
import pytest
from harness import merged
from openapi_check import Checker, checked, documents_of
from people import CONFIG, populated
from waits import WAIT

SETTINGS = merged(CONFIG, {"plugins": {"chat": {"enabled": True, "required": True}}})
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CONVERSATION_ID, MESSAGE_ID = re.compile(r"c[a-z0-9]{24}"), re.compile(r"m[a-z0-9]{24}")
FIELDS = {"id", "userId", "title", "mode", "createdAt", "updatedAt"}
MESSAGE = {"id", "role", "content", "createdAt"}
MANY = "/api/conversations"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("orbital"), SETTINGS) as people:
        yield people


def device(people, person, checker):
    """A program that its user has let in: it shows a Bearer token and no cookie."""
    with httpx.Client(base_url=people.server.url, timeout=WAIT) as client:
        asked = client.post("/api/auth/device", json={"client_id": "orbital-cli", "scope": "openid"}).json()
        person.client.post("/api/auth/device/approve", json={"userCode": asked["user_code"]}).raise_for_status()
        body = {
            "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
            "device_code": asked["device_code"],
            "client_id": "orbital-cli",
        }
        token = client.post("/api/auth/device/token", json=body).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    return checked(httpx.Client(base_url=people.server.url, timeout=WAIT, headers=headers), people.server, checker)


@pytest.fixture(scope="module")
def programs(people):
    checker = Checker(documents_of(people.server))
    made = [device(people, people.make(), checker) for _ in range(2)]
    yield made
    for client in made:
        client.close()


@pytest.fixture(scope="module")
def ada(programs):
    return programs[0]


@pytest.fixture(scope="module")
def ben(programs):
    return programs[1]


def new(client, **body):
    answer = client.post(MANY, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def say(client, conversation, content, role="user"):
    answer = client.post(f"{MANY}/{conversation['id']}/messages", json={"role": role, "content": content})
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert answer.json()["message"]
    assert isinstance(answer.json().get("details", ""), str)


def test_a_conversation_is_made_shown_renamed_and_deleted(ada):
    made = new(ada, mode="agent", title="Plans")
    assert set(made) == FIELDS
    assert CONVERSATION_ID.fullmatch(made["id"])
    assert made["userId"] == ada.get("/api/me").json()["user"]["id"]
    assert (made["title"], made["mode"]) == ("Plans", "agent")
    assert TIME.fullmatch(made["createdAt"])
    path = f"{MANY}/{made['id']}"
    assert ada.get(path).json() == {**made, "messages": []}
    renamed = ada.put(path, json={"title": "Other plans"})
    assert renamed.status_code == 200
    assert set(renamed.json()) == FIELDS
    assert renamed.json() == {**made, "title": "Other plans", "updatedAt": renamed.json()["updatedAt"]}
    deleted = ada.delete(path)
    assert (deleted.status_code, deleted.json()) == (200, {"success": True})
    for answer in (ada.get(path), ada.delete(path), ada.put(path, json={"title": "x"}), ada.get(path + "/messages")):
        refused(answer, 404, "CONVERSATION_NOT_FOUND")


def test_messages_of_all_roles_are_written_down(ada):
    conversation = new(ada)
    made = [say(ada, conversation, f"said by {role}", role) for role in ("system", "user", "assistant", "tool")]
    for message in made:
        assert set(message) == {*MESSAGE, "conversationId"}
        assert MESSAGE_ID.fullmatch(message["id"])
        assert message["conversationId"] == conversation["id"]
        assert TIME.fullmatch(message["createdAt"])
    path = f"{MANY}/{conversation['id']}"
    assert ada.get(path + "/messages").json() == made
    shown = ada.get(path).json()
    assert shown["messages"] == [{key: one[key] for key in MESSAGE} for one in made]
    assert shown["updatedAt"] >= made[-1]["createdAt"]


@pytest.mark.parametrize("content", ["123", "null", "true", '{"a": [1]}', '"quoted"', "a\nb", "Grüße 👋"])
def test_content_is_text_whatever_it_holds(ada, content):
    conversation = new(ada)
    say(ada, conversation, content)
    assert ada.get(f"{MANY}/{conversation['id']}").json()["messages"][0]["content"] == content


def test_the_list_has_the_newest_message_of_each_and_the_one_that_changed_last_first(people, programs):
    client = device(people, people.make(), Checker(documents_of(people.server)))
    first, second, third = new(client, title="1"), new(client, title="2"), new(client, title="3")
    for content in ("a", "b"):
        say(client, second, content)
    say(client, first, "c")
    shown = client.get(MANY).json()
    assert [one["title"] for one in shown] == ["1", "2", "3"]
    assert all(set(one) == {*FIELDS, "messages"} for one in shown)
    assert [[message["content"] for message in one["messages"]] for one in shown] == [["c"], ["b"], []]
    assert set(shown[0]["messages"][0]) == MESSAGE
    whole = client.get(MANY, params={"messages": "all"}).json()
    assert [[message["content"] for message in one["messages"]] for one in whole] == [["c"], ["a", "b"], []]
    assert [one["id"] for one in client.get(MANY, params={"limit": 1, "offset": 2}).json()] == [third["id"]]
    client.close()


@pytest.mark.parametrize(
    ("body", "mode", "title"),
    [
        ({}, "chat", "New chat conversation"),
        ({"mode": "tool"}, "tool", "New tool conversation"),
        ({"mode": "agent", "title": ""}, "agent", "New agent conversation"),
    ],
)
def test_mode_and_title_have_defaults(ada, body, mode, title):
    made = new(ada, **body)
    assert (made["mode"], made["title"]) == (mode, title)
    say(ada, made, "What is this?\nReally")
    assert ada.get(f"{MANY}/{made['id']}").json()["title"] == "What is this?"


def every_route(ref):
    path = f"{MANY}/{ref}"
    return [
        ("GET", path, None),
        ("PUT", path, {"title": "mine now"}),
        ("DELETE", path, None),
        ("GET", path + "/messages", None),
        ("POST", path + "/messages", {"role": "user", "content": "hello"}),
    ]


def test_another_users_conversation_is_not_there(ada, ben):
    conversation = new(ada, title="Private")
    for method, path, body in every_route(conversation["id"]):
        refused(ben.request(method, path, json=body), 404, "CONVERSATION_NOT_FOUND")
    assert conversation["id"] not in {one["id"] for one in ben.get(MANY).json()}
    assert ada.get(f"{MANY}/{conversation['id']}").json()["title"] == "Private"
    assert ada.get(f"{MANY}/{conversation['id']}/messages").json() == []


@pytest.mark.parametrize(
    "ref", ["1", "0", "x", "c" + "a" * 24, "c" + "A" * 24, "m" + "a" * 24, "c" + "a" * 400, "%00", "%20"]
)
def test_ids_are_its_own(ada, ref):
    for method, path, body in every_route(ref):
        answer = ada.request(method, path, json=body)
        assert answer.status_code in (400, 404), f"{method} {path}: {answer.text}"


def test_nobody_is_refused(people, ada):
    conversation = new(ada)
    with httpx.Client(base_url=people.server.url, timeout=WAIT) as nobody:
        routes = [*every_route(conversation["id"]), ("GET", MANY, None), ("POST", MANY, {})]
        for method, path, body in routes:
            refused(nobody.request(method, path, json=body), 401, "UNAUTHORIZED")
        wrong = {"Authorization": "Bearer mses_wrong"}
        refused(nobody.get(MANY, headers=wrong), 401, "INVALID_TOKEN")


@pytest.mark.parametrize(
    "body",
    [{}, {"role": "user"}, {"content": "x"}, {"role": "king", "content": "x"}, {"role": "User", "content": "x"}]
    + [{"role": "user", "content": content} for content in (1, None, [], {"type": "text"}, "", "a\0b")],
)
def test_a_message_that_is_none_is_refused(ada, body):
    conversation = new(ada)
    refused(ada.post(f"{MANY}/{conversation['id']}/messages", json=body), 400, "VALIDATION_ERROR")
    assert ada.get(f"{MANY}/{conversation['id']}/messages").json() == []


@pytest.mark.parametrize("body", [{"mode": "shell"}, {"mode": 1}, {"title": 5}, {"title": "x" * 501}])
def test_a_conversation_that_is_none_is_refused(ada, body):
    refused(ada.post(MANY, json=body), 400, "VALIDATION_ERROR")
    if "title" in body:
        refused(ada.put(f"{MANY}/{new(ada)['id']}", json=body), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_none_is_refused(ada, body):
    refused(ada.post(MANY, content=body, headers={"Content-Type": "application/json"}), 400, "BAD_REQUEST")


# -- the two contracts beside each other ------------------------------------------------------------------------------


def test_the_lists_of_the_contracts_are_apart(ada):
    orbital = new(ada, title="Of Orbital")
    chat = ada.post("/conversations", json={"title": "Of chat"}).json()
    assert "Of chat" not in {one["title"] for one in ada.get(MANY).json()}
    assert "Of Orbital" not in {one["title"] for one in ada.get("/conversations").json()}
    assert ada.get(f"/conversations/{orbital['id']}").json()["code"] == "CONVERSATION_NOT_FOUND"
    refused(ada.get(f"{MANY}/{chat['id']}"), 404, "CONVERSATION_NOT_FOUND")
    # Numbers are counted for both alike: none leads to the other contract's.
    numbers = range(max(1, chat["id"] - 3), chat["id"])
    assert all(ada.get(f"/conversations/{number}").status_code in (200, 404) for number in numbers)
    titles = {ada.get(f"/conversations/{number}").json().get("title") for number in numbers}
    assert "Of Orbital" not in titles


def test_an_operator_can_join_them(people, tmp_path):
    chat = {"enabled": True, "required": True, "shared_conversations": True, "timestamps": "z"}
    joined = {"plugins": {"chat": chat}}
    with populated(tmp_path, merged(CONFIG, joined)) as others:
        client = others.make().client
        orbital = new(client, title="Of Orbital", mode="agent")
        say(client, orbital, "hello")
        chat = client.post("/conversations", json={"title": "Of chat"}).json()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", chat["created_at"])
        shown = {one["title"]: one["id"] for one in client.get("/conversations").json()}
        assert set(shown) == {"Of Orbital", "Of chat"}
        assert client.get(f"/conversations/{shown['Of Orbital']}/messages").json()[0]["content"] == "hello"
        listed = {one["title"]: one["id"] for one in client.get(MANY).json()}
        assert set(listed) == {"Of Orbital", "Of chat"}
        assert client.get(f"{MANY}/{listed['Of chat']}").json()["mode"] == "chat"
        # Each contract takes its own kind of id all the same.
        refused(client.get(f"{MANY}/{chat['id']}"), 404, "CONVERSATION_NOT_FOUND")
        assert client.get(f"/conversations/{orbital['id']}").status_code == 404
