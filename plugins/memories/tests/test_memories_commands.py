"""`moorage memories`: stores, export, import, forget; on the database, beside a server."""

from __future__ import annotations

import json
import secrets

import pytest
from harness import Server
from people import CONFIG, populated


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    memories = {"enabled": True, "default_mode": "keyword"}
    with populated(tmp_path_factory.mktemp("memories"), {**CONFIG, "plugins": {"memories": memories}}) as people:
        yield people


@pytest.fixture(scope="module")
def server(people):
    return people.server


@pytest.fixture
def ann(people):
    return people.make("viewer")


@pytest.fixture
def ben(people):
    return people.make("viewer")


def add(person, text, store="", **more):
    answer = person.client.post("/api/memories", params={"store": store}, json={"content": text, **more})
    assert answer.status_code == 200, answer.text


def listed(person):
    return person.client.get("/api/memories").json()


def test_memories_are_carried_from_one_user_to_another(server, ann, ben, tmp_path):
    add(ann, "Größe\n二", tags=["one"], metadata={"a": 1})
    add(ann, "at work", store="work")
    file = tmp_path / "ann.jsonl"
    said = server.cli("memories", "export", "--user", ann.name, "--output", str(file)).stderr
    assert f"2 memories of {ann.name}" in said
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [(one["content"], one["store"]) for one in lines] == [("Größe\n二", "default"), ("at work", "work")]
    shown = server.cli("memories", "export", "--user", ann.name, "--store", "work").stdout
    assert [json.loads(line) for line in shown.splitlines()] == lines[1:]
    again = server.cli("memories", "export", "--user", ann.name, "--output", str(file), check=False)
    assert (again.returncode, "is there already" in again.stderr) == (1, True)
    done = server.cli("memories", "import", "--user", ben.name, str(file)).stdout
    assert f"{ben.name}: 2 memories brought in, 0 were there already." in done
    done = server.cli("memories", "import", "--user", ben.name, "--store", "else", str(file)).stdout
    assert f"{ben.name}: 0 memories brought in, 2 were there already." in done
    # The server that runs has them at once.
    assert {(one["content"], one["store"]) for one in listed(ben)["memories"]} == {
        ("Größe\n二", "default"),
        ("at work", "work"),
    }


def test_stores_are_shown(server, ann, ben):
    add(ann, "one")
    add(ann, "two")
    table = [line.split() for line in server.cli("memories", "stores").stdout.splitlines()]
    assert table[0] == ["USER", "STORE", "MEMORIES", "PROJECT"]
    assert [ann.name, "default", "2", "-"] in table
    assert not any(line[0] == ben.name for line in table), "who has none is not in the list of all"
    told = json.loads(server.cli("memories", "stores", "--user", ben.name, "--json").stdout)
    assert told == [{"user": ben.name, "store": "default", "memories": 0, "project": None}]


def test_memories_are_forgotten(server, ann):
    add(ann, "kept")
    add(ann, "buried treasure", store="gone")
    asked = server.cli("memories", "forget", "--user", ann.name, check=False)
    assert asked.returncode != 0, "nobody has said yes"
    assert f"Delete 2 memories of {ann.name}?" in asked.stdout
    assert listed(ann)["total"] == 2
    said = server.cli("memories", "forget", "--user", ann.name, "--store", "gone", "--yes").stdout
    assert f"Deleted: 1 memories of {ann.name} in the store gone." in said
    assert [one["content"] for one in listed(ann)["memories"]] == ["kept"]
    server.cli("memories", "forget", "--user", ann.name, "--yes")
    assert listed(ann)["total"] == 0
    log = server.cli("audit", "--json").stdout
    assert '"memories.forgotten"' in log
    assert "treasure" not in log + server.stderr, "what is remembered is not in the logs"


def test_what_is_wrong_is_said(server, ann, tmp_path):
    file = tmp_path / "wrong.jsonl"
    file.write_text('{"content": "right"}\n{"content": 5}\n')
    for arguments, reason in (
        (("import", "--user", ann.name, str(file)), "line 2"),
        (("export", "--user", ann.name, "--store", "a/b"), "store"),
        (("export", "--user", "nobody-there"), "There is no user"),
    ):
        refused = server.cli("memories", *arguments, check=False)
        assert refused.returncode == 1, refused
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr
    assert listed(ann)["total"] == 0, "all or none of a file"


def test_a_place_that_cannot_be_had_is_said(tmp_path):
    elsewhere = {"memories": {"enabled": True, "backend": "elsewhere"}}
    server = Server(tmp_path, {"plugins": elsewhere})
    server.add_user("ann", "viewer")
    for arguments, reason in (((), "name somebody with --user"), (("--user", "ann"), "elsewhere")):
        refused = server.cli("memories", "stores", *arguments, check=False)
        assert (refused.returncode, reason in refused.stderr) == (1, True), refused.stderr


def test_what_was_done_is_counted(server, ann):
    with server.client() as client:
        before = figures(client)
        add(ann, "secret thoughts")
        found = ann.client.post("/api/memories/search", json={"query": "thoughts"})
        assert found.status_code == 200, found.text
        missing = ann.client.get(f"/api/memories/{secrets.token_hex(4)}-0000-4000-8000-{'0' * 12}")
        assert missing.status_code == 404
        after = figures(client)
    added, failed = 'moorage_memories_written_total{work="add"}', 'moorage_memories_failed_total{code="'
    assert after[added] == before.get(added, 0) + 1
    assert any(name.startswith(failed) and "get" in name for name in after)
    assert any(name.startswith("moorage_memories_searches_total") for name in after)
    assert not any("secret" in name for name in after)


def figures(client) -> dict[str, float]:
    text = client.get("/metrics").text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("moorage_memories")]
    return {name: float(value) for name, _, value in lines}
