"""mmry's own HTTP API, at the root and below `/mmry`: memories, vectors, ranks; with a login and with a key."""

from __future__ import annotations

import base64
import json
import struct

import httpx
import pytest
from harness import merged
from memorysite import ADDED, MEMORIES, NO_SUCH, check, contents
from openai import OpenAI
from openapi_check import Checker, checked, documents_of
from people import CONFIG, populated
from waits import WAIT

BASES = ("/v1", "/mmry/v1")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    config = merged(CONFIG, {"plugins": {"memories": MEMORIES, "chat": {"enabled": True, "required": True}}})
    with populated(tmp_path_factory.mktemp("mmry"), config) as people:
        yield people


@pytest.fixture(scope="module")
def checker(people):
    return Checker(documents_of(people.server))


def program(people, checker, *scopes):
    """A new user's program, which shows a key, and the key."""
    person = people.make("viewer")
    made = person.client.post("/api/v1/api-keys", json={"name": "mmry", **({"scopes": scopes} if scopes else {})})
    key = made.json()["data"]["api_key"]
    client = httpx.Client(base_url=people.server.url, timeout=WAIT, headers={"Authorization": f"Bearer {key}"})
    return checked(client, people.server, checker), key


@pytest.fixture(scope="module")
def ann(people, checker):
    client, _ = program(people, checker)
    with client:
        yield client


@pytest.fixture(scope="module")
def bob(people, checker):
    client, _ = program(people, checker)
    with client:
        yield client


@pytest.mark.parametrize("base", BASES)
def test_a_memory_from_its_making_to_its_end(ann, base):
    made = ann.post(base + "/memories", json={"content": "The lock sticks", "tags": ["harbour"], "store": "harbour"})
    assert set(made.json()) == {"memory"}
    memory = check(made.json()["memory"], store="harbour", importance=5, memory_type="semantic", tags=["harbour"])
    body = {"content": "Oil it monthly", "memory_type": "procedural", "agent_id": "pi"}
    other = ann.post(base + "/agents/memories?store=harbour", json=body)
    assert set(other.json()) == ADDED | {"memory"}
    assert other.json()["memory"]["metadata"] == {"agent_id": "pi"}
    one = f"{base}/memories/{memory['id']}"
    assert ann.get(one).json() == memory
    assert contents(ann.get(base + "/memories?store=harbour")) == ["Oil it monthly", "The lock sticks"]
    assert contents(ann.get(base + "/memories?store=all&limit=1&offset=1")) == ["The lock sticks"]
    assert contents(ann.get(base + "/memories?store=default")) == []
    for body in (
        {"query": "lock"},
        {"query": "lock", "mode": "bm25", "store": "harbour", "rerank": True, "limit": 900},
    ):
        assert contents(ann.post(base + "/federation/search", json=body)) == ["The lock sticks"]
    assert contents(ann.post(base + "/federation/search?store=default", json={"query": "lock"})) == []
    stores = ann.get(base + "/stores").json()
    assert (stores["default"], [store["name"] for store in stores["stores"]]) == ("default", ["default", "harbour"])
    changed = ann.put(one, json={"content": "The lock was oiled", "importance": 0, "store": "harbour"}).json()
    check(changed["memory"], content="The lock was oiled", importance=1)
    assert ann.put(one, json={"importance": 5, "store": "elsewhere"}).status_code == 404
    for id in (memory["id"], other.json()["id"]):
        assert ann.delete(f"{base}/memories/{id}").json() == {"deleted": True, "id": id}
    assert ann.get(one).status_code == 404


def test_both_addresses_and_a_login_reach_the_same(people):
    person = people.make("viewer")
    made = person.client.post("/v1/memories", json={"content": "one of them"}).json()["memory"]
    assert person.client.get(f"/mmry/v1/memories/{made['id']}").json() == made
    assert person.client.get(f"/api/memories/{made['id']}").json() == made


def test_nobody_reaches_anothers(people, checker, ann, bob):
    memory = ann.post("/v1/memories", json={"content": "Ann's alone", "store": "mine"}).json()["memory"]
    with httpx.Client(base_url=people.server.url, timeout=WAIT) as nobody:
        for method, body in (("GET", None), ("PUT", {"content": "x"}), ("DELETE", None)):
            for query in ("", "?store=mine", "?store=all"):
                path = f"/v1/memories/{memory['id']}{query}"
                missing = bob.request(method, path.replace(memory["id"], NO_SUCH), json=body)
                answer = bob.request(method, path, json=body)
                assert (answer.status_code, answer.json()) == (404, missing.json())
                refused = nobody.request(method, path, json=body)
                assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")
        for path in ("/v1/memories", "/v1/stores", "/mmry/v1/models"):
            assert nobody.get(path).status_code == 401
    assert contents(bob.get("/v1/memories?store=mine")) == []
    assert contents(bob.post("/v1/federation/search", json={"query": "alone", "store": "all"})) == []
    assert [one["name"] for one in bob.get("/v1/stores").json()["stores"]] == ["default"]
    reader, _ = program(people, checker, "memories:memory:view")
    with reader:
        assert reader.get("/v1/memories").status_code == 200
        for method, path in (("POST", "/v1/memories"), ("POST", "/v1/agents/memories"), ("POST", "/v1/embeddings")):
            answer = reader.request(method, path, json={"content": "x", "input": "x"})
            assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/memories/7", None, 400),
        ("PUT", "/memories/7", {"content": "x"}, 400),
        ("DELETE", "/memories/7", None, 400),
        ("GET", f"/memories/{NO_SUCH}", None, 404),
        ("GET", "/memories?store=a/b", None, 400),
        ("GET", "/memories?limit=0", None, 400),
        ("GET", "/memories?limit=x", None, 400),
        ("POST", "/memories", {}, 400),
        ("POST", "/memories", {"content": ""}, 400),
        ("POST", "/memories", {"content": "x", "store": "a b"}, 400),
        ("POST", "/memories", {"content": "x", "store": "all"}, 400),
        ("POST", "/memories", {"content": "x" * 5000}, 413),
        ("POST", "/agents/memories", {"content": "x", "memory_type": "dream"}, 400),
        ("POST", "/federation/search", {}, 400),
        ("POST", "/federation/search", {"query": ""}, 400),
        ("POST", "/embeddings", {}, 400),
        ("POST", "/embeddings", {"input": []}, 400),
        ("POST", "/embeddings", {"input": ["a", ""]}, 400),
        ("POST", "/embeddings", {"input": ["a"] * 257}, 400),
        ("POST", "/embeddings", {"input": [[1, 2]]}, 400),
        ("POST", "/embeddings", {"input": "é" * 600_000}, 413),
        ("POST", "/rerank", {"query": "x", "documents": []}, 400),
        ("POST", "/rerank", {"query": "x", "documents": ["y"], "top_n": 0}, 400),
        ("POST", "/rerank", {"documents": ["y"]}, 400),
    ],
    ids=lambda value: json.dumps(value)[:30] if isinstance(value, dict) else None,
)
def test_wrong_input_is_told_as_mmry_does(ann, base, method, path, body, status):
    answer = ann.request(method, base + path, json=body)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["error"]["message"], str)


def test_texts_become_vectors(ann):
    texts = ["The stores are in the cellar", "Supplies are kept downstairs", "Paris is in France"]
    answer = ann.post("/mmry/v1/embeddings", json={"input": texts, "model": "whatever"}).json()
    assert [one["index"] for one in answer["data"]] == [0, 1, 2]
    vectors = [one["embedding"] for one in answer["data"]]
    assert {len(vector) for vector in vectors} == {384}
    near, far = (sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:])
    assert near > far + 0.2
    assert answer["usage"]["total_tokens"] > 10
    packed = ann.post("/v1/embeddings", json={"input": texts[0], "encoding_format": "base64"}).json()["data"]
    assert list(struct.unpack("<384f", base64.b64decode(packed[0]["embedding"]))) == pytest.approx(vectors[0], abs=1e-6)


def test_texts_are_ranked(ann):
    documents = ["Paris is in France", "Supplies are kept downstairs", "Boats need paint"]
    body = {"query": "Where are the stores?", "documents": documents}
    answer = ann.post("/v1/rerank", json=body).json()
    assert sorted(one["index"] for one in answer["results"]) == [0, 1, 2]
    best = answer["results"][0]
    assert (best["index"], best["document"]) == (1, "Supplies are kept downstairs")
    scores = [one["relevance_score"] for one in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    short = ann.post("/v1/rerank", json={**body, "top_n": 1, "return_documents": False}).json()["results"]
    assert [(one["index"], one["document"]) for one in short] == [(1, None)]


def test_a_stock_client_finds_models_and_vectors(people, checker):
    client, key = program(people, checker)
    client.close()
    with OpenAI(base_url=people.server.url + "/mmry/v1", api_key=key, timeout=WAIT, max_retries=0) as openai:
        (model,) = openai.models.list().data
        assert openai.models.retrieve(model.id).id == model.id
        found = openai.embeddings.create(model=model.id, input=["one", "two"])
        assert [len(one.embedding) for one in found.data] == [384, 384]


def test_meaning_and_words_find_what_was_added(ann):
    ann.post("/v1/memories", json={"content": "Supplies are kept downstairs", "store": "meant"})
    ann.post("/v1/memories", json={"content": "Paris is in France", "store": "meant"})
    for mode in ("hybrid", "keyword", "fuzzy", "bm25", "sparse"):
        body = {"query": "supplies", "store": "meant", "mode": mode}
        answer = ann.post("/v1/federation/search", json=body)
        assert contents(answer)[0] == "Supplies are kept downstairs", mode
