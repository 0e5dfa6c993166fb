"""Workspaces over HTTP: made, listed, changed, deleted and restored, by whom, and what is refused."""

from __future__ import annotations

import json
import re
import time

import pytest
from harness import merged
from people import CONFIG, populated
from waits import WAIT

URL = "/api/v1/workspaces"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FIELDS = {
    "id",
    "pid",
    "name",
    "user_id",
    "status",
    "endpoint_url",
    "created_at",
    "updated_at",
    "metadata",
    "nexusgate_service_id",
    "container_id",
    "container_status",
    "deleted_at",
    "purge_after",
}
NOT_YOURS = {"detail": "Not authorized to access this resource"}
SETTINGS = merged(CONFIG, {"plugins": {"mcp": {"enabled": True, "required": True, "max_workspaces_per_user": 12}}})


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("workspaces"), SETTINGS) as people:
        yield people


def make(person, name, **more):
    answer = person.client.post(URL, json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def listed(person, **query):
    answer = person.client.get(URL, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["workspaces"]


def listed_all(person, **query):
    pages = (listed(person, per_page=100, page=page, **query) for page in range(1, 20))
    return [one for page in pages for one in page]


def until(check, what):
    deadline = time.monotonic() + WAIT
    while not (found := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


# -- the contract ------------------------------------------------------------------------------------------------


def test_a_workspace_is_made_as_the_contract_says(people):
    ann = people.make("viewer")
    made = make(ann, "my-workspace", metadata={"description": "My workspace"})
    assert made.keys() == FIELDS
    assert (made["name"], made["user_id"], made["status"]) == ("my-workspace", ann.id, "active")
    assert made["endpoint_url"] == f"{people.server.url}/ws/my-workspace/mcp"
    assert made["metadata"] == {"description": "My workspace"}
    assert TIME.fullmatch(made["created_at"])
    assert TIME.fullmatch(made["updated_at"])
    assert made["pid"].startswith("ws_")
    assert (made["container_id"], made["container_status"]) == (None, "stopped"), "nothing runs until it is used"
    answer = ann.client.get(URL).json()
    assert answer == {
        "data": {"workspaces": [made]},
        "meta": {"page": 1, "per_page": 20, "total": 1, "total_pages": 1},
    }


def test_one_workspace_has_its_tools(people):
    ann = people.make()
    made = make(ann, "tools")
    shown = ann.client.get(f"{URL}/{made['id']}").json()["data"]
    assert shown["tools_error"] is None
    tools = {tool["name"]: tool["description"] for tool in shown["tools"]}
    assert {"git_status", "read_file", "write_file", "list_directory", "search_files"} <= tools.keys()
    assert all(tools.values())
    assert shown["container_status"] == "running"
    assert shown["container_id"]
    (server,) = shown["upstreams"]
    assert (server["kind"], server["prefix"], server["state"]) == ("provided", "", "up")
    answer = ann.client.post(f"{URL}/{made['id']}/restart")
    assert answer.status_code == 200
    assert answer.json()["data"]["container_status"] == "stopped"
    assert "tools" not in answer.json()["data"], "nobody was asked, so it is not said that there are none"
    answer = ann.client.patch(f"{URL}/{made['id']}", json={"metadata": {}})
    assert not {"tools", "tools_error"} & answer.json()["data"].keys()
    assert ann.client.delete(f"{URL}/{made['id']}").status_code == 204


@pytest.mark.parametrize("name", ["x", "x" * 128, "a.b-c_D", "...", "-", "_", "0", "Terminals", "WS_x"])
def test_names_that_are_right(people, name):
    ann = people.make()
    made = make(ann, name)
    assert ann.client.get(f"{URL}/{made['id']}/mcp.json").json()["mcpServers"]


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 400, "Workspace name is required"),
        ({"name": ""}, 400, "Workspace name is required"),
        ({"name": None}, 400, "Workspace name is required"),
        ({"name": "x" * 129}, 400, "Invalid workspace name format"),
        ({"name": "a b"}, 400, "Invalid workspace name format"),
        ({"name": "a/b"}, 400, "Invalid workspace name format"),
        ({"name": "straße"}, 400, "Invalid workspace name format"),
        ({"name": "a\n"}, 400, "Invalid workspace name format"),
        ({"name": "a\0"}, 400, "Invalid workspace name format"),
        ({"name": "٣"}, 400, "Invalid workspace name format"),
        ({"name": "."}, 400, 'The workspace name "." is reserved'),
        ({"name": ".."}, 400, 'The workspace name ".." is reserved'),
        ({"name": "terminal"}, 400, 'The workspace name "terminal" is reserved'),
        ({"name": "Terminal"}, 400, 'The workspace name "Terminal" is reserved'),
        ({"name": "ws_abc"}, 400, 'The workspace name "ws_abc" is reserved'),
        ({"name": 5}, 422, "name:"),
        ({"name": ["x"]}, 422, "name:"),
        ({"name": "x" * 5000}, 422, "name:"),
        ({"name": "ok", "metadata": []}, 422, "metadata:"),
        ({"name": "ok", "metadata": "text"}, 422, "metadata:"),
        ({"name": "ok", "metadata": {"x": "y" * 16_384}}, 422, "metadata: is longer than 16384 bytes"),
        ({"name": "ok", "metadata": {"x\0": 1}}, 422, "metadata: holds a NUL character"),
        ({"name": "ok", "metadata": {"x": ["a\0"]}}, 422, "metadata: holds a NUL character"),
        ([], 400, "Expected a JSON object"),
        ("text", 400, "Expected a JSON object"),
    ],
)
def test_what_cannot_be_made(people, body, status, detail):
    answer = people.root.client.post(URL, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"].startswith(detail)


def test_a_number_that_json_has_not_is_refused(people):
    headers = {"Content-Type": "application/json"}
    answer = people.root.client.post(URL, content='{"name": "ok", "metadata": {"x": 1e999}}', headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (400, "A number is too large")
    for text in ('{"name": "ok"', '{"name": "ok", "metadata": {"x": NaN}}', '{"name": "\\ud800"}'):
        assert people.root.client.post(URL, content=text, headers=headers).status_code == 400


def test_names_are_unique_for_each_user_and_free_after_a_deletion(people):
    ann, ben = people.make(), people.make()
    first = make(ann, "same")
    make(ben, "same")
    answer = ann.client.post(URL, json={"name": "same"})
    assert (answer.status_code, answer.json()) == (400, {"detail": "Name already exists"})
    assert ann.client.delete(f"{URL}/{first['id']}").status_code == 204
    second = make(ann, "same")
    assert second["id"] != first["id"]
    taken = ann.client.post(f"{URL}/{first['id']}/restore", json={})
    assert (taken.status_code, taken.json()) == (400, {"detail": "Name already exists"})
    back = ann.client.post(f"{URL}/{first['id']}/restore", json={"name": "other"})
    assert (back.status_code, back.json()["data"]["name"]) == (200, "other")
    assert [one["id"] for one in listed(ann)] == [first["id"], second["id"]]


def test_there_is_a_limit_for_each_user(people):
    ann = people.make()
    for number in range(12):
        make(ann, f"w{number}")
    answer = ann.client.post(URL, json={"name": "one-more"})
    assert answer.status_code == 409
    assert "12 workspaces already" in answer.json()["detail"]


def test_pages_and_filters(people):
    ann = people.make()
    made = [make(ann, f"page{number}") for number in range(5)]
    ann.client.delete(f"{URL}/{made[1]['id']}")
    left = [one["id"] for one in made if one is not made[1]]
    pages = [ann.client.get(URL, params={"page": page, "per_page": 3}).json() for page in (1, 2, 3)]
    assert [[one["id"] for one in page["data"]["workspaces"]] for page in pages] == [left[:3], left[3:], []]
    assert {json.dumps(page["meta"]["total"]) for page in pages} == {"4"}
    assert pages[0]["meta"] == {"page": 1, "per_page": 3, "total": 4, "total_pages": 2}
    deleted = ann.client.get(URL, params={"status": "deleted", "per_page": 1}).json()
    assert [one["id"] for one in deleted["data"]["workspaces"]] == [made[1]["id"]]
    assert deleted["meta"]["total"] == 1
    assert TIME.fullmatch(deleted["data"]["workspaces"][0]["deleted_at"])
    assert listed(ann, status="inactive") == []
    assert [one["id"] for one in listed(ann, status="active")] == left
    assert [one["id"] for one in listed(people.root, user_id=ann.id)] == left
    assert listed(people.root, user_id=2**31 - 1) == []
    assert [one["id"] for one in listed(ann, user_id=ann.id)] == left


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=101", "status=bogus", "user_id=0", "user_id=x"])
def test_a_bad_query_is_told(people, query):
    answer = people.root.client.get(f"{URL}?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]


# -- who may what ------------------------------------------------------------------------------------------------


def test_others_workspaces_are_for_administrators(people):
    ann, ben, admin = people.make(), people.make(), people.make("admin")
    made = make(ann, "private")
    one = f"{URL}/{made['id']}"
    assert ben.client.get(URL, params={"user_id": ann.id}).json() == NOT_YOURS
    assert listed(ben) == []
    for method, path, body in (
        ("GET", one, None),
        ("PATCH", one, {"metadata": {}}),
        ("DELETE", one, None),
        ("POST", f"{one}/restore", {}),
        ("POST", f"{one}/restart", None),
        ("GET", f"{one}/calls", None),
        ("GET", f"{one}/mcp.json", None),
        ("GET", f"{one}/upstreams", None),
        ("POST", f"{one}/upstreams", {"name": "x", "kind": "http", "url": "https://mcp.example.org/"}),
        ("GET", f"/api/v1/mcp/tools?workspace_id={made['id']}", None),
        ("POST", "/api/v1/mcp/invoke", {"workspace_id": made["id"], "tool": "git_status"}),
    ):
        refused = ben.client.request(method, path, json=body)
        assert (refused.status_code, refused.json()) == (403, NOT_YOURS), (method, path)
        nobody = people.anybody().request(method, path, json=body)
        assert (nobody.status_code, nobody.json()) == (401, {"detail": "Not authenticated"}), (method, path)
    (seen,) = listed(admin, user_id=ann.id)
    assert seen["endpoint_url"].endswith(f"/ws/{made['pid']}/mcp"), "names are of one's own"
    assert admin.client.patch(one, json={"metadata": {"a": 1}}).status_code == 200
    assert admin.client.delete(one).status_code == 204


@pytest.mark.parametrize("number", ["999999", "2147483647", "2147483648", "9" * 400, "0"])
def test_what_is_not_there_is_404_for_everybody(people, number):
    for client in (people.root.client, people.make("viewer").client):
        for method, path in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("GET", "/calls"), ("GET", "/upstreams/1")):
            answer = client.request(method, f"{URL}/{number}{path}", json={} if method == "PATCH" else None)
            assert (answer.status_code, answer.json()) == (404, {"detail": "Workspace not found"})


@pytest.mark.parametrize("number", ["x", "ws_abc", "1.0", "-1", "%EF%BC%91", "1e3", "%00"])
def test_ids_are_whole_numbers(people, number):
    assert people.root.client.get(f"{URL}/{number}").status_code in (400, 422)


def test_a_key_does_what_its_scopes_allow(people):
    ann = people.make()
    made = make(ann, "scoped")
    body = {"name": "reader", "scopes": ["mcp:workspace:view"]}
    key = ann.client.post("/api/v1/api-keys", json=body).json()["data"]["api_key"]
    bearer = {"Authorization": f"Bearer {key}"}
    client = people.anybody()
    assert client.get(URL, headers=bearer).json()["data"]["workspaces"][0]["id"] == made["id"]
    shown = client.get(f"{URL}/{made['id']}", headers=bearer).json()["data"]
    assert (shown["tools"], shown["tools_error"]) == ([], None), "it may not use them"
    assert client.post(URL, json={"name": "x"}, headers=bearer).status_code == 403
    assert client.delete(f"{URL}/{made['id']}", headers=bearer).status_code == 403
    assert client.get(f"/api/v1/mcp/tools?workspace_id={made['id']}", headers=bearer).status_code == 403


# -- changing ----------------------------------------------------------------------------------------------------


def test_a_workspace_is_changed(people):
    ann = people.make()
    made, _ = make(ann, "before"), make(ann, "taken")
    key = ann.client.post("/api/v1/api-keys", json={"name": "k"}).json()["data"]["id"]
    change = {
        "name": "after",
        "metadata": {"team": "blue"},
        "tool_rules": {"allow": ["git_*"], "deny": ["git_commit"]},
        "key_tool_rules": {str(key): {"allow": ["git_log"]}},
        "call_limits": {"git_*": 30},
        "nexusgate_service_id": "svc-1",
    }
    answer = ann.client.patch(f"{URL}/{made['id']}", json=change)
    assert answer.status_code == 200, answer.text
    for data in (answer.json()["data"], ann.client.get(f"{URL}/{made['id']}").json()["data"]):
        assert data["endpoint_url"].endswith("/ws/after/mcp")
        assert data["metadata"] == {"team": "blue"}
        assert data["tool_rules"] == {"allow": ["git_*"], "deny": ["git_commit"]}
        assert data["key_tool_rules"] == {str(key): {"allow": ["git_log"], "deny": []}}
        assert (data["call_limits"], data["nexusgate_service_id"]) == ({"git_*": 30}, "svc-1")
    names = {tool["name"] for tool in data["tools"]}
    assert "git_status" in names
    assert not names & {"git_commit", "read_file"}
    kept = ann.client.patch(f"{URL}/{made['id']}", json={"tool_rules": {}, "nexusgate_service_id": None}).json()["data"]
    assert kept["tool_rules"] == {"allow": [], "deny": []}
    assert kept["key_tool_rules"], "what is left out stays"
    assert kept["nexusgate_service_id"] is None
    assert ann.client.patch(f"{URL}/{made['id']}", json={"name": "taken"}).json() == {"detail": "Name already exists"}
    assert ann.client.patch(f"{URL}/{made['id']}", json={"name": "after"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"name": None}, 400, "Workspace name is required"),
        ({"name": "a b"}, 400, "Invalid workspace name format"),
        ({"name": "terminal"}, 400, 'The workspace name "terminal" is reserved'),
        ({"status": "deleted"}, 422, "status:"),
        ({"metadata": None}, 422, "metadata:"),
        ({"tool_rules": {"allow": "git_*"}}, 422, "tool_rules.allow:"),
        ({"tool_rules": {"permit": []}}, 422, "tool_rules.permit:"),
        ({"tool_rules": {"deny": [""]}}, 422, "tool_rules.deny:"),
        ({"tool_rules": {"deny": ["x" * 257]}}, 422, "tool_rules.deny:"),
        ({"tool_rules": {"deny": ["x"] * 501}}, 422, "tool_rules.deny:"),
        ({"key_tool_rules": {"x": {}}}, 422, "key_tool_rules"),
        ({"key_tool_rules": {"999999": {}}}, 422, "key_tool_rules.999999: is no API key of the workspace's owner"),
        ({"key_tool_rules": {"01": {}}}, 422, "key_tool_rules"),
        ({"call_limits": {"x": 0}}, 422, "call_limits.x:"),
        ({"call_limits": {"x": 1.5}}, 422, "call_limits.x:"),
        ({"call_limits": {"x": 10**30}}, 422, "call_limits.x:"),
        ({"nexusgate_service_id": "x" * 65}, 422, "nexusgate_service_id:"),
        ({"nexusgate_service_id": "\0"}, 422, "nexusgate_service_id:"),
    ],
)
def test_what_cannot_be_changed(people, body, status, detail):
    root = people.root
    found = listed(root, user_id=root.id) or [make(root, "mine")]
    answer = root.client.patch(f"{URL}/{found[0]['id']}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"].startswith(detail)


# -- deleting, restoring, owners ---------------------------------------------------------------------------------


def test_a_deleted_workspace_is_gone_for_use_and_comes_back(people):
    ann = people.make()
    made = make(ann, "phoenix")
    one = f"{URL}/{made['id']}"
    body = {
        "workspace_id": made["id"],
        "tool": "write_file",
        "parameters": {"path": "kept.txt", "content": "still here"},
    }
    assert ann.client.post("/api/v1/mcp/invoke", json=body).status_code == 200
    assert (ann.client.delete(one).status_code, ann.client.delete(one).status_code) == (204, 204)
    shown = ann.client.get(one).json()["data"]
    assert (shown["status"], shown["tools"], shown["container_id"]) == ("deleted", [], None)
    assert ann.client.post("/api/v1/mcp/invoke", json=body).json() == {"detail": "Workspace not found"}
    assert ann.client.get(f"/api/v1/mcp/tools?workspace_id={made['id']}").status_code == 404
    assert ann.client.patch(one, json={}).status_code == 404
    assert ann.client.post(f"{one}/upstreams", json={"name": "x", "kind": "provided"}).status_code == 404
    back = ann.client.post(f"{one}/restore")
    assert (back.status_code, back.json()["data"]["status"]) == (200, "active")
    assert ann.client.post(f"{one}/restore").status_code == 409
    read = {"workspace_id": made["id"], "tool": "read_file", "parameters": {"path": "kept.txt"}}
    assert "still here" in ann.client.post("/api/v1/mcp/invoke", json=read).text


def test_deactivating_a_user_stops_their_workspaces_and_activating_brings_them_back(people):
    ann = people.make()
    made, other = make(ann, "one"), make(ann, "deleted-before")
    ann.client.delete(f"{URL}/{other['id']}")
    root = people.root
    one = f"{URL}/{made['id']}"
    assert root.client.get(one).json()["data"]["container_status"] == "running"
    assert root.client.delete(f"/api/v1/users/{ann.id}").status_code == 204
    assert [w["id"] for w in listed(root, user_id=ann.id, status="inactive")] == [made["id"]]
    assert listed(root, user_id=ann.id, status="active") == []
    until(lambda: root.client.get(one).json()["data"]["container_status"] == "stopped", "it is not stopped")
    used = root.client.post("/api/v1/mcp/invoke", json={"workspace_id": made["id"], "tool": "git_status"})
    assert (used.status_code, used.json()["detail"]) == (409, "The workspace is inactive: its owner is deactivated")
    assert root.client.put(f"/api/v1/users/{ann.id}", json={"is_active": True}).status_code == 200
    assert [w["id"] for w in listed(root, user_id=ann.id)] == [made["id"]]
    assert listed(root, user_id=ann.id)[0]["status"] == "active"
    used = root.client.post("/api/v1/mcp/invoke", json={"workspace_id": made["id"], "tool": "git_status"})
    assert used.status_code == 200


def test_a_deleted_users_workspaces_are_purged_with_their_folders(people):
    ann = people.make()
    made = make(ann, "doomed")
    body = {"workspace_id": made["id"], "tool": "write_file", "parameters": {"path": "f", "content": "x"}}
    assert ann.client.post("/api/v1/mcp/invoke", json=body).status_code == 200
    folder = people.server.data_dir / "plugins" / "mcp"
    assert [path for path in folder.rglob("f") if made["pid"] in str(path)]
    assert people.root.client.delete(f"/api/admin/users/{ann.pid}").status_code in (200, 204)
    until(lambda: people.root.client.get(f"{URL}/{made['id']}").status_code == 404, "it is not purged")
    assert not [path for path in folder.rglob("f") if made["pid"] in str(path)]
    assert listed(people.root, user_id=ann.id, status="deleted") == []


def test_users_and_health_tell_of_workspaces(people):
    ann, ben = people.make(), people.make()

    def counted():
        return people.anybody().get("/api/v1/health").json()["workspaces"]

    made, _ = make(ann, "counted"), make(ann, "counted-too")
    alive = [len(listed_all(people.root, status=status)) for status in ("active", "inactive")]
    # A report is kept for a moment.
    until(lambda: counted() == {"total": sum(alive), "active": alive[0]}, f"{alive} are not counted: {counted()}")
    own = ann.client.get(f"/api/v1/users/{ann.id}").json()["data"]["workspaces"]
    assert own == listed(ann)
    seen = people.root.client.get(f"/api/v1/users/{ann.id}").json()["data"]["workspaces"]
    assert [one["id"] for one in seen] == [one["id"] for one in own]
    assert ben.client.get(f"/api/v1/users/{ben.id}").json()["data"]["workspaces"] == []
    people.root.client.delete(f"/api/v1/users/{ann.id}")
    assert listed(people.root, user_id=ann.id, status="inactive")
    until(lambda: counted() == {"total": sum(alive), "active": alive[0] - 2}, "the inactive ones are not counted")
    assert made["id"] in {one["id"] for one in listed(people.root, user_id=ann.id)}


def test_the_audit_log_tells_who_did_what(people):
    ann = people.make()
    made = make(ann, "audited")
    ann.client.patch(f"{URL}/{made['id']}", json={"metadata": {"a": 1}})
    ann.client.delete(f"{URL}/{made['id']}")
    people.root.client.get(f"{URL}/{made['id']}")
    target = f"mcp_workspace:{made['pid']}"
    events = people.root.client.get("/api/v1/audit", params={"target": target}).json()["data"]["events"]
    assert [(event["action"], event["actor_id"]) for event in reversed(events)] == [
        ("mcp.workspace_created", ann.id),
        ("mcp.workspace_changed", ann.id),
        ("mcp.workspace_deleted", ann.id),
    ]
    read = people.root.client.get("/api/v1/audit", params={"action": "mcp_workspace.read"}).json()["data"]["events"]
    assert read
    assert {event["actor_id"] for event in read} & {people.root.id}


# -- configurations of clients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("client", ["vscode", "claude", "claude-desktop", "cursor", "opencode", "opencode2", "generic"])
def test_the_configuration_of_a_client(people, client):
    found = listed(people.root, user_id=people.root.id) or [make(people.root, "mine")]
    path = f"{URL}/{found[0]['id']}/mcp.json"
    with_key = people.root.client.get(path, params={"client": client})
    logs_in = people.root.client.get(path, params={"client": client, "auth": "oauth"})
    assert with_key.headers["content-type"] == logs_in.headers["content-type"] == "application/json"
    url = found[0]["endpoint_url"]
    assert url in with_key.text
    assert url in logs_in.text
    assert "Authorization" in with_key.text
    assert "Authorization" not in logs_in.text
    assert "mcp_" not in with_key.text, "never a key"
    data = with_key.json()
    if client == "vscode":
        (entry,) = data["servers"].values()
        (asked,) = data["inputs"]
        assert (asked["type"], asked["password"]) == ("promptString", True)
        assert entry["headers"] == {"Authorization": f"Bearer ${{input:{asked['id']}}}"}
        assert entry["type"] == "http"
    elif client in ("opencode", "opencode2"):
        (entry,) = (data["mcp"] if client == "opencode" else data["mcp"]["servers"]).values()
        assert (entry["type"], entry["oauth"]) == ("remote", False)
        assert entry["headers"] == {"Authorization": "Bearer {env:MOORAGE_API_KEY}"}
    elif client == "claude-desktop":
        (entry,) = data["mcpServers"].values()
        assert entry["args"][:3] == ["-y", "mcp-remote", url]
        assert "--allow-http" in entry["args"], "it refuses http without"
    else:
        (entry,) = data["mcpServers"].values()
        place = {"claude": "${MOORAGE_API_KEY}", "cursor": "${env:MOORAGE_API_KEY}", "generic": "<API key>"}[client]
        assert entry["headers"] == {"Authorization": f"Bearer {place}"}


def test_an_unknown_client_is_told(people):
    found = listed(people.root, user_id=people.root.id) or [make(people.root, "mine")]
    answer = people.root.client.get(f"{URL}/{found[0]['id']}/mcp.json?client=netscape")
    assert answer.status_code == 422
    assert "client" in answer.json()["detail"]
