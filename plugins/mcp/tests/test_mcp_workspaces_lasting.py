"""Workspaces over time and space: purged, restarted, commanded beside the server, on PostgreSQL and on two servers."""

from __future__ import annotations

import json
import time

import pytest
from harness import Server, merged, running
from moorage.cli.main import run
from people import CONFIG, People
from waits import WAIT

URL = "/api/v1/workspaces"
SETTINGS = merged(CONFIG, {"plugins": {"mcp": {"enabled": True, "required": True}}})


def until(check, what):
    deadline = time.monotonic() + WAIT
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def make(person, name, **more):
    answer = person.client.post(URL, json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def invoke(client, workspace, tool, **parameters):
    body = {"workspace_id": workspace["id"], "tool": tool, "parameters": parameters}
    return client.post("/api/v1/mcp/invoke", json=body)


def of(client, **query):
    return [one["name"] for one in client.get(URL, params=query).json()["data"]["workspaces"]]


@pytest.fixture
def people(tmp_path):
    with running(tmp_path, SETTINGS) as server:
        people = People(server)
        yield people
        people.close()


@pytest.fixture
def command(capsys, monkeypatch):
    """Run a command in this process, which is quicker: (exit code, what it printed, what it said beside that)."""

    def call(server, *args):
        monkeypatch.setenv("MOORAGE_CONFIG", str(server.config_file))
        capsys.readouterr()
        code = run(list(args))
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return call


def test_commands_beside_a_running_server(people, command):
    """What a command does, the server knows within seconds."""
    ann, server = people.make(), people.server

    def commands(*args):
        code, out, err = command(server, "workspaces", *args)
        assert code == 0, err
        return out

    pid = commands("create", "made", "--user", ann.name).strip()
    until(lambda: invoke(ann.client, {"id": 1}, "git_status").status_code == 200, "it does not hear of it")
    shown = json.loads(commands("show", "made", "--user", ann.name, "--json"))
    assert (shown["pid"], shown["user_id"], [one["kind"] for one in shown["upstreams"]]) == (pid, ann.id, ["provided"])
    (listed,) = json.loads(commands("list", "--user", ann.name, "--json"))
    assert listed["name"] == "made"
    assert pid in commands("list")
    asked = ("calls", pid, "--tool", "git_status", "--outcome", "ok", "--json")
    until(lambda: json.loads(commands(*asked)), "it is not written down")
    (call,) = json.loads(commands(*asked))
    assert (call["tool"], call["user_id"]) == ("git_status", ann.id)
    assert "git_status" in commands("calls", "1")
    snippet = commands("mcp-json", pid, "--client", "vscode", "--url", "https://m.example.org/")
    assert json.loads(snippet)["servers"]["made"]["url"] == "https://m.example.org/ws/made/mcp"
    assert "Authorization" not in commands("mcp-json", pid, "--oauth", "--url", "https://m.example.org")

    assert commands("delete", "made", "--user", ann.name, "--yes") == f"Deleted made ({pid}).\n"
    until(lambda: invoke(ann.client, {"id": 1}, "git_status").status_code == 404, "it is still used")
    assert commands("list", "--status", "deleted").count(pid) == 1
    commands("restore", pid, "--name", "again")
    until(lambda: invoke(ann.client, {"id": 1}, "git_status").status_code == 200, "it does not come back")
    assert of(ann.client) == ["again"]
    # Users too: nobody tells the server of what `moorage users` does.
    assert command(server, "users", "disable", ann.name)[0] == 0
    until(lambda: of(people.root.client, status="inactive") == ["again"], "the user's end is not seen")
    events = people.root.client.get("/api/v1/audit", params={"action": "mcp.*"}).json()["data"]["events"]
    assert [event["actor"] for event in events[:3]] == ["system"] * 3


WRONG = [
    (("create", "a b", "--user", "root"), "Invalid workspace name format"),
    (("create", "x", "--user", "root"), "Name already exists"),
    (("create", "y", "--user", "nobody"), "There is no user 'nobody'"),
    (("show", "nope"), "`moorage workspaces list` shows all. Names need --user."),
    (("delete", "ws_nope", "--yes"), "There is no workspace 'ws_nope'"),
    (("restore", "99"), "There is no workspace '99'"),
    (("mcp-json", "x", "--user", "root"), "Say where the server is: --url, or [server] public_url."),
    (("calls", "1", "--limit", "0"), "0 is not in the range"),
]


def test_commands_without_a_server(tmp_path, command):
    server = Server(tmp_path, SETTINGS)
    server.add_user("root", role="owner")
    assert command(server, "workspaces", "create", "x", "--user", "root")[1].startswith("ws_")
    for args, said in WRONG:
        code, _, err = command(server, "workspaces", *args)
        assert code != 0, args
        assert said in err, args
    assert command(server, "workspaces", "restore", "1")[2] == "Error: The workspace is not deleted\n"
    _, said, _ = command(server, "--help")
    assert "Of plugins:\n  workspaces  Make, list, delete and restore MCP workspaces." in said
    server.write_config({"plugins": {"mcp": {"enabled": False}}})
    assert "Plugins' commands are there while they are enabled" in command(server, "workspaces", "list")[2]


def test_what_is_deleted_is_purged_in_time_and_what_runs_ends(tmp_path):
    with running(tmp_path, merged(SETTINGS, {"plugins": {"mcp": {"purge_hours": 0}}})) as server:
        people = People(server)
        ann = people.make()
        made = make(ann, "short")
        assert invoke(ann.client, made, "write_file", path="f.txt", content="x").status_code == 200
        folder = server.data_dir / "plugins" / "mcp"
        assert list(folder.rglob("f.txt"))
        assert ann.client.delete(f"{URL}/{made['id']}").status_code == 204
        until(lambda: ann.client.get(f"{URL}/{made['id']}").status_code == 404, "it is not purged")
        assert not list(folder.rglob("f.txt"))
        assert ann.client.post(f"{URL}/{made['id']}/restore").status_code == 404
        (purged,) = people.root.client.get("/api/v1/audit?action=mcp.workspace_purged").json()["data"]["events"]
        assert (purged["target"], purged["actor"]) == (f"mcp_workspace:{made['pid']}", "system")
        people.close()


def test_a_restart_finds_everything_again(tmp_path):
    server = Server(tmp_path, SETTINGS).start()
    people = People(server)
    ann = people.make()
    made, gone = make(ann, "kept", metadata={"a": 1}), make(ann, "gone")
    body = {"name": "far", "kind": "http", "url": "https://mcp.example.org/", "headers": {"X-Key": "secret"}}
    body["enabled"] = False
    assert ann.client.post(f"{URL}/{made['id']}/upstreams", json=body).status_code == 201
    assert invoke(ann.client, made, "write_file", path="f.txt", content="x").status_code == 200
    ann.client.delete(f"{URL}/{gone['id']}")
    server.kill()
    try:
        server.start()
        client = people.login(ann.name)
        assert of(client) == ["kept"]
        assert of(client, status="deleted") == ["gone"]
        assert invoke(client, made, "read_file", path="f.txt").json()["data"]["is_error"] is False
        far = client.get(f"{URL}/{made['id']}/upstreams").json()["data"]["upstreams"][1]
        assert (far["headers"], far["error"]) == ({"X-Key": "***"}, None)
        assert client.post(f"{URL}/{gone['id']}/restore").status_code == 200
    finally:
        people.close()
        server.stop()


def test_secrets_that_were_sealed_by_another_secret_of_the_server_are_told(tmp_path):
    config = merged(SETTINGS, {"accounts": {"secret_key": "the first secret, which is long enough"}})
    server = Server(tmp_path, config).start()
    people = People(server)
    made = make(people.root, "w")
    body = {"name": "far", "kind": "http", "url": "https://mcp.example.org/", "headers": {"X-Key": "secret"}}
    id = people.root.client.post(f"{URL}/{made['id']}/upstreams", json=body).json()["data"]["id"]
    server.stop()
    server.write_config({"accounts": {"secret_key": "another secret, which is long enough too"}})
    try:
        server.start()
        client = people.login("root")
        one = f"{URL}/{made['id']}/upstreams/{id}"
        found = client.get(one).json()["data"]
        assert found["error"].startswith("What is secret of this server cannot be read")
        first = client.get(f"{URL}/{made['id']}/upstreams").json()["data"]["upstreams"][0]
        client.patch(f"{URL}/{made['id']}/upstreams/{first['id']}", json={"enabled": False})
        used = client.get("/api/v1/mcp/tools", params={"workspace_id": made["id"]})
        assert (used.status_code, "cannot be read" in used.json()["detail"]) == (503, True), used.text
        assert client.patch(one, json={"position": 5}).json()["data"]["error"], "a change of something else keeps that"
        mended = client.patch(one, json={"headers": {"X-Key": "anew"}}).json()["data"]
        assert (mended["error"], mended["headers"]) == (None, {"X-Key": "***"})
    finally:
        people.close()
        server.stop()


def test_postgres_keeps_it_all_too(tmp_path, postgres_url):
    settings = {"database": {"url": postgres_url}, "plugins": {"mcp": {"provided": False, "keep_arguments": "full"}}}
    with running(tmp_path, merged(SETTINGS, settings)) as server:
        people = People(server)
        ann = people.make()
        made = [make(ann, f"w{number}", metadata={"n": number, "text": "naïve"}) for number in range(4)]
        again = ann.client.post(URL, json={"name": "w1"})
        assert (again.status_code, again.json()) == (400, {"detail": "Name already exists"})
        page = ann.client.get(URL, params={"page": 2, "per_page": 3}).json()
        assert ([one["name"] for one in page["data"]["workspaces"]], page["meta"]["total"]) == (["w3"], 4)
        assert page["data"]["workspaces"][0]["metadata"] == {"n": 3, "text": "naïve"}
        body = {"name": "far", "kind": "http", "url": "https://mcp.example.org/", "headers": {"X-Key": "secret"}}
        for status in (201, 409):
            assert ann.client.post(f"{URL}/{made[0]['id']}/upstreams", json=body).status_code == status
        ann.client.delete(f"{URL}/{made[1]['id']}")
        make(ann, "w1")
        assert of(ann.client, status="deleted") == ["w1"]
        taken = ann.client.post(f"{URL}/{made[1]['id']}/restore", json={})
        assert taken.json() == {"detail": "Name already exists"}
        calls = ann.client.get(f"{URL}/{made[0]['id']}/calls").json()
        assert calls["meta"]["total"] == 0
        invoke(ann.client, made[2], "none")
        assert ann.client.get(f"{URL}/{made[2]['id']}/calls?tool=none").json()["meta"]["total"] == 1
        people.root.client.delete(f"/api/v1/users/{ann.id}")
        assert len(of(people.root.client, user_id=ann.id, status="inactive")) == 4
        people.root.client.delete(f"/api/admin/users/{ann.pid}")
        until(lambda: people.root.client.get(f"{URL}/{made[0]['id']}").status_code == 404, "it is not purged")
        people.close()


def test_two_servers_know_of_each_others_changes(tmp_path, postgres_url, redis_url):
    shared = {
        "database": {"url": postgres_url},
        "redis": {"url": redis_url},
        "accounts": {"secret_key": "one secret for both of them, long enough"},
        "plugins": {"mcp": {"provided": False}},
    }
    servers = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        servers.append(Server(tmp_path / name, merged(SETTINGS, shared)))
    try:
        for server in servers:
            server.spawn()
        a, b = (server.wait_started() for server in servers)
        people = People(a)
        ann = people.make()
        with b.client(ann.name) as on_b:
            made = make(ann, "shared")
            tools = {"workspace_id": made["id"]}

            def seen(status):
                return lambda: on_b.get("/api/v1/mcp/tools", params=tools).status_code == status

            until(seen(200), "b does not hear of a new workspace")
            one = f"{URL}/{made['id']}"
            assert ann.client.patch(one, json={"name": "renamed"}).status_code == 200
            until(lambda: "/ws/renamed/mcp" in on_b.get(f"{one}/mcp.json").text, "b does not hear of a new name")
            assert ann.client.delete(one).status_code == 204
            until(seen(404), "b does not hear of a deletion")
            assert on_b.post(f"{one}/restore").status_code == 200
            until(lambda: "/ws/renamed/mcp" in ann.client.get(f"{one}/mcp.json").text, "a does not hear of it")
        people.close()
    finally:
        for server in servers:
            server.stop()
