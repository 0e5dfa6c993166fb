"""`moorage memories`: stores, export, import, forget; on the database, beside a server."""

from __future__ import annotations

import json
import secrets

import pytest
from harness import Server, running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    memories = {"enabled": True, "default_mode": "keyword"}
    with running(tmp_path_factory.mktemp("memories"), {"plugins": {"memories": memories}}) as server:
        yield server


def person(server) -> tuple[str, dict[str, str]]:
    name = f"user-{secrets.token_hex(4)}"
    server.add_user(name, "viewer")
    return name, {"Authorization": f"Bearer {server.key(name)}"}


def add(client, headers, text, **more):
    answer = client.post("/api/memories", json={"content": text, **more}, headers=headers)
    assert answer.status_code in (200, 201), answer.text


def test_memories_are_carried_from_one_user_to_another(server, tmp_path):
    (ann, her), (ben, his) = person(server), person(server)
    with server.client() as client:
        add(client, her, "Größe\n二", tags=["one"], metadata={"a": 1})
        answer = client.post("/api/memories?store=work", json={"content": "at work"}, headers=her)
        assert answer.status_code in (200, 201), answer.text
        file = tmp_path / "ann.jsonl"
        said = server.cli("memories", "export", "--user", ann, "--output", str(file)).stderr
        assert f"2 memories of {ann}" in said
        assert file.stat().st_mode & 0o777 == 0o600
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        assert [(one["content"], one["store"]) for one in lines] == [("Größe\n二", "default"), ("at work", "work")]
        shown = server.cli("memories", "export", "--user", ann, "--store", "work").stdout
        assert [json.loads(line) for line in shown.splitlines()] == lines[1:]
        again = server.cli("memories", "export", "--user", ann, "--output", str(file), check=False)
        assert (again.returncode, "File exists" in again.stderr) == (1, True)
        done = server.cli("memories", "import", "--user", ben, str(file)).stdout
        assert f"{ben}: 2 memories brought in, 0 were there already." in done
        done = server.cli("memories", "import", "--user", ben, "--store", "else", str(file)).stdout
        assert f"{ben}: 0 memories brought in, 2 were there already." in done
        listed = client.get("/api/memories", headers=his).json()
        # The server that runs has them at once.
        assert {one["content"] for one in listed["memories"]} == {"Größe\n二", "at work"}
        copied = server.cli("memories", "export", "--user", ben).stdout
        assert [json.loads(line) for line in copied.splitlines()] == lines


def test_stores_are_shown(server):
    (ann, her), (ben, _) = person(server), person(server)
    with server.client() as client:
        add(client, her, "one")
        add(client, her, "two")
    table = [line.split() for line in server.cli("memories", "stores").stdout.splitlines()]
    assert table[0] == ["USER", "STORE", "MEMORIES", "PROJECT"]
    assert [ann, "default", "2", "-"] in table
    assert not any(line[0] == ben for line in table), "who has none is not in the list of all"
    told = json.loads(server.cli("memories", "stores", "--user", ben, "--json").stdout)
    assert told == [{"user": ben, "store": "default", "memories": 0, "project": None}]


def test_memories_are_forgotten(server):
    ann, her = person(server)
    with server.client() as client:
        add(client, her, "kept")
        answer = client.post("/api/memories?store=gone", json={"content": "buried treasure"}, headers=her)
        assert answer.status_code in (200, 201), answer.text
        asked = server.cli("memories", "forget", "--user", ann, check=False)
        assert asked.returncode != 0, "nobody has said yes"
        assert f"Delete 2 memories of {ann}?" in asked.stdout
        assert client.get("/api/memories", headers=her).json()["total"] == 2
        said = server.cli("memories", "forget", "--user", ann, "--store", "gone", "--yes").stdout
        assert f"Deleted: 1 memories of {ann} in the store gone." in said
        assert [one["content"] for one in client.get("/api/memories", headers=her).json()["memories"]] == ["kept"]
        server.cli("memories", "forget", "--user", ann, "--yes")
        assert client.get("/api/memories", headers=her).json()["total"] == 0
    log = server.cli("audit", "--json").stdout
    assert '"memories.forgotten"' in log
    assert "treasure" not in log + (server.folder / "stderr.log").read_text(), "what is remembered is not in the logs"


def test_what_is_wrong_is_said(server, tmp_path):
    ann, _ = person(server)
    file = tmp_path / "wrong.jsonl"
    file.write_text('{"content": "right"}\n{"content": 5}\n')
    for arguments, reason in (
        (("import", "--user", ann, str(file)), "line 2"),
        (("import", "--user", ann, "--store", "a/b", str(file)), "store"),
        (("export", "--user", ann, "--store", "a/b"), "store"),
        (("export", "--user", "nobody-there"), "There is no user"),
    ):
        refused = server.cli("memories", *arguments, check=False)
        assert refused.returncode == 1, refused
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr
    assert server.cli("memories", "export", "--user", ann).stdout == "", "all or none of a file"


def test_a_place_that_cannot_be_had_is_said(tmp_path):
    elsewhere = {"memories": {"enabled": True, "backend": "elsewhere"}}
    server = Server(tmp_path, {"plugins": elsewhere})
    server.add_user("ann", "viewer")
    for arguments, reason in (((), "name somebody with --user"), (("--user", "ann"), "elsewhere")):
        refused = server.cli("memories", "stores", *arguments, check=False)
        assert (refused.returncode, reason in refused.stderr) == (1, True), refused.stderr


def test_what_was_done_is_counted(server):
    _, her = person(server)
    with server.client() as client:
        before = figures(server, client)
        add(client, her, "secret thoughts")
        found = client.post("/api/memories/search", json={"query": "thoughts"}, headers=her)
        assert found.status_code == 200, found.text
        missing = client.get(f"/api/memories/{secrets.token_hex(4)}-0000-4000-8000-{'0' * 12}", headers=her)
        assert missing.status_code == 404
        after = figures(server, client)
    added, failed = (
        'moorage_memories_written_total{work="add"}',
        'moorage_memories_failed_total{code="',
    )
    assert after[added] == before.get(added, 0) + 1
    assert any(name.startswith(failed) and "get" in name for name in after)
    assert any(name.startswith("moorage_memories_searches_total") for name in after)
    assert not any("secret" in name for name in after)


def figures(server, client) -> dict[str, float]:
    text = client.get("/metrics").text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("moorage_memories")]
    return {name: float(value) for name, _, value in lines}
