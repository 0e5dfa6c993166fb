"""mmry's own HTTP API, at the root and below `/mmry`: memories, vectors, ranks; with a login and with a key."""

from __future__ import annotations

import base64
import struct

import httpx
import pytest
from harness import merged
from memorysite import ADDED, MEMORIES, NO_SUCH, check, contents
from moorage_memories.vectors import MAX_BYTES, MAX_TEXTS
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
        for path in ("/v1/embeddings", "/v1/rerank"):
            assert nobody.post(path, json={"input": "a"}).status_code == 401
    assert contents(bob.get("/v1/memories?store=mine")) == []
    assert contents(bob.post("/v1/federation/search", json={"query": "alone", "store": "all"})) == []
    assert [one["name"] for one in bob.get("/v1/stores").json()["stores"]] == ["default"]
    reader, _ = program(people, checker, "memories:memory:view")
    with reader:
        assert reader.get("/v1/memories").status_code == 200
        for method, path in (("POST", "/v1/memories"), ("POST", "/v1/agents/memories"), ("POST", "/v1/embeddings")):
            answer = reader.request(method, path, json={"content": "x", "input": "x"})
            assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")


# Both addresses have the same views, so one of them is enough.
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
        ("POST", "/embeddings", {"input": ""}, 400),
        ("POST", "/embeddings", {"input": ["a", " "]}, 400),
        ("POST", "/embeddings", {"input": ["a", None]}, 400),
        ("POST", "/embeddings", {"input": {"text": "a"}}, 400),
        ("POST", "/embeddings", {"input": ["a"] * (MAX_TEXTS + 1)}, 400),
        ("POST", "/embeddings", {"input": [[1, 2]]}, 400),
        ("POST", "/embeddings", {"input": "a", "encoding_format": "hex"}, 400),
        ("POST", "/embeddings", {"input": "é" * (MAX_BYTES // 2 + 1)}, 413),
        ("POST", "/embeddings", b'{"input": "half \\ud800 of a pair"}', 400),
        ("POST", "/embeddings", b"{", 400),
        ("POST", "/rerank", {"query": "", "documents": ["a"]}, 400),
        ("POST", "/rerank", {"query": "x", "documents": []}, 400),
        ("POST", "/rerank", {"query": "x", "documents": [""]}, 400),
        ("POST", "/rerank", {"query": "x", "documents": [7]}, 400),
        ("POST", "/rerank", {"query": "x", "documents": ["y"], "top_n": 0}, 400),
        ("POST", "/rerank", {"documents": ["y"]}, 400),
        ("POST", "/rerank", ["y"], 400),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_input_is_told_as_mmry_does(ann, method, path, body, status):
    how = (
        {"content": body, "headers": {"Content-Type": "application/json"}}
        if isinstance(body, bytes)
        else {"json": body}
    )
    answer = ann.request(method, "/v1" + path, **how)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["error"]["message"], str)


@pytest.mark.parametrize("base", BASES)
def test_texts_become_vectors(ann, base):
    answer = ann.post(base + "/embeddings", json={"input": ["Hello World", "how are you"], "model": "any"}).json()
    assert (answer["object"], answer["model"]) == ("list", "all-minilm-l6-v2")
    assert answer["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    assert [(one["object"], one["index"], len(one["embedding"])) for one in answer["data"]] == [
        ("embedding", 0, 384),
        ("embedding", 1, 384),
    ]
    # As others publish them of the same weights.
    assert answer["data"][0]["embedding"][:2] == pytest.approx([-0.03447726, 0.03102319], abs=5e-7)
    asked = {"input": "how are you", "encoding_format": "base64"}
    packed = ann.post(base + "/embeddings", json=asked).json()["data"][0]["embedding"]
    values = struct.unpack("<384f", base64.b64decode(packed))
    assert values == pytest.approx(answer["data"][1]["embedding"], abs=1e-6)


@pytest.mark.parametrize("base", BASES)
def test_texts_are_ranked(ann, base):
    documents = ["Paris is in France", "Supplies are kept downstairs", "Boats need paint"]
    body = {"query": "Where are the stores?", "documents": documents}
    results = ann.post(base + "/rerank", json=body).json()["results"]
    assert sorted(one["index"] for one in results) == [0, 1, 2]
    assert all(one["document"] == documents[one["index"]] for one in results)
    assert results[0]["index"] == 1
    scores = [one["relevance_score"] for one in results]
    assert scores == sorted(scores, reverse=True)
    (best,) = ann.post(base + "/rerank", json={**body, "top_n": 1, "return_documents": False}).json()["results"]
    assert (best["index"], best["document"]) == (1, None)


def test_without_the_model_it_is_said(tmp_path):
    off = {"plugins": {"memories": {"enabled": True, "semantic": False}}}
    with populated(tmp_path, {**CONFIG, **off}) as people:
        ann = people.make("viewer").client
        answer = ann.post("/v1/embeddings", json={"input": "a"})
        assert (answer.status_code, "switched off" in answer.json()["error"]["message"]) == (503, True)
        ann.post("/v1/memories", json={"content": "The anchor holds."})
        hybrid = ann.post("/v1/federation/search", json={"query": "anchor"})
        assert (contents(hybrid), hybrid.json()["mode"]) == (["The anchor holds."], "bm25")
        assert ann.post("/v1/federation/search", json={"query": "anchor", "mode": "semantic"}).status_code == 503


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
