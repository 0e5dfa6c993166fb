"""Conversations and messages of `api/chat.md`: its examples, its pages' variants, foreign ids and wrong input."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import httpx
import pytest
from harness import merged
from openapi_check import Checker, checked, documents_of
from people import CONFIG, populated

SETTINGS = merged(
    CONFIG, {"plugins": {"chat": {"enabled": True, "required": True, "max_message_bytes": 2 * 1024 * 1024}}}
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
CONVERSATION = {"id", "title", "created_at", "updated_at"}
MISSING = [0, 2**31 - 1, 2**31, 2**63, 10**400]
NO_IDS = ["x", "-1", "+1", "1.0", "1e3", "%20", "1%20", "%00", "０", "%EF%BC%91", "c" + "a" * 24, "1;2"]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("chat"), SETTINGS) as people:
        checker = Checker(documents_of(people.server))
        login = people.login
        people.login = lambda *args: checked(login(*args), people.server, checker)
        yield people


@pytest.fixture(scope="module")
def ada(people):
    return people.make().client


@pytest.fixture(scope="module")
def ben(people):
    return people.make().client


def new(client, title=None):
    answer = client.post("/conversations", json={} if title is None else {"title": title})
    assert answer.status_code == 200, answer.text
    return answer.json()


def say(client, conversation, content, **more):
    answer = client.post(f"/conversations/{conversation['id']}/messages", json={"content": content, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["message_id"]


def said(client, conversation, **query):
    answer = client.get(f"/conversations/{conversation['id']}/messages", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer, status, code):
    body = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), answer.text
    assert body["message"]
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


# -- the document's examples -----------------------------------------------------------------------------------------


def test_a_conversation_is_made_shown_renamed_and_deleted(ada):
    made = ada.post("/conversations", json={"title": "My First Conversation"})
    assert made.status_code == 200
    body = made.json()
    assert set(body) >= CONVERSATION
    assert type(body["id"]) is int
    assert body["title"] == "My First Conversation"
    assert TIME.fullmatch(body["created_at"])
    assert body["updated_at"] == body["created_at"]
    path = f"/conversations/{body['id']}"
    assert ada.get(path).json() == body

    renamed = ada.patch(path, json={"title": "Updated Conversation Title"})
    assert (renamed.status_code, renamed.json()) == (200, {"message": "Conversation renamed"})
    after = ada.get(path).json()
    assert after["title"] == "Updated Conversation Title"
    assert after["updated_at"] > after["created_at"] == body["created_at"]

    deleted = ada.delete(path)
    assert (deleted.status_code, deleted.json()) == (200, {"message": "Conversation deleted"})
    for answer in (ada.get(path), ada.get(path + "/messages"), ada.delete(path), ada.patch(path, json={"title": "x"})):
        refused(answer, 404, "CONVERSATION_NOT_FOUND")
    assert body["id"] not in {one["id"] for one in ada.get("/conversations").json()}


def test_messages_are_appended_and_listed(ada):
    conversation = new(ada)
    answer = ada.post(
        f"/conversations/{conversation['id']}/messages", json={"content": "Hello, how can you help me today?"}
    )
    assert answer.status_code == 200
    assert answer.json() == {"message_id": answer.json()["message_id"], "conversation_id": conversation["id"]}
    assert type(answer.json()["message_id"]) is int
    say(ada, conversation, "Hello?")
    first, second = said(ada, conversation)
    assert set(first) >= {"id", "role", "content", "created_at"}
    assert "token_usage" not in first
    assert (first["id"], first["role"]) == (answer.json()["message_id"], "user")
    assert first["content"] == "Hello, how can you help me today?"
    assert TIME.fullmatch(first["created_at"])
    assert second["created_at"] > first["created_at"]
    assert (second["seq"], second["parent_id"]) == (first["seq"] + 1, first["id"])


def test_the_list_has_the_one_that_changed_last_first_and_is_searched_by_title(people):
    client = people.make().client
    names = ["Über Äpfel", "50% off", "50 off", "under_score", "underscore", "back\\slash"]
    made = [new(client, name) for name in names]
    shown = client.get("/conversations").json()
    assert [one["title"] for one in shown] == names[::-1]
    assert all(set(one) >= CONVERSATION for one in shown)

    def found(q, **more):
        return {one["title"] for one in client.get("/conversations", params={"q": q, **more}).json()}

    assert found("über") == found("ÜBER ä") == {"Über Äpfel"}
    assert found("50%") == {"50% off"}
    assert found("r_s") == {"under_score"}
    assert found("\\") == {"back\\slash"}
    assert found("") == set(names)
    assert found("no such") == set()
    assert found("'; DROP TABLE chat_conversations; --") == set()
    say(client, made[0], "anything")
    assert client.get("/conversations").json()[0]["id"] == made[0]["id"]
    ids = [one["id"] for one in client.get("/conversations").json()]
    parts = [client.get("/conversations", params={"limit": 2, "offset": offset}).json() for offset in (0, 2, 4, 6)]
    assert [one["id"] for part in parts for one in part] == ids


def test_q_finds_what_was_said_only_where_that_is_asked_for(people):
    client = people.make().client
    conversation = new(client, "Kitchen")
    say(client, conversation, "Where do marmalade jars belong?")
    new(client, "Garden")
    assert client.get("/conversations?q=marmalade").json() == []
    found = client.get("/conversations?q=marmalade&in=messages").json()
    assert [one["id"] for one in found] == [conversation["id"]]
    assert [one["title"] for one in client.get("/conversations?q=garden&in=messages").json()] == ["Garden"]


# -- titles ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{}, {"title": ""}, {"title": None}, {"title": "  "}])
def test_without_a_title_it_is_called_after_its_first_line(ada, body):
    conversation = ada.post("/conversations", json=body).json()
    assert conversation["title"] == "New Conversation"
    say(ada, conversation, "\n  How do I peel a kiwi?\nI have two.")
    say(ada, conversation, "Another line")
    assert ada.get(f"/conversations/{conversation['id']}").json()["title"] == "How do I peel a kiwi?"


def test_a_title_that_was_given_stays(ada):
    conversation = new(ada, "Mine")
    say(ada, conversation, "Something else")
    assert ada.get(f"/conversations/{conversation['id']}").json()["title"] == "Mine"


# -- branches ------------------------------------------------------------------------------------------------------


def test_an_edit_is_another_branch_and_nothing_is_lost(ada):
    conversation = new(ada)
    first, second = say(ada, conversation, "one"), say(ada, conversation, "two")
    third = say(ada, conversation, "three")
    edited = say(ada, conversation, "two, better", edit_of=second)

    def active():
        return [one["content"] for one in said(ada, conversation, branch="active")]

    assert active() == ["one", "two, better"]
    assert [one["content"] for one in said(ada, conversation)] == ["one", "two", "three", "two, better"]
    parents = {one["id"]: one["parent_id"] for one in said(ada, conversation)}
    assert parents == {first: None, second: first, third: second, edited: first}
    head = f"/conversations/{conversation['id']}/head"
    shown = ada.put(head, json={"message_id": second})
    assert (shown.status_code, shown.json()["head_id"]) == (200, third)
    assert active() == ["one", "two", "three"]
    other = say(ada, new(ada), "elsewhere")
    for body in ({"message_id": other}, {"message_id": 2**31 - 1}):
        refused(ada.put(head, json=body), 404, "MESSAGE_NOT_FOUND")
    path = f"/conversations/{conversation['id']}/messages"
    refused(ada.post(path, json={"content": "x", "edit_of": other}), 404, "MESSAGE_NOT_FOUND")
    assert active() == ["one", "two", "three"]


def test_a_fork_has_what_led_to_the_message(ada):
    conversation = new(ada, "Roots")
    say(ada, conversation, "one")
    second = say(ada, conversation, "two")
    say(ada, conversation, "three")
    forked = ada.post(f"/conversations/{conversation['id']}/fork", json={"message_id": second}).json()
    assert forked["id"] != conversation["id"]
    assert [one["content"] for one in said(ada, forked)] == ["one", "two"]
    say(ada, forked, "elsewhere")
    assert [one["content"] for one in said(ada, conversation)] == ["one", "two", "three"]
    refused(ada.post(f"/conversations/{forked['id']}/fork", json={"message_id": second}), 404, "MESSAGE_NOT_FOUND")


def test_part_of_a_long_list(ada):
    conversation = new(ada)
    for number in range(5):
        say(ada, conversation, str(number))
    every = said(ada, conversation)
    assert said(ada, conversation, after_seq=every[1]["seq"], limit=2) == every[2:4]
    assert said(ada, conversation, after_seq=every[1]["seq"], branch="active") == every[2:]
    assert said(ada, conversation, after_seq=every[-1]["seq"]) == []


# -- whose ----------------------------------------------------------------------------------------------------------


def every_route(ref):
    path = f"/conversations/{ref}"
    return [
        ("GET", path, None),
        ("PATCH", path, {"title": "mine now"}),
        ("DELETE", path, None),
        ("GET", path + "/messages", None),
        ("POST", path + "/messages", {"content": "hello"}),
        ("PUT", path + "/head", {"message_id": 1}),
        ("POST", path + "/fork", {"message_id": 1}),
    ]


def test_another_users_conversation_is_not_there(people, ada, ben):
    conversation = new(ada, "Private")
    message = say(ada, conversation, "a secret")
    for method, path, body in every_route(conversation["id"]):
        body = {**body, "message_id": message} if body and "message_id" in body else body
        refused(ben.request(method, path, json=body), 404, "CONVERSATION_NOT_FOUND")
    assert conversation["id"] not in {one["id"] for one in ben.get("/conversations").json()}
    assert ben.get("/conversations?q=secret&in=messages").json() == []
    own = new(ben)
    path = f"/conversations/{own['id']}"
    refused(ben.post(path + "/messages", json={"content": "x", "edit_of": message}), 404, "MESSAGE_NOT_FOUND")
    refused(ben.put(path + "/head", json={"message_id": message}), 404, "MESSAGE_NOT_FOUND")
    refused(ben.post(path + "/fork", json={"message_id": message}), 404, "MESSAGE_NOT_FOUND")
    assert ada.get(f"/conversations/{conversation['id']}").json()["title"] == "Private"


def test_administrators_may_look_and_it_is_written_down(people, ada):
    """By id alone: lists are of one's own."""
    conversation = new(ada, "Private")
    say(ada, conversation, "a secret")
    admin = people.make("admin").client
    assert conversation["id"] not in {one["id"] for one in admin.get("/conversations").json()}
    assert admin.get("/chat/search?q=secret").json() == []
    assert said(admin, conversation)[0]["content"] == "a secret"
    actions = [one["action"] for one in people.root.client.get("/api/v1/audit").json()["data"]["events"]]
    assert "chat_conversation.read" in actions


def test_nobody_is_told_to_sign_in(people, ada):
    conversation = new(ada)
    nobody = people.anybody()
    for method, path, body in [
        *every_route(conversation["id"]),
        ("GET", "/conversations", None),
        ("POST", "/conversations", {}),
    ]:
        refused(nobody.request(method, path, json=body), 401, "AUTH_REQUIRED")


@pytest.mark.parametrize("ref", [*MISSING, *NO_IDS])
def test_ids_are_digits(ada, ref):
    for method, path, body in every_route(ref):
        answer = ada.request(method, path, json=body)
        assert answer.status_code in (400, 404), f"{method} {path}: {answer.text}"
        assert answer.json()["code"] in ("CONVERSATION_NOT_FOUND", "NOT_FOUND", "BAD_REQUEST")


# -- wrong input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b'{"content": 1}',
        b"{}",
        b'{"content": ""}',
        b'{"content": null}',
        b"\xff",
        b"[" * 1000,
        b'{"content": ["x"]}',
        b'{"content": "a\\u0000b"}',
        b'{"content": "\\ud800"}',
        b'{"content": "x", "edit_of": "1"}',
        b'{"content": "x", "edit_of": 0}',
        b'{"content": "x", "edit_of": true}',
        b'{"content": "x", "edit_of": 1e99}',
    ],
)
def test_a_message_that_is_none_is_refused(ada, body):
    conversation = new(ada)
    answer = ada.post(
        f"/conversations/{conversation['id']}/messages", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400, answer.text
    assert set(answer.json()) >= {"code", "message", "request_id"}
    assert said(ada, conversation) == []


@pytest.mark.parametrize("title", [1, True, [], {}, "x" * 501, "a\0b"])
def test_a_title_that_is_none_is_refused(ada, title):
    conversation = new(ada, "Kept")
    refused(ada.post("/conversations", json={"title": title}), 400, "VALIDATION_ERROR")
    body = refused(ada.patch(f"/conversations/{conversation['id']}", json={"title": title}), 400, "VALIDATION_ERROR")
    assert body["detail"][0]["field"] == "title"
    assert ada.get(f"/conversations/{conversation['id']}").json()["title"] == "Kept"
    refused(ada.patch(f"/conversations/{conversation['id']}", json={}), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=99999999", "offset=-1", f"offset={2**40}", "in=titles", "q=" + "x" * 501]
)
def test_a_query_that_is_none_is_refused(ada, query):
    refused(ada.get(f"/conversations?{query}"), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("query", ["branch=best", "after_seq=-1", "after_seq=x", "limit=0"])
def test_a_query_of_messages_that_is_none_is_refused(ada, query):
    refused(ada.get(f"/conversations/{new(ada)['id']}/messages?{query}"), 400, "VALIDATION_ERROR")


def test_a_message_of_a_megabyte_is_taken_and_a_longer_one_than_allowed_is_not(ada):
    conversation = new(ada)
    text = "ü" * 500_000
    say(ada, conversation, text)
    ascii_body = json.dumps({"content": "ü" * 1024 * 1024})
    assert len(ascii_body) > 6 * 1024 * 1024
    answer = ada.post(f"/conversations/{conversation['id']}/messages", content=ascii_body)
    assert answer.status_code == 200, answer.text
    # Not so long that the server closes the connection while the client still writes.
    for long in ("x" * (2 * 1024 * 1024 + 1), "ü" * (1024 * 1024 + 1)):
        answer = ada.post(f"/conversations/{conversation['id']}/messages", json={"content": long})
        refused(answer, 413, "PAYLOAD_TOO_LARGE")
    assert [len(one["content"]) for one in said(ada, conversation)] == [500_000, 1024 * 1024]


@pytest.mark.parametrize(
    "text", ["<img src=x onerror=alert(1)>", "a\r\nb\tc", "👩‍👩‍👧 ﷽ \u202e", "\x01\x1f\x7f", "'\"\\", "null", "123"]
)
def test_what_is_said_is_kept_to_the_letter(ada, text):
    conversation = new(ada)
    say(ada, conversation, text)
    assert said(ada, conversation)[0]["content"] == text


def test_a_list_that_is_streamed_is_whole(ada):
    conversation = new(ada)
    texts = [f"{number} " + "x" * 60_000 for number in range(30)]
    for text in texts:
        say(ada, conversation, text)
    answer = ada.get(f"/conversations/{conversation['id']}/messages")
    assert "content-length" not in answer.headers
    assert [one["content"] for one in answer.json()] == texts


# -- CSRF and the pages' bodies ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def csrf(people, ada):
    return ada.get("/auth/me").headers["x-csrf-token"]


def test_a_change_needs_the_token_or_this_origin(people, ada, csrf):
    conversation = new(ada)
    evil = {"Origin": "https://evil.example"}
    for method, path, body in every_route(conversation["id"]):
        if method == "GET":
            continue
        for headers in (evil, {"Sec-Fetch-Site": "cross-site"}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": csrf[:-1]}):
            refused(ada.request(method, path, json=body, headers=headers), 403, "CSRF_INVALID")
    path = f"/conversations/{conversation['id']}/messages"
    assert said(ada, conversation) == []
    for headers in ({"X-CSRF-Token": csrf}, {"Origin": people.server.url}, {"Sec-Fetch-Site": "same-origin"}):
        assert ada.post(path, json={"content": "x"}, headers=headers).status_code == 200
    assert len(said(ada, conversation)) == 3


def test_the_oldest_pages_body_is_taken_only_with_a_token(people, ada, csrf):
    """It says nothing of the type, so browsers call it text/plain, as any page of any site could send it."""
    conversation = new(ada)
    path, body = f"/conversations/{conversation['id']}/messages", json.dumps({"content": "hello"})
    plain = {"Content-Type": "text/plain;charset=UTF-8"}
    refused(ada.post(path, content=body, headers=plain), 415, "UNSUPPORTED_MEDIA_TYPE")
    refused(ada.post(path, content=body, headers={**plain, "X-CSRF-Token": "wrong"}), 403, "CSRF_INVALID")
    form = {"Content-Type": "application/x-www-form-urlencoded", "X-CSRF-Token": csrf}
    refused(ada.post(path, content=b"content=hello", headers=form), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert said(ada, conversation) == []
    assert ada.post(path, content=body, headers={**plain, "X-CSRF-Token": csrf}).status_code == 200
    bearer = {"Authorization": f"Bearer {ada.cookies['moorage_session']}"}
    assert httpx.post(people.server.url + path, content=body, headers={**plain, **bearer}).status_code == 200
    assert ada.post("/conversations", content=b"", headers=plain | {"X-CSRF-Token": csrf}).status_code == 200


# -- the same request again ------------------------------------------------------------------------------------------


def test_a_message_that_is_sent_again_is_added_once(ada):
    conversation = new(ada)
    path = f"/conversations/{conversation['id']}/messages"
    again = {"Idempotency-Key": f"a key, {conversation['id']}"}
    first = ada.post(path, json={"content": "once"}, headers=again)
    second = ada.post(path, json={"content": "once"}, headers=again)
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    refused(ada.post(path, json={"content": "other"}, headers=again), 422, "IDEMPOTENCY_KEY_REUSED")
    other = f"/conversations/{new(ada)['id']}/messages"
    refused(ada.post(other, json={"content": "once"}, headers=again), 422, "IDEMPOTENCY_KEY_REUSED")
    assert len(said(ada, conversation)) == 1


def test_a_key_is_its_users_own(ada, ben):
    conversations = [new(client) for client in (ada, ben)]
    again = {"Idempotency-Key": f"everybodys {conversations[0]['id']}"}
    for client, conversation in zip((ada, ben), conversations, strict=True):
        path = f"/conversations/{conversation['id']}/messages"
        answer = client.post(path, json={"content": "x"}, headers=again)
        assert answer.status_code == 200, answer.text
        assert "idempotent-replayed" not in answer.headers
        assert len(said(client, conversation)) == 1


def test_ten_at_once_add_one(people, ada):
    conversation = new(ada)
    path = f"/conversations/{conversation['id']}/messages"
    again = {"Idempotency-Key": f"ten {conversation['id']}"}
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ada.post(path, json={"content": "x"}, headers=again), range(10)))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert len({answer.json()["message_id"] for answer in answers}) == 1
    assert len(said(ada, conversation)) == 1


def test_a_key_of_a_request_that_was_refused_is_free(ada):
    conversation = new(ada)
    path = f"/conversations/{conversation['id']}/messages"
    again = {"Idempotency-Key": f"refused {conversation['id']}"}
    refused(ada.post(path, json={"content": "x", "edit_of": 2**31 - 1}, headers=again), 404, "MESSAGE_NOT_FOUND")
    assert ada.post(path, json={"content": "x"}, headers=again).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "ä".encode()])
def test_a_key_that_is_none_is_refused(ada, key):
    conversation = new(ada)
    path = f"/conversations/{conversation['id']}/messages"
    refused(ada.post(path, json={"content": "x"}, headers={"Idempotency-Key": key}), 400, "BAD_REQUEST")
    assert said(ada, conversation) == []


# -- many at once ----------------------------------------------------------------------------------------------------


def test_messages_that_are_sent_at_once_all_have_their_places(ada):
    conversation = new(ada)
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: say(ada, conversation, str(number)), range(24)))
    found = said(ada, conversation)
    assert {one["id"] for one in found} == set(ids)
    assert [one["seq"] for one in found] == list(range(found[0]["seq"], found[0]["seq"] + 24))
    assert all(later["parent_id"] == earlier["id"] for earlier, later in pairwise(found))
