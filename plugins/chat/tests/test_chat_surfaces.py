"""What chat has beyond its contract: search, files, links, settings; over HTTP."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from harness import merged
from openapi_check import Checker, checked, documents_of
from people import CONFIG, populated
from realparts.llm import MODEL, Llm


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    llm = Llm()
    chat = {"enabled": True, "required": True, "providers": {"scripted": {"base_url": llm.url}}}
    try:
        with populated(tmp_path_factory.mktemp("surfaces"), merged(CONFIG, {"plugins": {"chat": chat}})) as people:
            yield people
    finally:
        llm.stop()


@pytest.fixture(scope="module")
def checker(people):
    return Checker(documents_of(people.server))


@pytest.fixture
def ada(people, checker):
    return checked(people.make().client, people.server, checker)


@pytest.fixture(scope="module")
def ben(people, checker):
    return checked(people.make().client, people.server, checker)


def new(client, title, *said):
    conversation = client.post("/conversations", json={"title": title}).json()
    ids = [say(client, conversation, one) for one in said]
    return {**conversation, "said": ids}


def say(client, conversation, content, **more):
    answer = client.post(f"/conversations/{conversation['id']}/messages", json={"content": content, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["message_id"]


def path(conversation, rest=""):
    return f"/conversations/{conversation['id']}{rest}"


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def found(client, q, **more):
    answer = client.get("/chat/search", params={"q": q, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- search ----------------------------------------------------------------------------------------------------------


def test_what_was_said_is_found_by_its_words(ada, ben):
    kitchen = new(ada, "Kitchen", "Where do the marmalade jars belong?", "Next to the honey")
    garden = new(ada, "Garden", "Marmelade aus Äpfeln", "no fruit <b>here</b>")
    new(ben, "Other", "marmalade of somebody else")
    hits = found(ada, "marmalade")
    assert [(hit["conversation_id"], hit["message_id"]) for hit in hits] == [(kitchen["id"], kitchen["said"][0])]
    (hit,) = hits
    start, end = hit["marks"][0]
    assert hit["snippet"][start:end] == "marmalade"
    assert (hit["title"], hit["role"]) == ("Kitchen", "user")
    assert [one["message_id"] for one in found(ada, "APFELN marm")] == [garden["said"][0]]
    assert {one["message_id"] for one in found(ada, "mar")} == {kitchen["said"][0], garden["said"][0]}
    assert found(ada, "marmalade honey") == []
    assert [one["message_id"] for one in found(ada, "honey", conversation_id=kitchen["id"])] == [kitchen["said"][1]]
    assert found(ada, "honey", conversation_id=garden["id"]) == []
    refused(ben.get(f"/chat/search?q=honey&conversation_id={kitchen['id']}"), 404, "CONVERSATION_NOT_FOUND")


def test_a_conversation_is_found_by_its_title_before_messages(ada):
    titled = new(ada, "Penguins", "something")
    said = new(ada, "Birds", "penguins swim")
    hits = found(ada, "penguin")
    assert [(hit["conversation_id"], hit["message_id"]) for hit in hits] == [
        (titled["id"], None),
        (said["id"], said["said"][0]),
    ]
    assert [hit["message_id"] for hit in found(ada, "penguin", offset=1)] == []


@pytest.mark.parametrize(
    "q", ['"', "'", "*", "-", "(", "a AND", "NEAR(", "a* OR b", "%", "\\", "🦆", "col:x", "^x", "\0", "\ud83e"]
)
def test_no_text_is_too_odd_to_search_for(ada, q):
    new(ada, "Odd", "a b c")
    answer = ada.get("/chat/search", params={"q": q.encode("utf-8", "surrogatepass")})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "query", ["", "q=", f"q={'x' * 501}", "q=x&limit=0", "q=x&limit=1000", "q=x&conversation_id=x"]
)
def test_a_search_that_is_none_is_refused(ada, query):
    refused(ada.get(f"/chat/search?{query}"), 400, "VALIDATION_ERROR")


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_conversation_is_taken_along_and_brought_in_again(ada, ben):
    there = new(ada, "Grüße / “und” <b>", "one", "two")
    say(ada, there, "two, better", edit_of=there["said"][1])
    answer = ada.get(path(there, "/export"))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"].startswith('attachment; filename="Gr__e _ _und_ _b_.json"; filename*=')
    file = answer.json()
    assert [one["content"] for one in file["messages"]] == ["one", "two", "two, better"]
    brought = ben.post("/conversations/import", content=answer.content, headers={"Content-Type": "application/json"})
    assert brought.status_code == 200, brought.text
    (made,) = brought.json()["conversations"]
    assert made["title"] == "Grüße / “und” <b>"
    for query in ({}, {"branch": "active"}):
        both = [client.get(path(one, "/messages"), params=query).json() for client, one in ((ada, there), (ben, made))]
        assert [one["content"] for one in both[0]] == [one["content"] for one in both[1]]
    assert ben.get(path(made, "/export")).json()["messages"] == file["messages"]
    refused(ben.get(path(there, "/export")), 404, "CONVERSATION_NOT_FOUND")


def test_markdown_is_the_branch_that_is_shown(ada):
    there = new(ada, "Notes", "one", "*two*")
    say(ada, there, "*two*, better", edit_of=there["said"][1])
    answer = ada.get(path(there, "/export?format=markdown"))
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text.startswith("# Notes\n")
    assert "\n*two*, better\n" in answer.text
    assert "\n*two*\n" not in answer.text
    assert ada.get(path(there, "/export?format=md")).text == answer.text
    refused(ada.get(path(there, "/export?format=pdf")), 400, "VALIDATION_ERROR")


def test_all_are_taken_along_at_once(ada, ben):
    for number in range(3):
        new(ada, f"All {number}", "x")
    answer = ada.get("/chat/export")
    assert answer.headers["content-type"] == "application/jsonl"
    lines = answer.text.splitlines()
    assert sorted(json.loads(line)["title"] for line in lines) == ["All 0", "All 1", "All 2"]
    for kind in ("application/jsonl", "application/x-ndjson", "application/json"):
        brought = ben.post("/conversations/import", content=answer.content, headers={"Content-Type": kind})
        assert brought.status_code == 200, brought.text
        assert len(brought.json()["conversations"]) == 3


@pytest.mark.parametrize(
    "file",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": "moorage-chat", "version": 2, "messages": []}',
        '{"format": "moorage-chat", "version": 1, "messages": [{"id": 1, "role": "king", "content": "x"}]}',
        '{"format": "moorage-chat", "version": 1, "messages": [{"id": 1, "role": "user", "parent": 1}]}',
        '{"format": "moorage-chat", "version": 1, "messages": [{"id": 1, "role": "user"}, {"id": 1, "role": "user"}]}',
        '{"format": "moorage-chat", "version": 1, "messages": [], "head": 5}',
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(ada, file):
    good = '{"format": "moorage-chat", "version": 1, "title": "good", "messages": []}\n'
    for text in (file, good + file) if file else (file,):
        answer = ada.post("/conversations/import", content=text, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
    assert ada.get("/conversations").json() == []


def test_a_file_is_read_only_as_json(ada):
    form = {"Content-Type": "text/plain"}
    refused(ada.post("/conversations/import", content="{}", headers=form), 415, "UNSUPPORTED_MEDIA_TYPE")


# -- links ------------------------------------------------------------------------------------------------------------


def test_who_has_the_link_reads_what_was_shared(people, checker, ada, ben):
    there = new(ada, "Shared", "one", "two")
    answer = ada.post(path(there, "/share"))
    assert answer.status_code == 200, answer.text
    link = answer.json()
    assert link["url"] == f"{people.server.url}/console/shared/{link['token']}"
    assert answer.headers["cache-control"] == "no-store"
    assert ada.get(path(there)).json()["shared"] is True
    say(ada, there, "private again")
    where = f"/chat/shared/{link['token']}"
    with checked(httpx.Client(base_url=people.server.url), people.server, checker) as nobody:
        for client in (nobody, ben):
            shown = client.get(where)
            assert [one["content"] for one in shown.json()["messages"]] == ["one", "two"]
            assert set(shown.json()["messages"][0]) == {"role", "content", "created_at", "status"}
            assert set(shown.json()) == {"title", "created_at", "shared_at", "messages"}
        assert shown.headers["cache-control"] == "no-store"
        assert shown.headers["referrer-policy"] == "no-referrer"
        assert shown.headers["x-robots-tag"] == "noindex"
        assert ada.put(path(there, "/share")).status_code == 200
        assert len(nobody.get(where).json()["messages"]) == 3
        second = ada.post(path(there, "/share")).json()["token"]
        refused(nobody.get(where), 404, "CONVERSATION_NOT_FOUND")
        assert nobody.get(f"/chat/shared/{second}").status_code == 200
        assert ada.delete(path(there, "/share")).status_code == 200
        refused(nobody.get(f"/chat/shared/{second}"), 404, "CONVERSATION_NOT_FOUND")
    assert ada.get(path(there)).json()["shared"] is False
    assert ada.delete(path(there, "/share")).status_code == 200
    refused(ada.put(path(there, "/share")), 409, "NOT_SHARED")
    assert link["token"] not in people.server.stderr + people.server.output()


def test_only_its_owner_shares_a_conversation(ada, ben):
    there = new(ada, "Mine", "x")
    for method in ("POST", "PUT", "DELETE"):
        refused(ben.request(method, path(there, "/share")), 404, "CONVERSATION_NOT_FOUND")
    assert ada.get(path(there)).json()["shared"] is False


def test_a_link_ends_with_its_conversation(people, ada):
    there = new(ada, "Short", "x")
    token = ada.post(path(there, "/share")).json()["token"]
    ada.delete(path(there))
    assert people.anybody().get(f"/chat/shared/{token}").status_code == 404


@pytest.mark.parametrize(
    "token", ["x", "mshare_", "mshare_" + "A" * 32, "mshare_" + "A" * 5000, "%FF", "mshare_%F0%9F%98%80"]
)
def test_a_token_that_is_none_shows_nothing(people, token):
    answer = people.anybody().get(f"/chat/shared/{token}")
    assert answer.status_code in (400, 404), answer.text


# -- settings ---------------------------------------------------------------------------------------------------------


def test_what_answers_next_is_set_and_forgotten(people, ada):
    there = new(ada, "Set", "hello")
    wanted = {"provider_id": "scripted", "model": MODEL, "temperature": 0.5, "max_tokens": 7}
    answer = ada.patch(path(there), json={"settings": wanted})
    assert (answer.status_code, answer.json()) == (200, {"message": "Conversation changed"})
    shown = ada.get(path(there)).json()
    assert (shown["provider_id"], shown["model"]) == ("scripted", MODEL)
    assert shown["settings"] == {"temperature": 0.5, "max_tokens": 7}
    ada.patch(path(there), json={"settings": {"temperature": None}, "title": "Other"})
    shown = ada.get(path(there)).json()
    assert (shown["settings"], shown["title"]) == ({"max_tokens": 7}, "Other")
    ada.patch(path(there), json={"settings": {"provider_id": None, "model": None}})
    assert ada.get(path(there)).json()["model"] is None


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"provider_id": "none-such"}, "PROVIDER_NOT_FOUND"),
        ({"model": "none such"}, "MODEL_NOT_FOUND"),
        ({"provider_id": "scripted", "model": "none such", "temperature": 1}, "MODEL_NOT_FOUND"),
        ({"tool_sets": ["mcp:none"], "temperature": 1}, "TOOLS_NOT_FOUND"),
        ({"temperature": 3}, "VALIDATION_ERROR"),
        ({"temperature": "hot"}, "VALIDATION_ERROR"),
        ({"max_tokens": 0}, "VALIDATION_ERROR"),
        ({"tool_sets": "mcp:x"}, "VALIDATION_ERROR"),
        ({"nonsense": 1}, "VALIDATION_ERROR"),
    ],
)
def test_a_setting_that_cannot_be_changes_nothing(ada, wanted, code):
    there = new(ada, "Kept", "x")
    refused(ada.patch(path(there), json={"settings": wanted, "title": "Other"}), 400, code)
    shown = ada.get(path(there)).json()
    assert (shown["title"], shown["settings"], shown["model"]) == ("Kept", {}, None)


def events(answer):
    """(type, data) of a stream's events."""
    return [
        (block.split("event: ")[1].split("\n")[0], json.loads(block.split("data: ")[1]))
        for block in answer.text.split("\n\n")
        if block
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"provider_id": "scripted", "model": MODEL, "temperature": 0.7, "max_tokens": 1000, "top_p": 0.9},
        {"provider_id": "scripted", "model_id": MODEL, "generation_settings": {"temperature": 0.7, "max_tokens": 1000}},
        {"provider_id": "", "model": ""},
        {"provider_id": None, "model": None, "temperature": None},
        {},
    ],
)
def test_every_pages_wish_is_understood(people, ada, body):
    there = new(ada, "Wishes", "hello")
    csrf = ada.get("/auth/me").headers["x-csrf-token"]
    headers = {"X-CSRF-Token": csrf, "Content-Type": "text/plain;charset=UTF-8"}
    answer = ada.post(path(there, "/stream"), content=json.dumps(body), headers=headers)
    assert answer.status_code == 200, answer.text
    told = events(answer)
    assert (told[0][0], told[-1][0], told[-1][1]["status"]) == ("ping", "done", "ok")
    assert ada.get(path(there, "/messages")).json()[-1]["content"] == "You said: hello"


def test_a_stream_that_is_asked_for_again_is_the_same_answer(ada):
    there = new(ada, "Once", "hello")
    again = {"Idempotency-Key": f"stream {there['id']}"}
    first, second = (ada.post(path(there, "/stream"), json={}, headers=again) for _ in range(2))
    assert second.headers["x-generation-id"] == first.headers["x-generation-id"]
    assert second.headers["idempotent-replayed"] == "true"
    assert [one for one in events(first) if one[0] != "ping"] == [one for one in events(second) if one[0] != "ping"]
    assert len(ada.get(path(there, "/messages")).json()) == 2
    refused(ada.post(path(there, "/stream"), json={"model": MODEL}, headers=again), 422, "IDEMPOTENCY_KEY_REUSED")


def test_a_retry_that_is_asked_for_again_is_one_copy(ada):
    there = new(ada, "Again", "hello")
    again = {"Idempotency-Key": f"retry {there['id']}"}
    first, second = (ada.post("/chat/retry", json={"conversation_id": there["id"]}, headers=again) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    copies = ada.get(path(there, "/messages")).json()
    assert [(one["content"], one.get("retry_of")) for one in copies] == [("hello", None), ("hello", copies[0]["id"])]


def test_a_stream_of_another_users_conversation_is_not_there(ada, ben):
    there = new(ada, "Mine", "x")
    refused(ben.post(path(there, "/stream"), json={}), 404, "CONVERSATION_NOT_FOUND")
    refused(ben.post("/chat/retry", json={"conversation_id": there["id"]}), 404, "CONVERSATION_NOT_FOUND")
    evil = {"Origin": "https://evil.example"}
    refused(ada.post(path(there, "/stream"), json={}, headers=evil), 403, "CSRF_INVALID")


# -- the guide --------------------------------------------------------------------------------------------------------


def test_the_guides_first_answer_is_given(people):
    bash, curl = shutil.which("bash"), shutil.which("curl")
    help = subprocess.run([curl, "--help", "all"], capture_output=True, text=True).stdout if curl else ""
    if bash is None or "--json" not in help:
        pytest.skip("bash and curl 7.82 or newer are needed")
    person = people.make()
    key = person.client.post("/api/v1/api-keys", json={"name": "guide"}).json()["data"]["api_key"]
    following = person.client.post("/conversations", json={}).json()["id"] + 1
    guide = (Path(__file__).parents[3] / "docs" / "chat.md").read_text()
    text = re.findall(r"^```sh\n(.*?)^```$", guide, re.M | re.S)[0]
    for old, new in (
        ("http://127.0.0.1:8000 KEY=mcp_...", f"{people.server.url} KEY={key}"),
        ("conversations/1/", f"conversations/{following}/"),
    ):
        assert old in text
        text = text.replace(old, new)
    text = 'curl() { command curl -sS --fail-with-body -w "\\n" "$@"; }\nset -e\n' + text
    done = subprocess.run([bash, "-c", text], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status": "ok"' in done.stdout
    assert person.client.get(f"/conversations/{following}/messages").json()[1]["content"].startswith("You said: Why is")
