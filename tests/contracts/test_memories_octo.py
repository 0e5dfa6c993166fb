"""Memories as `api/octo.md` has them: of a session's project, of a project by its path, and one's own."""

from __future__ import annotations

import json

import httpx
import pytest
from memorysite import ADDED, MEMORIES, NO_SUCH, check, contents
from sessionserver import coding, until
from waits import WAIT

SPELLINGS = ("session/{id}/mmry", "session/{id}/memories", "sessions/{id}/mmry", "sessions/{id}/memories")
OTHERS = ("/api/workspace/memories", "/api/memories")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    core = {"plugins": {"memories": MEMORIES}}
    with coding(tmp_path_factory.mktemp("memories"), core=core) as running:
        yield running


@pytest.fixture(scope="module")
def ann(server):
    with server.api("ann") as client:
        yield client


@pytest.fixture(scope="module")
def bob(server):
    with server.api("bob") as client:
        yield client


@pytest.fixture(scope="module")
def session(server, ann):
    """A session of ann's, in a project of its own."""
    return made(ann, server.project("work"))


def made(client, project):
    answer = client.post("/api/sessions", json={"project_path": str(project)})
    assert answer.status_code == 201, answer.text
    return answer.json()


def base(session, spelling=SPELLINGS[0]):
    return "/api/" + spelling.format(id=session["id"])


def added(client, path, content, **more):
    answer = client.post(path, json={"content": content, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_memory_from_its_making_to_its_end(ann, session, spelling):
    path = base(session, spelling)
    answer = added(ann, path, "Ann likes tea", category="taste", tags=["drinks", "ann"], importance=7)
    assert set(answer) == ADDED | {"memory"}
    memory = check(answer["memory"], content="Ann likes tea", category="taste", importance=7, store="work")
    assert memory["tags"] == ["drinks", "ann"]
    assert (answer["id"], answer["memory_type"], answer["importance"]) == (memory["id"], "semantic", 7)
    one = f"{path}/{memory['id']}"
    assert ann.get(one).json() == memory

    listed = ann.get(path, params={"category": "taste"}).json()
    assert set(listed) == {"memories", "total", "offset", "limit"}
    assert (listed["memories"][0], listed["offset"], listed["limit"]) == (memory, 0, 50)
    found = ann.post(path + "/search", json={"query": "tea", "limit": 10}).json()
    assert memory["id"] in {one["id"] for one in found["memories"]}
    assert found["mode"] == "keyword"

    changed = ann.put(one, json={"content": "Ann likes coffee", "importance": 99})
    assert set(changed.json()) == {"memory"}
    check(changed.json()["memory"], content="Ann likes coffee", importance=10, category="taste", id=memory["id"])
    assert ann.delete(one).json() == {"deleted": True, "id": memory["id"]}
    for gone in (ann.get(one), ann.put(one, json={"content": "x"}), ann.delete(one)):
        assert gone.status_code == 404
        assert gone.json()["code"] == "NOT_FOUND"


def test_all_spellings_are_of_the_same_memories(ann, session):
    memory = added(ann, base(session), "Seen from everywhere")["memory"]
    places = [base(session, spelling) for spelling in SPELLINGS]
    for path in places:
        assert ann.get(f"{path}/{memory['id']}").json() == memory
    where = {"workspace_path": session["project_path"]}
    assert ann.get(f"/api/workspace/memories/{memory['id']}", params=where).json() == memory
    assert ann.get(f"/api/memories/{memory['id']}").json() == memory


@pytest.mark.parametrize("name", ["content", "text", "memory"])
def test_the_text_is_read_by_each_of_its_names(ann, session, name):
    answer = ann.post(base(session), json={name: f"by {name}", "tags": None, "category": None, "importance": None})
    memory = check(answer.json()["memory"], content=f"by {name}", category="default", tags=[], importance=5)
    changed = ann.put(f"{base(session)}/{memory['id']}", json={name: "otherwise"})
    assert changed.json()["memory"]["content"] == "otherwise"


def test_memories_outlive_the_session(server, ann):
    project = server.project("outlived")
    first = made(ann, project)
    memory = added(ann, base(first), "Kept with the project")["memory"]
    assert ann.delete(f"/api/sessions/{first['id']}").status_code == 204
    assert ann.get(base(first)).status_code == 404, "what is asked for is the session's"
    where = {"workspace_path": str(project)}
    assert contents(ann.get("/api/workspace/memories", params=where)) == ["Kept with the project"]
    second = made(ann, project)
    assert ann.get(f"{base(second)}/{memory['id']}").json() == memory


def test_projects_of_one_name_share_nothing(server, ann):
    (server.projects / "left").mkdir(exist_ok=True)
    (server.projects / "right").mkdir(exist_ok=True)
    left, right = (made(ann, server.project(f"{side}/notes")) for side in ("left", "right"))
    memory = added(ann, base(left), "left")["memory"]
    added(ann, base(right), "right")
    assert contents(ann.get(base(left))) == ["left"]
    assert contents(ann.get(base(right))) == ["right"]
    assert ann.get(f"{base(right)}/{memory['id']}").status_code == 404
    assert {"left", "right"} <= set(contents(ann.get("/api/memories"))), "all are one's own"


def test_a_project_is_found_by_its_path_and_by_a_folder_in_it(server, ann, session):
    memory = added(ann, base(session), "By its path")["memory"]
    for path in (session["project_path"], session["project_path"] + "/src/deep", "work"):
        answer = ann.get(f"/api/workspace/memories/{memory['id']}", params={"workspace_path": path})
        assert answer.status_code == 200, path
    made_there = ann.post(
        "/api/workspace/memories", params={"workspace_path": session["project_path"]}, json={"text": "there"}
    )
    assert made_there.json()["memory"]["store"] == "work"
    for wrong in ("", "/", "/etc", "/no/such/project", "../work", str(server.data_dir), "a\0b", "x" * 5000):
        answer = ann.get("/api/workspace/memories", params={"workspace_path": wrong})
        assert answer.status_code == 404, wrong
    assert ann.get("/api/workspace/memories").status_code == 404


def test_nobody_reaches_anothers(server, ann, bob, session):
    memory = added(ann, base(session), "Ann's own")["memory"]
    with server.api("ada") as ada, httpx.Client(base_url=server.url, timeout=WAIT) as nobody:
        for spelling in SPELLINGS:
            path = base(session, spelling)
            for method, more, body in REQUESTS:
                where = f"{method} {path}{more}".replace("{memory}", memory["id"])
                missing = where.replace(session["id"], NO_SUCH)
                answers = [client.request(*one.split(), json=body) for client in (bob,) for one in (where, missing)]
                assert [answer.status_code for answer in answers] == [404, 404], where
                assert answers[0].json() == answers[1].json(), "it does not say that it is there"
                assert nobody.request(*where.split(), json=body).status_code == 401
        for one in ("/api/memories", "/api/workspace/memories?workspace_path=" + session["project_path"]):
            listed = bob.get(one)
            assert listed.json()["memories"] == [] or "Ann's own" not in contents(listed)
        for method, body in (("GET", None), ("PUT", {"content": "mine"}), ("DELETE", None)):
            assert bob.request(method, f"/api/memories/{memory['id']}", json=body).status_code == 404
        # Administrators may, as far as they may see the session and everybody's memories.
        assert ada.get(f"{base(session)}/{memory['id']}").json()["content"] == "Ann's own"
        assert ada.get(f"/api/memories/{memory['id']}").status_code == 404, "their own are others"
    assert ann.get(f"/api/memories/{memory['id']}").json() == memory


REQUESTS = [
    ("GET", "", None),
    ("POST", "", {"content": "x"}),
    ("POST", "/search", {"query": "own"}),
    ("GET", "/stores", None),
    ("GET", "/{memory}", None),
    ("PUT", "/{memory}", {"content": "x"}),
    ("DELETE", "/{memory}", None),
]


def test_keys_do_what_their_scopes_say(server, ann, session):
    memory = added(ann, base(session), "For keys")["memory"]
    scopes = {
        "reading": ["memories:memory:view", "opencode:session:view"],
        "writing": ["memories:memory:view", "memories:memory:write", "opencode:session:view", "opencode:session:code"],
        "halfway": ["memories:memory:view", "memories:memory:write", "opencode:session:view"],
        "no-sessions": ["memories:memory:view", "memories:memory:write"],
        "no-memories": ["opencode:session:view", "opencode:session:code"],
    }
    expected = {
        "reading": (200, 403, 200, 403),
        "writing": (200, 200, 200, 200),
        "halfway": (200, 403, 200, 200),
        "no-sessions": (404, 404, 200, 200),
        "no-memories": (403, 403, 403, 403),
    }
    found = {}
    for name, wanted in scopes.items():
        answer = ann.post("/api/v1/api-keys", json={"name": name, "scopes": wanted})
        server.keys[name] = answer.json()["data"]["api_key"]
        with server.api(name) as client:
            found[name] = tuple(
                client.request(method, path, json=body).status_code
                for method, path, body in [
                    ("GET", f"{base(session)}/{memory['id']}", None),
                    ("PUT", f"{base(session)}/{memory['id']}", {"importance": 3}),
                    ("GET", f"/api/memories/{memory['id']}", None),
                    ("PUT", f"/api/memories/{memory['id']}", {"importance": 3}),
                ]
            )
    assert found == expected


def test_lists_are_paged_and_filtered(server, ann):
    path = base(made(ann, server.project("paged")))
    for number in range(5):
        added(
            ann,
            path,
            f"number {number}",
            category="even" if number % 2 == 0 else "odd",
            tags=["all", f"n{number}"],
            importance=number + 1,
            memory_type="episodic" if number == 3 else "semantic",
        )
    assert contents(ann.get(path)) == [f"number {number}" for number in (4, 3, 2, 1, 0)]
    page = ann.get(path, params={"limit": 2, "offset": 1}).json()
    assert [one["content"] for one in page["memories"]] == ["number 3", "number 2"]
    assert (page["total"], page["offset"], page["limit"]) == (5, 1, 2)
    assert ann.get(path, params={"limit": 5000}).json()["limit"] == 100, "cut to mmry's most"
    assert ann.get(path, params={"offset": 50}).json()["memories"] == []
    middle = ann.get(path, params={"limit": 1, "offset": 2}).json()["memories"][0]["created_at"]
    for params, expected in [
        ({"category": "odd"}, [3, 1]),
        ({"tags": "all,n2"}, [2]),
        ({"min_importance": 4}, [4, 3]),
        ({"memory_type": "episodic"}, [3]),
        ({"since": middle}, [4, 3, 2]),
        ({"until": middle}, [1, 0]),
        ({"category": "odd", "min_importance": 3}, [3]),
        ({"category": "none"}, []),
    ]:
        assert contents(ann.get(path, params=params)) == [f"number {number}" for number in expected], params
        body = {"query": "number", **params, "limit": 100}
        if "tags" in body:
            body["tags"] = body["tags"].split(",")
        found = contents(ann.post(path + "/search", json=body))
        assert sorted(found) == sorted(f"number {number}" for number in expected), params


def test_a_search_takes_what_clients_send(ann, session):
    path = base(session)
    added(ann, path, "Moorings are checked in April", category="harbour")
    for more in [{}, {"limit": 3}, {"mode": "no-such-mode"}, {"mode": None}, {"rerank": True}, {"mode": "FUZZY"}]:
        found = contents(ann.post(path + "/search", json={"query": "moorings april", **more}))
        assert "Moorings are checked in April" in found, more
    elsewhere = ann.post(path + "/search", json={"query": "moorings april", "store": "default"})
    assert "Moorings are checked in April" not in contents(elsewhere)
    everywhere = ann.post(path + "/search", json={"query": "moorings april", "store": "all"})
    assert "Moorings are checked in April" in contents(everywhere)


def test_stores(server, ann):
    session = made(ann, server.project("stored"))
    path = base(session)
    assert ann.get(path + "/stores").json()["default"] == "stored"
    added(ann, path, "in its own store")
    added(ann, path, "in another", store="side")
    for where in (path + "/stores", base(session, SPELLINGS[1]) + "/stores"):
        stores = {one["name"]: one for one in ann.get(where).json()["stores"]}
        assert stores["stored"] == {"name": "stored", "memories": 1, "project": session["project_path"]}
        assert (stores["side"]["memories"], stores["side"]["project"]) == (1, None)
    own = ann.get("/api/memories/stores").json()
    assert (own["default"], own["stores"][0]["name"]) == ("default", "default")
    assert contents(ann.get("/api/memories", params={"store": "side"})) == ["in another"]
    assert added(ann, "/api/memories", "nowhere in particular")["memory"]["store"] == "default"


WRONG = [
    ({}, 422),
    ({"content": ""}, 422),
    ({"content": "  \n"}, 422),
    ({"content": 7}, 422),
    ({"content": None}, 422),
    ({"content": "x", "memory_type": "dream"}, 422),
    ({"content": "x", "importance": "high"}, 422),
    ({"content": "x", "tags": "a,b"}, 422),
    ({"content": "x", "tags": [1]}, 422),
    ({"content": "x", "tags": ["t" * 200]}, 422),
    ({"content": "x", "tags": [f"t{n}" for n in range(65)]}, 422),
    ({"content": "x", "category": "c" * 129}, 422),
    ({"content": "x\0y"}, 422),
    ({"content": "x", "metadata": [1]}, 422),
    ({"content": "x", "metadata": {"deep": "y" * 20_000}}, 422),
    ({"content": "x", "metadata": {"nul": "\0"}}, 422),
    ({"content": "x", "parent_id": "no uuid"}, 400),
    ({"content": "x", "store": "no/store"}, 400),
    ({"content": "x", "store": ".."}, 400),
    ({"content": "x", "store": "all"}, 400),
    ({"content": "é" * 2100}, 413),
]


@pytest.mark.parametrize(("body", "status"), WRONG, ids=lambda value: json.dumps(value)[:40])
def test_a_memory_that_cannot_be_is_refused(ann, session, body, status):
    before = ann.get(base(session)).json()["total"]
    for path in (base(session), "/api/memories"):
        answer = ann.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert set(answer.json()) <= {"error", "code", "error_code", "details"}
    assert ann.get(base(session)).json()["total"] == before


def test_other_wrong_input_is_refused(ann, session):
    path = base(session)
    memory = added(ann, path, "To be misused")["memory"]
    json_type = {"Content-Type": "application/json"}
    for method, where, options, status in [
        ("GET", path + "/no-uuid", {}, 400),
        ("PUT", path + "/no-uuid", {"json": {"content": "x"}}, 400),
        ("DELETE", path + "/no-uuid", {}, 400),
        ("GET", f"{path}/{NO_SUCH}", {}, 404),
        ("PUT", f"{path}/{memory['id']}", {"json": {}}, 422),
        ("PUT", f"{path}/{memory['id']}", {"json": {"content": ""}}, 422),
        ("PUT", f"{path}/{memory['id']}", {"json": {"unknown": 1}}, 422),
        ("POST", path + "/search", {"json": {}}, 422),
        ("POST", path + "/search", {"json": {"query": " "}}, 422),
        ("POST", path + "/search", {"json": {"query": "x" * 9000}}, 422),
        ("POST", path + "/search", {"json": {"query": "x", "limit": 0}}, 422),
        ("POST", path + "/search", {"json": {"query": "x", "since": "yesterday"}}, 422),
        ("GET", path + "?limit=0", {}, 422),
        ("GET", path + "?limit=many", {}, 422),
        ("GET", path + "?offset=-1", {}, 422),
        ("GET", path + "?memory_type=dream", {}, 422),
        ("GET", path + "?store=no%20store", {}, 400),
        ("POST", path, {"content": b"{", "headers": json_type}, 400),
        ("POST", path, {"content": b"[]", "headers": json_type}, 400),
        ("POST", path, {"content": b"\xff", "headers": json_type}, 400),
        ("POST", path, {"content": b'{"content":"\\ud800"}', "headers": json_type}, 400),
        ("POST", path, {"content": b"content=x", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", path, {"content": b"x" * 400_000, "headers": json_type}, 413),
        ("PATCH", f"{path}/{memory['id']}", {"json": {"content": "x"}}, 405),
        ("GET", "/api/memories/search", {}, 405),
    ]:
        answer = ann.request(method, where, **options)
        assert answer.status_code == status, (method, where, answer.text)
        assert set(answer.json()) <= {"error", "code", "error_code", "details"}
    assert ann.get(f"{path}/{memory['id']}").json() == memory


def test_what_was_taken_along_comes_back(server, ann, bob):
    path = base(made(ann, server.project("moved")))
    added(ann, path, "eins\u2028zwei", tags=["zahl"], metadata={"lang": "de"}, memory_type="procedural")
    added(ann, path, "drei", store="other", category="counted", importance=9)
    exported = ann.get("/api/memories/export")
    assert exported.headers["content-type"].startswith("application/jsonl")
    assert "attachment" in exported.headers["content-disposition"]
    lines = [json.loads(line) for line in exported.content.decode().split("\n") if line]
    assert [one["content"] for one in lines][-2:] == ["eins\u2028zwei", "drei"], "oldest first"
    assert len(lines) == ann.get("/api/memories").json()["total"]

    # One's own are there already.
    again = ann.post("/api/memories/import", content=exported.content)
    assert again.json() == {"imported": 0, "skipped": len(lines)}
    # Another user has none of them; the ids are theirs as well, or new ones.
    last = [{key: value for key, value in one.items() if key != "id"} for one in lines[-2:]]
    file = b"\n".join(exported.content.strip(b"\n").split(b"\n")[-2:])
    sent = bob.post("/api/memories/import", content=file, headers={"Content-Type": "application/x-ndjson"})
    assert sent.json() == {"imported": 2, "skipped": 0}
    back = [json.loads(line) for line in bob.get("/api/memories/export").content.decode().split("\n") if line]
    assert [{key: value for key, value in one.items() if key != "id"} for one in back] == last
    for memory in back:
        bob.delete(f"/api/memories/{memory['id']}")
    only = ann.get("/api/memories/export", params={"store": "other"}).content
    into = bob.post("/api/memories/import", params={"store": "elsewhere"}, content=only)
    assert into.json()["imported"] >= 1
    for memory in bob.get("/api/memories").json()["memories"]:
        assert (memory["content"], memory["store"]) == ("drei", "elsewhere")
        bob.delete(f"/api/memories/{memory['id']}")


@pytest.mark.parametrize(
    ("file", "status", "said"),
    [
        (b'{"content":"ok"}\n{"content":""}', 422, "line 2: content"),
        (b'{"content":"ok"}\n{"text":"x"}', 422, "line 2"),
        (b'{"content":"ok"}\nnot json', 400, "line 2"),
        (b'{"content":"ok"}\n[]', 400, "line 2"),
        (b'{"content":"ok","id":"7"}', 400, "line 1: A memory's id is a UUID"),
        (b'\n\n{"content":"ok","store":"a b"}', 400, "line 3: A store's name"),
        (b'{"content":"ok","created_at":"soon"}', 422, "created_at"),
        (b'{"content":"ok","created_at":"0001-01-01T00:00:00Z"}', 422, "created_at"),
        (b'{"content":"ok"}\n\xff\xfe', 400, "line 2"),
    ],
)
def test_a_file_with_a_fault_is_refused_as_a_whole(ann, file, status, said):
    before = ann.get("/api/memories").json()["total"]
    answer = ann.post("/api/memories/import", content=file)
    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert ann.get("/api/memories").json()["total"] == before


def test_an_empty_file_is_nothing(ann):
    assert ann.post("/api/memories/import", content=b"\n\n").json() == {"imported": 0, "skipped": 0}
    assert ann.post("/api/memories/import", content=b"x", headers={"Content-Type": "image/png"}).status_code == 415


def test_what_is_remembered_is_not_in_the_log(server, ann, session):
    added(ann, base(session), "the-secret-of-the-lighthouse")
    ann.post(base(session) + "/search", json={"query": "lighthouse-secret"})
    ann.post(base(session) + "/search", json={"query": "lighthouse-secret", "limit": "x"})
    written = ""

    def logged():
        nonlocal written
        written += server.output()
        return "mmry/search" in written

    until(logged, "a line of the log")
    assert "lighthouse" not in written + server.stderr
