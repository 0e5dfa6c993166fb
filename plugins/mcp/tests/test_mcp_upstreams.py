"""The servers of a workspace: what may be set, by whom, and that secrets are never shown again."""

from __future__ import annotations

import sqlite3

import pytest
from harness import merged
from people import CONFIG, populated

MCP = {
    "enabled": True,
    "required": True,
    "targets": ["https://mcp.example.org/team/", "http://127.0.0.1:9/mcp"],
    "max_upstreams": 4,
}
SETTINGS = merged(CONFIG, {"plugins": {"mcp": MCP}})
PUBLIC = "https://mcp.elsewhere.example/mcp"
SECRET = "a-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("upstreams"), SETTINGS) as people:
        yield people


class Workspace:
    """A workspace of somebody's, and its servers."""

    def __init__(self, person, name="w"):
        self.client = person.client
        made = person.client.post("/api/v1/workspaces", json={"name": name})
        assert made.status_code == 201, made.text
        self.data = made.json()["data"]
        self.path = f"/api/v1/workspaces/{self.data['id']}/upstreams"

    def add(self, client=None, **body):
        return (client or self.client).post(self.path, json=body)

    def change(self, id, **body):
        return self.client.patch(f"{self.path}/{id}", json=body)

    def names(self):
        return [one["name"] for one in self.client.get(self.path).json()["data"]["upstreams"]]


@pytest.fixture
def mine(people):
    return Workspace(people.make())


@pytest.fixture(scope="module")
def shared(people):
    """For what is refused and changes nothing."""
    return Workspace(people.make())


def test_a_workspace_begins_with_files_and_git(mine):
    (provided,) = mine.client.get(mine.path).json()["data"]["upstreams"]
    assert (provided["name"], provided["kind"], provided["enabled"]) == ("workspace", "provided", True)
    assert (provided["state"], provided["error"]) == ("idle", None)
    again = mine.add(name="more", kind="provided")
    assert (again.status_code, again.json()["detail"]) == (409, "The workspace has its files and git already")
    assert mine.client.delete(f"{mine.path}/{provided['id']}").status_code == 204
    assert mine.names() == []
    back = mine.add(name="files", kind="provided")
    assert (back.status_code, back.json()["data"]["prefix"]) == (201, "")


def test_a_program_is_added_changed_and_removed(people, mine):
    added = mine.add(
        name="time",
        kind="stdio",
        command=["mcp-server-time", "--local-timezone", "UTC"],
        env={"LANG": "C"},
        secrets={"TOKEN": SECRET, "OTHER": "x"},
        fixed={"timezone": "UTC"},
        tools={"deny": ["convert_*"]},
        annotations={"get_current_time": {"readOnlyHint": True}},
    )
    assert added.status_code == 201, added.text
    data = added.json()["data"]
    assert (data["prefix"], data["position"], data["version"]) == ("time__", 1, 1)
    assert data["secrets"] == {"TOKEN": "***", "OTHER": "***"}
    assert (data["env"], data["fixed"]) == ({"LANG": "C"}, {"timezone": "UTC"})
    assert data["tools"] == {"allow": [], "deny": ["convert_*"]}
    one = f"{mine.path}/{data['id']}"
    changed = mine.change(data["id"], secrets={"TOKEN": "***", "NEW": "y"}, enabled=False, name="clock")
    assert changed.status_code == 200, changed.text
    assert changed.json()["data"]["secrets"] == {"TOKEN": "***", "NEW": "***"}
    shown = mine.client.get(one).json()["data"]
    assert (shown["name"], shown["enabled"], shown["version"]) == ("clock", False, 2)
    assert shown["command"] == ["mcp-server-time", "--local-timezone", "UTC"], "what is left out stays"
    same = mine.change(data["id"], enabled=False).json()["data"]
    assert same["version"] == 2, "nothing changed"
    everything = mine.client.get(f"/api/v1/workspaces/{mine.data['id']}").text + changed.text + added.text
    assert SECRET not in everything
    with sqlite3.connect(people.server.data_dir / "moorage.db") as database:
        dump = "\n".join(database.iterdump())
    assert "mcp-server-time" in dump
    assert SECRET not in dump
    assert SECRET not in people.server.stderr
    assert mine.client.delete(one).status_code == 204
    assert mine.client.delete(one).json() == {"detail": "Upstream not found"}
    assert mine.client.get(one).status_code == 404
    target = f"mcp_workspace:{mine.data['pid']}"
    events = people.root.client.get("/api/v1/audit", params={"target": target}).json()["data"]["events"]
    assert [event["action"] for event in reversed(events)] == [
        "mcp.workspace_created",
        "mcp.upstream_added",
        "mcp.upstream_changed",
        "mcp.upstream_removed",
    ]
    assert SECRET not in str(events)


def test_an_address_is_added_with_its_headers(mine):
    added = mine.add(
        name="remote",
        kind="http",
        url="https://mcp.example.org/team/tools",
        headers={"Authorization": f"Bearer {SECRET}"},
        era="modern",
        prefix="r_",
    )
    assert added.status_code == 201, added.text
    data = added.json()["data"]
    assert (data["headers"], data["era"], data["prefix"]) == ({"Authorization": "***"}, "modern", "r_")
    assert SECRET not in added.text
    assert mine.change(data["id"], era=None).json()["data"]["era"] is None
    path = mine.change(data["id"], url="https://mcp.example.org/team/others")
    assert (path.status_code, path.json()["data"]["headers"]) == (200, {"Authorization": "***"})
    for given in ({}, {"headers": {"Authorization": "***"}}):
        sent = mine.change(data["id"], url="http://127.0.0.1:9/mcp", **given)
        assert (sent.status_code, "given again" in sent.json()["detail"]) == (422, True), (
            "secrets go to no other server"
        )
    fresh = mine.change(data["id"], url="http://127.0.0.1:9/mcp", headers={"Authorization": "new"})
    assert fresh.status_code == 200
    kept = mine.change(data["id"], headers={"authorization": "***"})
    assert (kept.status_code, "there is none" in kept.json()["detail"]) == (422, True)
    assert mine.change(data["id"], headers={}).json()["data"]["headers"] == {}


def test_the_first_without_a_prefix_and_no_two_alike(mine):
    assert mine.add(name="two", kind="http", url="http://127.0.0.1:9/mcp").json()["data"]["prefix"] == "two__"
    clash = mine.add(name="three", kind="http", url="http://127.0.0.1:9/mcp", prefix="")
    assert clash.status_code == 422
    assert 'the server "workspace" has no prefix already' in clash.json()["detail"]
    taken = mine.add(name="two", kind="http", url="http://127.0.0.1:9/mcp")
    assert (taken.status_code, taken.json()["detail"]) == (409, 'The workspace has a server "two" already')
    third = mine.add(name="three", kind="sse", url="http://127.0.0.1:9/mcp/sse").json()["data"]
    assert mine.change(third["id"], prefix="two__").status_code == 422
    assert mine.change(third["id"], name="two").status_code == 409
    assert mine.add(name="four", kind="http", url="http://127.0.0.1:9/mcp").status_code == 201
    full = mine.add(name="five", kind="http", url="http://127.0.0.1:9/mcp")
    assert (full.status_code, "4 servers already" in full.json()["detail"]) == (409, True)
    assert mine.names() == ["workspace", "two", "three", "four"]
    assert mine.change(third["id"], position=0).status_code == 200
    assert mine.names() == ["workspace", "three", "two", "four"], "of two in one place the older is first"


def test_programs_and_addresses_need_rights(people):
    viewer = Workspace(people.make("viewer"))
    refused = viewer.add(name="time", kind="stdio", command=["mcp-server-time"])
    assert refused.status_code == 403
    assert viewer.add(name="far", kind="http", url=PUBLIC).status_code == 403
    near = viewer.add(name="near", kind="http", url="https://mcp.example.org/team/x")
    assert near.status_code == 201, "what the operator names is for everybody"
    id = near.json()["data"]["id"]
    assert viewer.change(id, url=PUBLIC).status_code == 403
    assert viewer.change(id, url="https://mcp.example.org/team/y").status_code == 200
    # An administrator sets what its owner may not; the owner may still switch it off.
    program = viewer.add(people.root.client, name="time", kind="stdio", command=["mcp-server-time"]).json()["data"]
    assert viewer.change(program["id"], enabled=False).status_code == 200
    assert viewer.change(program["id"], command=["sh"]).status_code == 403
    assert viewer.change(program["id"], env={"PATH": "/tmp"}).status_code == 403
    operator = Workspace(people.make())
    assert operator.add(name="far", kind="http", url=PUBLIC).status_code == 201


@pytest.mark.parametrize(
    "url",
    [
        "https://mcp.example.org/teams",
        "https://mcp.example.org.evil.example/team/",
        "https://mcp.example.org:8443/team/",
        "http://mcp.example.org/team/",
        "http://127.0.0.1:9/mcp-other",
        "http://127.0.0.1:9/",
        "http://127.0.0.1:90/mcp",
    ],
)
def test_what_only_looks_like_a_named_address_is_none(people, url):
    viewer = Workspace(people.make("viewer"))
    assert viewer.add(name="x", kind="http", url=url).status_code == 403


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/mcp",
        "http://127.0.0.1:9/other",
        "http://[::1]/mcp",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/mcp",
        "http://[::ffff:127.0.0.1]/mcp",
    ],
)
def test_not_even_who_may_name_any_address_reaches_inner_ones(shared, url):
    refused = shared.add(name="x", kind="http", url=url)
    assert refused.status_code == 403, refused.text


HTTP = {"name": "x", "kind": "http", "url": "https://mcp.example.org/team/"}
STDIO = {"name": "x", "kind": "stdio", "command": ["true"]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "http", "url": PUBLIC}, "name"),
        ({"name": "x", "url": PUBLIC}, "kind"),
        ({**HTTP, "kind": "gopher"}, "kind"),
        ({**HTTP, "name": ""}, "name"),
        ({**HTTP, "name": "X"}, "name"),
        ({**HTTP, "name": "x" * 33}, "name"),
        ({**HTTP, "name": "-x"}, "name"),
        ({**HTTP, "name": 5}, "name"),
        ({**HTTP, "colour": "red"}, "colour"),
        ({**HTTP, "enabled": "yes"}, "enabled"),
        ({**HTTP, "position": -1}, "position"),
        ({**HTTP, "position": 10**12}, "position"),
        ({**HTTP, "prefix": "a b"}, "prefix"),
        ({**HTTP, "prefix": "_x"}, "prefix"),
        ({**HTTP, "prefix": "x" * 41}, "prefix"),
        ({**HTTP, "url": ""}, "url"),
        ({**HTTP, "url": "ftp://x.example/"}, "url"),
        ({**HTTP, "url": "//x.example/"}, "url"),
        ({**HTTP, "url": "https:///x"}, "url"),
        ({**HTTP, "url": "https://user:pw@x.example/"}, "url"),
        ({**HTTP, "url": "https://x.example/#f"}, "url"),
        ({**HTTP, "url": "https://x.example/\\evil"}, "url"),
        ({**HTTP, "url": "https://x.example/a b"}, "url"),
        ({**HTTP, "url": "https://x.example/\n"}, "url"),
        ({**HTTP, "url": "https://x.example:0/"}, "url"),
        ({**HTTP, "url": "https://x.example:99999/"}, "url"),
        ({**HTTP, "url": "https://[::1/"}, "url"),
        ({**HTTP, "url": "https://2130706433/"}, "url"),
        ({**HTTP, "url": "https://x.example/" + "y" * 2048}, "url"),
        ({**HTTP, "headers": {"X": "a\r\nB: c"}}, "headers.X"),
        ({**HTTP, "headers": {"X": ""}}, "headers.X"),
        ({**HTTP, "headers": {"X": "é"}}, "headers.X"),
        ({**HTTP, "headers": {"X": "y" * 8193}}, "headers.X"),
        ({**HTTP, "headers": {"X:": "y"}}, "headers"),
        ({**HTTP, "headers": {"Host": "y"}}, "headers.Host"),
        ({**HTTP, "headers": {"Mcp-Session-Id": "y"}}, "headers.Mcp-Session-Id"),
        ({**HTTP, "headers": {"X": "a", "x": "b"}}, "headers.x"),
        ({**HTTP, "headers": {"X": "***"}}, "headers.X"),
        ({**HTTP, "headers": {f"X-{n}": "y" for n in range(33)}}, "headers"),
        ({**HTTP, "era": "stone"}, "era"),
        ({**HTTP, "kind": "sse", "era": "modern"}, "era"),
        ({**HTTP, "command": ["sh"]}, "command"),
        ({**HTTP, "secrets": {"A": "b"}}, "secrets"),
        ({**STDIO, "command": []}, "command"),
        ({**STDIO, "command": [" "]}, "command"),
        ({**STDIO, "command": "sh -c true"}, "command"),
        ({**STDIO, "command": ["sh", "a\0b"]}, "command"),
        ({**STDIO, "command": ["sh", "x" * 4097]}, "command"),
        ({**STDIO, "command": ["sh"] * 101}, "command"),
        ({**STDIO, "url": PUBLIC}, "url"),
        ({**STDIO, "headers": {"X": "y"}}, "headers"),
        ({**STDIO, "env": {"1A": "b"}}, "env"),
        ({**STDIO, "env": {"A=B": "b"}}, "env"),
        ({**STDIO, "env": {"A": "b\0"}}, "env.A"),
        ({**STDIO, "env": {"A": 1}}, "env.A"),
        ({**STDIO, "env": {"A": "x" * 32_769}}, "env.A"),
        ({**STDIO, "env": {f"A{n}": "x" for n in range(101)}}, "env"),
        ({**STDIO, "env": {"A": "b"}, "secrets": {"A": "c"}}, "secrets"),
        ({**STDIO, "secrets": {"A": "***"}}, "secrets.A"),
        ({**STDIO, "fixed": []}, "fixed"),
        ({**STDIO, "fixed": {"a": "x" * 16_384}}, "fixed"),
        ({**STDIO, "fixed": {"a": "\0"}}, "fixed"),
        ({**STDIO, "annotations": {"t": "x"}}, "annotations.t"),
        ({**STDIO, "annotations": {"": {}}}, "annotations"),
        ({**STDIO, "tools": {"allow": [1]}}, "tools.allow.0"),
        ({**STDIO, "tools": ["x"]}, "tools"),
        ({"name": "x", "kind": "provided", "command": ["sh"]}, "command"),
    ],
)
def test_what_cannot_be_a_server(shared, body, field):
    answer = shared.client.post(shared.path, json=body)
    assert answer.status_code == 422, answer.text
    assert [problem["field"] for problem in answer.json()["errors"]] == [field]
    assert shared.names() == ["workspace"]


def test_a_number_beyond_json_and_a_body_beyond_the_limit(shared):
    headers = {"Content-Type": "application/json"}
    text = '{"name": "x", "kind": "stdio", "command": ["true"], "fixed": {"a": 1e999}}'
    assert shared.client.post(shared.path, content=text, headers=headers).status_code == 400
    assert shared.add(**HTTP, annotations={"t": {"x": "y" * 200_000}}).status_code == 413
