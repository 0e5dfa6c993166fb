"""The model of sentences over HTTP, as OpenAI's and Cohere's clients ask for it."""

from __future__ import annotations

import base64
import struct

import httpx
import pytest
from harness import Server, running
from moorage_memories.vectors import MAX_BYTES, MAX_TEXTS
from waits import WAIT


def client(server: Server) -> httpx.Client:
    server.add_user("ann", "viewer")
    headers = {"Authorization": f"Bearer {server.key('ann')}"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=WAIT)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("models"), {"plugins": {"memories": {"enabled": True}}}) as server:
        yield server


@pytest.fixture(scope="module")
def ann(server: Server):
    with client(server) as ann:
        yield ann


@pytest.mark.parametrize("base", ["/v1", "/mmry/v1"])
def test_texts_become_vectors(ann: httpx.Client, base: str):
    answer = ann.post(base + "/embeddings", json={"input": ["Hello World", "how are you"], "model": "any"})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["object"], found["model"]) == ("list", "all-minilm-l6-v2")
    assert found["usage"]["prompt_tokens"] == found["usage"]["total_tokens"] == 9
    assert [(one["object"], one["index"], len(one["embedding"])) for one in found["data"]] == [
        ("embedding", 0, 384),
        ("embedding", 1, 384),
    ]
    assert found["data"][0]["embedding"][:2] == pytest.approx([-0.03447726, 0.03102319], abs=5e-7)
    asked = {"input": "how are you", "encoding_format": "base64"}
    one = ann.post(base + "/embeddings", json=asked).json()["data"][0]["embedding"]
    values = struct.unpack("<384f", base64.b64decode(one))
    assert values == pytest.approx(found["data"][1]["embedding"], abs=1e-6)


@pytest.mark.parametrize("base", ["/v1", "/mmry/v1"])
def test_documents_are_ordered_by_meaning(ann: httpx.Client, base: str):
    documents = ["The tax return is due in May.", "Kittens sleep most of the day.", "The cat purrs."]
    asked = {"query": "feline pets", "documents": documents, "model": "x"}
    answer = ann.post(base + "/rerank", json=asked)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert {one["index"] for one in results[:2]} == {1, 2}
    scores = [one["relevance_score"] for one in results]
    assert scores == sorted(scores, reverse=True)
    assert all(one["document"] == documents[one["index"]] for one in results)
    (best,) = ann.post(base + "/rerank", json={**asked, "top_n": 1, "return_documents": False}).json()["results"]
    assert best == {**results[0], "document": None}


def test_mmrys_clients_find_the_model(ann: httpx.Client):
    (one,) = ann.get("/mmry/v1/models").json()["data"]
    assert one["id"] == "all-minilm-l6-v2"


WRONG = [
    ("/v1/embeddings", {}, 400),
    ("/v1/embeddings", {"input": []}, 400),
    ("/v1/embeddings", {"input": ""}, 400),
    ("/v1/embeddings", {"input": ["a", " "]}, 400),
    ("/v1/embeddings", {"input": [1, 2, 3]}, 400),
    ("/v1/embeddings", {"input": [[1], [2]]}, 400),
    ("/v1/embeddings", {"input": ["a", None]}, 400),
    ("/v1/embeddings", {"input": {"text": "a"}}, 400),
    ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, 400),
    ("/v1/embeddings", {"input": ["a"] * (MAX_TEXTS + 1)}, 400),
    ("/v1/embeddings", {"input": "a" * (MAX_BYTES + 1)}, 413),
    ("/v1/rerank", {"query": "", "documents": ["a"]}, 400),
    ("/v1/rerank", {"query": "a", "documents": []}, 400),
    ("/v1/rerank", {"query": "a", "documents": [""]}, 400),
    ("/v1/rerank", {"query": "a", "documents": ["a"], "top_n": 0}, 400),
    ("/v1/rerank", {"query": "a", "documents": [7]}, 400),
    ("/v1/rerank", ["a"], 400),
]


def test_what_is_wrong_is_told(ann: httpx.Client):
    for path, body, status in WRONG:
        answer = ann.post(path, json=body)
        assert answer.status_code == status, (path, str(body)[:80], answer.text[:300])
        assert answer.json()["error"]["message"], answer.text
    assert ann.post("/v1/embeddings", content=b"{").status_code == 400
    half = ann.post("/v1/embeddings", content=b'{"input": "half \\ud800 of a pair"}')
    assert half.status_code == 400, half.text


def test_nobody_unknown_is_served(server: Server):
    for path in ("/v1/embeddings", "/v1/rerank"):
        answer = httpx.post(server.url + path, json={"input": "a"})
        assert answer.status_code == 401
        assert answer.json()["error"]["message"]


def test_switched_off_it_says_so(tmp_path):
    off = {"plugins": {"memories": {"enabled": True, "semantic": False}}}
    with running(tmp_path, off) as server, client(server) as ann:
        answer = ann.post("/v1/embeddings", json={"input": "a"})
        assert answer.status_code == 503
        assert "switched off" in answer.json()["error"]["message"]
        ann.post("/v1/memories", json={"content": "The anchor holds."})
        hybrid = ann.post("/v1/federation/search", json={"query": "anchors", "mode": "fuzzy"})
        assert [one["content"] for one in hybrid.json()["memories"]] == ["The anchor holds."]
        semantic = ann.post("/v1/federation/search", json={"query": "anchors", "mode": "semantic"})
        assert semantic.status_code == 503
