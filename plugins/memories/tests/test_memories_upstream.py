"""Memories in a mmry service: what it is asked, what becomes of its answers, and of its faults."""

from __future__ import annotations

import json
import threading
import time

import httpx
import pytest
from memorysite import MEMORIES, check, contents
from openapi_check import checked
from people import CONFIG, populated
from realparts.mmry import TOKEN, Mmry
from sessionserver import coding, until
from waits import WAIT

TIMEOUT = 1.0
"""Seconds that the server waits for the service: long enough for one that answers, on a slow machine as well."""


def settings(service, token, **more):
    mmry = {"url": service.url, "token": {"file": str(token)}, "timeout": 10 * TIMEOUT, **more}
    return {"memories": {**MEMORIES, "backend": "mmry", "mmry": mmry}}


@pytest.fixture(scope="module")
def service():
    mmry = Mmry()
    yield mmry
    mmry.stop()


@pytest.fixture(scope="module")
def people(tmp_path_factory, service):
    folder = tmp_path_factory.mktemp("upstream")
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    with populated(folder, {**CONFIG, "plugins": settings(service, token)}) as people:
        yield people


@pytest.fixture(scope="module")
def ann(people):
    person = people.make()
    checked(person.client, people.server)
    return person


@pytest.fixture(scope="module")
def bob(people):
    return people.make()


@pytest.fixture
def faulty(service):
    """The service; whatever is wrong with it is over after the test."""
    yield service
    service.fault, service.only = None, frozenset()


def added(person, content, **more):
    answer = person.client.post("/api/memories", json={"content": content, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["memory"]


@pytest.mark.parametrize("revision", ["older", "newer", "older again"])
def test_a_memory_from_its_making_to_its_end(ann, service, revision):
    service.older = revision != "newer"
    memory = check(added(ann, "Ann likes tea", category="taste", tags=["t"], importance=8), store="default")
    assert (memory["content"], memory["category"], memory["tags"]) == ("Ann likes tea", "taste", ["t"])
    one = f"/api/memories/{memory['id']}"
    assert check(ann.client.get(one).json())["importance"] == 8
    assert contents(ann.client.get("/api/memories?category=taste")) == ["Ann likes tea"]
    assert contents(ann.client.post("/v1/federation/search", json={"query": "tea"})) == ["Ann likes tea"]
    changed = ann.client.put(one, json={"content": "Ann likes coffee", "tags": []}).json()["memory"]
    check(changed, content="Ann likes coffee", tags=[], category="taste", importance=8)
    assert changed["updated_at"] > changed["created_at"]
    assert ann.client.delete(one).json() == {"deleted": True, "id": memory["id"]}
    assert ann.client.get(one).status_code == 404
    assert ann.client.get("/api/memories/no-uuid").status_code == 400


def test_the_service_is_asked_with_the_servers_token_and_never_with_the_clients(ann, people, service):
    key = ann.client.post("/api/v1/api-keys", json={"name": "for mmry"}).json()["data"]["api_key"]
    service.requests.clear()
    with httpx.Client(base_url=people.server.url, timeout=WAIT) as program:
        program.headers["Authorization"] = f"Bearer {key}"
        assert program.get("/v1/memories").status_code == 200
        assert program.post("/mmry/v1/agents/memories", json={"content": "by a program"}).status_code == 200
    assert len(service.requests) >= 2
    for *_, headers in service.requests:
        assert headers["authorization"] == f"Bearer {TOKEN}"
        assert "cookie" not in headers
        assert key not in json.dumps(headers)
    assert TOKEN not in people.server.output() + people.server.stderr


def test_users_share_nothing(ann, bob, service):
    memory = added(ann, "Only Ann's", store="shared")
    added(bob, "Only Bob's", store="shared")
    assert contents(ann.client.get("/api/memories?store=shared")) == ["Only Ann's"]
    assert contents(bob.client.get("/api/memories?store=shared")) == ["Only Bob's"]
    assert contents(bob.client.post("/v1/federation/search", json={"query": "only", "store": "all"})) == ["Only Bob's"]
    for method, body in (("GET", None), ("PUT", {"content": "x"}), ("DELETE", None)):
        for query in ("", "?store=shared", "?store=all", "?store=u1.shared"):
            answer = bob.client.request(method, f"/v1/memories/{memory['id']}{query}", json=body)
            assert answer.status_code == 404, (method, query)
    assert {one["name"] for one in bob.client.get("/v1/stores").json()["stores"]} <= {"default", "shared"}
    assert {f"u{ann.id}.shared", f"u{bob.id}.shared"} <= set(service.stores)


def test_all_stores_are_looked_through(people, service):
    person = people.make()
    texts = [f"note {number}" for number in range(7)]
    for number, text in enumerate(texts):
        added(person, text, store=f"s{number % 3}", importance=number + 1)
    everything = person.client.get("/api/memories").json()
    assert ([one["content"] for one in everything["memories"]], everything["total"]) == (texts[::-1], 7)
    assert contents(person.client.get("/api/memories?offset=2&limit=3")) == texts[::-1][2:5]
    assert contents(person.client.get("/api/memories?min_importance=6")) == ["note 6", "note 5"]
    assert contents(person.client.get("/api/memories?store=s1&min_importance=3")) == ["note 4"]
    assert person.client.get("/api/memories?store=s0").json()["total"] == 3
    assert person.client.get("/api/memories?store=never").json()["total"] == 0
    found = contents(person.client.post("/v1/federation/search", json={"query": "note", "min_importance": 5}))
    assert sorted(found) == ["note 4", "note 5", "note 6"]
    lines = person.client.get("/api/memories/export").content.decode().splitlines()
    assert sorted(json.loads(line)["content"] for line in lines) == texts


def test_a_long_name_is_one_store_and_a_file_comes_back(people, service):
    person = people.make()
    name = "n" * 64
    added(person, "in a long one", store=name)
    assert contents(person.client.get(f"/api/memories?store={name}")) == ["in a long one"]
    assert all(len(store) <= 64 for store in service.stores)
    other = people.make()
    file = person.client.get("/api/memories/export").content
    assert other.client.post("/api/memories/import", content=file).json() == {"imported": 1, "skipped": 0}
    assert contents(other.client.get("/api/memories")) == ["in a long one"]


def test_what_a_deleted_user_had_goes(people, service):
    person = people.make()
    added(person, "soon gone")
    added(person, "also gone", store="more")
    assert people.root.client.delete(f"/api/admin/users/{person.pid}").status_code == 204
    mine = [f"u{person.id}.default", f"u{person.id}.more"]
    until(lambda: not any(service.stores[name] for name in mine), "the end of what was theirs")


FAULTS = [
    (401, 502, "does not take this server's token"),
    (403, 502, "does not take this server's token"),
    (404, 404, "not found"),
    (409, 409, "refused"),
    (413, 413, "refused"),
    (418, 502, "status 418"),
    (429, 503, "not available"),
    (500, 502, "status 500"),
    (503, 503, "not available"),
    (504, 504, "too long"),
    ("cut", 502, "broke off"),
    ("drop", 502, "broke off"),
    ("html", 502, "no JSON"),
    ("list", 502, "something else than an object"),
    ({}, 502, "memor"),
    ({"memory": {"id": 7}, "memories": [{"id": "x"}]}, 502, "memor"),
]


@pytest.mark.parametrize(("fault", "status", "said"), FAULTS, ids=lambda value: str(value)[:20])
def test_a_fault_is_told_in_the_words_of_who_asked(ann, faulty, fault, status, said):
    memory = added(ann, "Before the fault")
    faulty.fault = fault
    octo = ann.client.put(f"/api/memories/{memory['id']}?store=default", json={"content": "x"})
    assert (octo.status_code, said in octo.text) == (status, True), octo.text
    assert "code" in octo.json()
    own = ann.client.get(f"/v1/memories/{memory['id']}?store=default")
    assert own.status_code == status, own.text
    assert isinstance(own.json()["error"]["message"], str)
    faulty.fault = None
    again = ann.client.get(f"/api/memories/{memory['id']}")
    assert (again.status_code, again.json()["content"]) == (200, "Before the fault"), "the next is served"


def test_odd_values_of_the_service_are_no_fault_of_whoever_asks(ann, faulty):
    added(ann, "Before the odd values")
    odd = {
        "id": "x",
        "content": "odd",
        "created_at": "9999-12-31T23:59:59-12:00",
        "score": 10**400,
        "importance": 10**400,
    }
    faulty.fault = {"memories": [odd], "total": 1}
    (memory,) = ann.client.get("/api/memories?store=default").json()["memories"]
    assert (memory["content"], memory["score"], memory["importance"]) == ("odd", None, 10)
    assert contents(ann.client.post("/api/memories/search", json={"query": "odd", "store": "default"})) == ["odd"]


def test_what_the_service_refuses_is_told_with_its_reason(ann, faulty):
    memory = added(ann, "To be refused")
    faulty.fault, faulty.only = 400, frozenset({"PUT"})
    for query in ("", "?store=default"):
        refused = ann.client.put(f"/v1/memories/{memory['id']}{query}", json={"content": "x"})
        assert refused.status_code == 400
        assert "as the test wants it" in refused.json()["error"]["message"]


def test_a_service_that_is_away_is_said_to_be(tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    gone = Mmry()
    gone.stop()
    with populated(tmp_path, {**CONFIG, "plugins": settings(gone, token)}) as lonely:
        answer = lonely.root.client.get("/api/memories?store=default")
        assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
        until(lambda: "the mmry service" in lonely.root.client.get("/health").text, "what is wrong")
        # Without its token nothing is asked.
        token.unlink()
        assert lonely.root.client.get("/api/memories?store=default").status_code == 502


def test_as_octo_had_it_and_a_service_that_hangs(tmp_path):
    """Sessions' memories are in the store after the last part of the path; few may ask at once, and none for ever."""
    service = Mmry()
    token = tmp_path / "token"
    token.write_text(TOKEN)
    plugins = settings(service, token, stores="project", timeout=TIMEOUT, max_parallel=1)
    service.stores["work"] = []
    try:
        with coding(tmp_path, "ann", core={"plugins": plugins}) as server, server.api("ann") as ann:
            project = server.project("work")
            session = ann.post("/api/sessions", json={"project_path": str(project)}).json()
            path = f"/api/session/{session['id']}/mmry"
            service.requests.clear()
            memory = ann.post(path, json={"text": "of the project"}).json()["memory"]
            one = f"{path}/{memory['id']}"
            assert contents(ann.get(path + "?limit=10&category=default")) == ["of the project"]
            assert contents(ann.post(path + "/search", json={"query": "project"})) == ["of the project"]
            assert ann.get(one).json()["content"] == "of the project"
            assert ann.put(one, json={"importance": 2}).json()["memory"]["importance"] == 2
            assert ann.get(path + "/stores").json()["default"] == "work"
            assert ann.delete(one).json()["deleted"] is True
            asked = [(method, where, query) for method, where, query, *_ in service.requests]
            store = {"store": "work"}
            assert asked == [
                ("POST", "/v1/agents/memories", store),
                ("GET", "/v1/memories", {"category": "default", "limit": "10", "offset": "0", **store}),
                ("POST", "/v1/federation/search", store),
                ("GET", f"/v1/memories/{memory['id']}", store),
                ("PUT", f"/v1/memories/{memory['id']}", store),
                ("GET", "/v1/stores", {}),
                ("DELETE", f"/v1/memories/{memory['id']}", store),
            ]
            # The service's default store is ours, by whatever name it has there.
            service.requests.clear()
            assert ann.get("/api/memories?store=default").status_code == 200
            assert "store" not in service.requests[0][2]

            service.fault = "hang"
            began = time.monotonic()
            answers = []
            asking = [threading.Thread(target=lambda: answers.append(ann.get(path).status_code)) for _ in range(4)]
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join(WAIT)
            assert answers == [504] * 4, "who waited for a turn as well"
            assert time.monotonic() - began < WAIT
            service.fault = None
            service.released.set()
            assert ann.get(path).status_code == 200
    finally:
        service.stop()
