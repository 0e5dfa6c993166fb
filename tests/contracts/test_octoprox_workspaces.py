"""The examples of `api/octoprox.md` about workspaces and tools, as its clients send them: documents, requests, SDKs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import merged
from people import CONFIG, populated

SETTINGS = merged(CONFIG, {"plugins": {"mcp": {"enabled": True, "required": True}}})
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"

LIST_FIELDS = {
    "id",
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
}
CREATE_FIELDS = LIST_FIELDS - {"updated_at", "metadata", "nexusgate_service_id"}
GET_FIELDS = LIST_FIELDS - {"nexusgate_service_id"} | {"tools"}

PYTHON = """
import requests

BASE_URL = "https://api.example.com/api/v1"
API_KEY = "mcp_abc123_xyz789"

headers = {
    "Authorization": f"Bearer {API_KEY}",
    "Content-Type": "application/json"
}

# List workspaces
response = requests.get(f"{BASE_URL}/workspaces", headers=headers)
workspaces = response.json()

# Create workspace
response = requests.post(
    f"{BASE_URL}/workspaces",
    headers=headers,
    json={"name": "my-project"}
)
workspace = response.json()

# Invoke MCP tool
response = requests.post(
    f"{BASE_URL}/mcp/invoke",
    headers=headers,
    json={
        "workspace_id": workspace["data"]["id"],
        "tool": "git_status",
        "parameters": {}
    }
)
result = response.json()
"""

JAVASCRIPT = """
const BASE_URL = 'https://api.example.com/api/v1';
const API_KEY = 'mcp_abc123_xyz789';

const headers = {
  'Authorization': `Bearer ${API_KEY}`,
  'Content-Type': 'application/json'
};

// List workspaces
const workspaces = await fetch(`${BASE_URL}/workspaces`, { headers })
  .then(r => r.json());

// Create workspace
const workspace = await fetch(`${BASE_URL}/workspaces`, {
  method: 'POST',
  headers,
  body: JSON.stringify({ name: 'my-project' })
}).then(r => r.json());

// Invoke MCP tool
const result = await fetch(`${BASE_URL}/mcp/invoke`, {
  method: 'POST',
  headers,
  body: JSON.stringify({
    workspace_id: workspace.data.id,
    tool: 'git_status',
    parameters: {}
  })
}).then(r => r.json());
"""

CURL = """
# List workspaces
curl -H "Authorization: Bearer mcp_abc123_xyz789" \\
  https://api.example.com/api/v1/workspaces

# Create workspace
curl -X POST \\
  -H "Authorization: Bearer mcp_abc123_xyz789" \\
  -H "Content-Type: application/json" \\
  -d '{"name": "my-project"}' \\
  https://api.example.com/api/v1/workspaces

# Invoke MCP tool
curl -X POST \\
  -H "Authorization: Bearer mcp_abc123_xyz789" \\
  -H "Content-Type: application/json" \\
  -d '{"workspace_id": 1, "tool": "git_status", "parameters": {}}' \\
  https://api.example.com/api/v1/mcp/invoke
"""


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("octoprox"), SETTINGS) as people:
        yield people


def play(people, person, command, text, ending, **replace):
    """Run a snippet with the server's address and a fresh key; what it holds at the end."""
    key = person.client.post("/api/v1/api-keys", json={"name": "My Application Key"}).json()["data"]["api_key"]
    text = text.replace("https://api.example.com", people.server.url).replace("mcp_abc123_xyz789", key)
    for old, new in replace.items():
        text = text.replace(old, new)
    done = subprocess.run([*command, text + ending], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def right(workspaces, workspace, result):
    assert workspaces == {
        "data": {"workspaces": []},
        "meta": {"page": 1, "per_page": 20, "total": 0, "total_pages": 0},
    }
    made = workspace["data"]
    assert made.keys() >= CREATE_FIELDS
    assert (made["name"], made["status"]) == ("my-project", "active")
    invoked = result["data"]
    assert (invoked["tool"], invoked["workspace_id"]) == ("git_status", made["id"])
    assert (invoked["result"]["branch"], invoked["result"]["status"]) == ("main", "clean")


def test_the_python_client(people):
    ending = "\nimport json\nprint(json.dumps([workspaces, workspace, result]))"
    right(*json.loads(play(people, people.make("viewer"), [sys.executable, "-c"], PYTHON, ending)))


def test_the_javascript_client(people):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is needed")
    ending = "\nconsole.log(JSON.stringify([workspaces, workspace, result]));"
    right(*json.loads(play(people, people.make("viewer"), [node, "--input-type=module", "-e"], JAVASCRIPT, ending)))


def test_the_curl_client(people):
    bash = shutil.which("bash")
    if bash is None or shutil.which("curl") is None:
        pytest.skip("bash and curl are needed")
    other = people.make()
    number = other.client.post("/api/v1/workspaces", json={"name": "x"}).json()["data"]["id"] + 1
    text = CURL.replace('"workspace_id": 1,', f'"workspace_id": {number},').replace("curl ", "curl -sS -w '\\n' ")
    said = play(people, people.make("viewer"), [bash, "-c"], text, "")
    right(*map(json.loads, said.splitlines()))


GUIDE = Path(__file__).parents[2] / "docs" / "mcp.md"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE.read_text(), re.M | re.S)


def test_the_guide_does_what_it_says(people, tmp_path):
    """Its shell and its program, one after the other, with a workspace of its own."""
    bash, curl = shutil.which("bash"), shutil.which("curl")
    if (
        bash is None
        or curl is None
        or "--json" not in subprocess.run([curl, "--help", "all"], capture_output=True, text=True).stdout
    ):
        pytest.skip("bash and curl 7.82 or newer are needed")
    ann = people.make()
    key = ann.client.post("/api/v1/api-keys", json={"name": "guide"}).json()["data"]
    first = ann.client.post("/api/v1/workspaces", json={"name": "before"}).json()["data"]["id"] + 1
    (tmp_path / ".vscode").mkdir()
    text = 'curl() { command curl -sS --fail-with-body -w "\\n" "$@"; }\nset -e\n' + "".join(blocks("sh"))
    for old, new in (
        ("https://moorage.example.org KEY=mcp_...", f"{people.server.url} KEY={key['api_key']}"),
        ("workspaces/1", f"workspaces/{first}"),
        ("workspace_id=1", f"workspace_id={first}"),
        ('"workspace_id": 1,', f'"workspace_id": {first},'),
        ('{"7":', f'{{"{key["id"]}":'),
    ):
        assert old in text
        text = text.replace(old, new)
    done = subprocess.run([bash, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / ".vscode/mcp.json").read_text())["servers"].keys() == {"my-project"}
    (program,) = blocks("python")
    # Its servers by address are not there; the program is about the workspace.
    for one in ann.client.get(f"/api/v1/workspaces/{first}/upstreams").json()["data"]["upstreams"][1:]:
        assert ann.client.delete(f"/api/v1/workspaces/{first}/upstreams/{one['id']}").status_code == 204
    ann.client.patch(f"/api/v1/workspaces/{first}", json={"key_tool_rules": {}})
    env = {
        **os.environ,
        "MOORAGE_API_KEY": key["api_key"],
        "MOORAGE_WORKSPACE": f"{people.server.url}/ws/my-project/mcp",
    }
    ran = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "'git_status'" in ran.stdout
    assert "'branch': 'main'" in ran.stdout
    assert "git_reset" not in ran.stdout, "its rules hold"


def test_each_answer_has_what_the_document_says(people):
    ann = people.make("viewer")
    body = {"name": "my-workspace", "metadata": {"description": "My workspace"}}
    made = ann.client.post("/api/v1/workspaces", json=body)
    assert made.status_code == 201
    made = made.json()["data"]
    assert made.keys() >= CREATE_FIELDS
    page = ann.client.get("/api/v1/workspaces?page=1&per_page=20&status=active").json()
    (listed,) = page["data"]["workspaces"]
    assert listed.keys() >= LIST_FIELDS
    assert page["meta"].items() >= {"page": 1, "per_page": 20, "total": 1}.items()
    shown = ann.client.get(f"/api/v1/workspaces/{made['id']}").json()["data"]
    assert shown.keys() >= GET_FIELDS
    for data in (made, listed, shown):
        assert (data["id"], data["name"], data["user_id"]) == (made["id"], "my-workspace", ann.id)
        assert data["endpoint_url"] == f"{people.server.url}/ws/my-workspace/mcp"
        assert re.fullmatch(TIME, data["created_at"])
    assert listed["metadata"] == shown["metadata"] == {"description": "My workspace"}
    assert listed["nexusgate_service_id"] is None
    assert (shown["container_status"], shown["container_id"] is not None) == ("running", True)
    assert {tool["name"] for tool in shown["tools"]} >= {"git_status", "read_file"}

    tools = ann.client.get(f"/api/v1/mcp/tools?workspace_id={made['id']}").json()["data"]
    assert tools["count"] == len(tools["tools"]) > 2
    assert all(tool["name"] and tool["description"] for tool in tools["tools"])

    body = {"workspace_id": made["id"], "tool": "git_status", "parameters": {}}
    invoked = ann.client.post("/api/v1/mcp/invoke", json=body).json()["data"]
    assert invoked.keys() >= {"tool", "workspace_id", "result"}
    assert invoked["result"].items() >= {"branch": "main", "status": "clean"}.items()

    one = ann.client.get(f"/api/v1/users/{ann.id}").json()["data"]
    assert [workspace["id"] for workspace in one["workspaces"]] == [made["id"]]
    gone = ann.client.delete(f"/api/v1/workspaces/{made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert ann.client.get("/api/v1/workspaces").json()["data"] == {"workspaces": []}


def test_tools_work_together(people):
    """What is written is there for the next call, and a tool's own error is no error of the server's."""
    ann = people.make("viewer")
    number = ann.client.post("/api/v1/workspaces", json={"name": "w"}).json()["data"]["id"]

    def invoke(tool, **parameters):
        body = {"workspace_id": number, "tool": tool, "parameters": parameters}
        answer = ann.client.post("/api/v1/mcp/invoke", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    assert invoke("write_file", path="src/main.py", content="print('hello')\n")["is_error"] is False
    assert "hello" in json.dumps(invoke("read_file", path="src/main.py")["result"])
    assert "main.py" in json.dumps(invoke("list_directory", path="src")["result"])
    assert "src/main.py" in json.dumps(invoke("search_files", glob="*.py")["result"])
    assert invoke("git_status")["result"]["status"] != "clean"
    failed = invoke("read_file", path="none.txt")
    assert failed["is_error"] is True
    assert failed["result"]
    outside = invoke("read_file", path="../../../../etc/passwd")
    assert outside["is_error"] is True
    assert "root:" not in json.dumps(outside)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "tool: Field required"),
        ({"workspace_id": "x", "tool": "git_status"}, 422, "workspace_id"),
        ({"workspace_id": "1", "tool": "git_status"}, 422, "workspace_id"),
        ({"workspace_id": 0, "tool": "git_status"}, 422, "workspace_id"),
        ({"workspace_id": 2**31, "tool": "git_status"}, 422, "workspace_id"),
        ({"workspace_id": True, "tool": "git_status"}, 422, "workspace_id"),
        ({"workspace_id": 999_999, "tool": "git_status"}, 404, "Workspace not found"),
        ({"workspace_id": None, "tool": "git_status"}, 422, "workspace_id"),
        ({"tool": "no_such_tool"}, 404, "no_such_tool"),
        ({"tool": ""}, 422, "tool"),
        ({"tool": "x" * 257}, 422, "tool"),
        ({"tool": 5}, 422, "tool"),
        ({"tool": "git_status", "parameters": []}, 422, "parameters"),
        ({"tool": "git_status", "parameters": None}, 422, "parameters"),
        ({"tool": "read_file", "parameters": {}}, 422, "path"),
        ({"tool": "read_file", "parameters": {"path": 5}}, 422, "/parameters/path"),
    ],
)
def test_a_wrong_call_is_told(people, body, status, said):
    root = people.root
    found = root.client.get("/api/v1/workspaces", params={"user_id": root.id}).json()["data"]["workspaces"]
    found = found or [root.client.post("/api/v1/workspaces", json={"name": "calls"}).json()["data"]]
    answer = root.client.post("/api/v1/mcp/invoke", json={"workspace_id": found[0]["id"], **body})
    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert "detail" in answer.json()


@pytest.mark.parametrize("query", ["", "?workspace_id=", "?workspace_id=x", "?workspace_id=0", "?workspace_id=1.5"])
def test_tools_need_a_workspace(people, query):
    answer = people.root.client.get(f"/api/v1/mcp/tools{query}")
    assert answer.status_code == 422
    assert "workspace_id" in answer.json()["detail"]
