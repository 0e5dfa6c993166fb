"""Tools over the REST API, on a real `moorage serve` with real servers behind it."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import httpx
import pytest
from harness import merged
from people import CONFIG, populated
from realparts.mcpservers import parts
from realparts.mcpservers.parts import everything, faulty
from waits import WAIT

MCP = {
    "enabled": True,
    "required": True,
    "programs": [str(Path(parts.__file__).parent)],
    "call_timeout": 3,
    "max_answer_bytes": 64 * 1024,
    "keep_arguments": "full",
}
SETTINGS = merged(CONFIG, {"plugins": {"mcp": MCP}})


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("invoke"), SETTINGS) as people:
        yield people


class Workspace:
    """A workspace of an operator's with these servers."""

    numbers = count(1)

    def __init__(self, person, **servers):
        self.client = person.client
        data = self.client.post("/api/v1/workspaces", json={"name": f"w{next(self.numbers)}"}).json()["data"]
        self.id, self.path = data["id"], f"/api/v1/workspaces/{data['id']}"
        for one in self.client.get(f"{self.path}/upstreams").json()["data"]["upstreams"]:
            self.client.delete(f"{self.path}/upstreams/{one['id']}")
        for name, body in servers.items():
            self.add(name, **body)

    def add(self, name, **body):
        answer = self.client.post(f"{self.path}/upstreams", json={"name": name, "kind": "stdio", **body})
        assert answer.status_code == 201, answer.text

    def tools(self, client=None):
        return (client or self.client).get("/api/v1/mcp/tools", params={"workspace_id": self.id})

    def invoke(self, tool, parameters=None, client=None, timeout=WAIT):
        body = {"workspace_id": self.id, "tool": tool, "parameters": parameters or {}}
        return (client or self.client).post("/api/v1/mcp/invoke", json=body, timeout=timeout)

    def calls(self, **query):
        return self.client.get(f"{self.path}/calls", params=query).json()["data"]["calls"]


def wait_for(there):
    end = time.monotonic() + WAIT
    while not there():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture(scope="module")
def ann(people):
    return people.make("operator")


@pytest.fixture(scope="module")
def mine(ann):
    return Workspace(
        ann, one={"command": everything("--era", "legacy")}, two={"command": everything("--era", "modern")}
    )


def test_tools_are_listed_with_what_is_known_of_them(mine):
    answer = mine.tools()
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    tools = {tool["name"]: tool for tool in data["tools"]}
    assert data["count"] == len(tools) == len(data["tools"])
    assert tools["echo"]["upstream"] == "one"
    assert tools["two__echo"]["upstream"] == "two"
    assert tools["echo"]["inputSchema"]["type"] == "object"
    assert all(isinstance(tool["description"], str) for tool in tools.values())


def test_a_structured_result_is_the_result(mine):
    for tool in ("add", "two__add"):
        answer = mine.invoke(tool, {"a": 2, "b": 3})
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        assert (data["tool"], data["workspace_id"], data["is_error"]) == (tool, mine.id, False)
        assert data["result"]["sum"] == 5
        assert data["content"][0]["type"] == "text"


def test_a_single_text_is_the_result_and_several_contents_are_blocks(mine):
    assert mine.invoke("test_simple_text").json()["data"]["result"].startswith("This is a simple text")
    blocks = mine.invoke("test_multiple_content_types").json()["data"]
    assert [block["type"] for block in blocks["result"]] == ["text", "image", "resource"]
    assert blocks["result"] == blocks["content"]


def test_a_tool_that_failed_has_answered(mine):
    answer = mine.invoke("test_error_handling")
    assert answer.status_code == 200
    assert answer.json()["data"]["is_error"] is True
    assert "error" in answer.json()["data"]["result"]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [({"a": 1}, "/parameters"), ({"a": "x", "b": 1}, "/parameters/a"), ({"a": 1, "b": None}, "/parameters/b")],
)
def test_wrong_parameters_are_told_where(mine, parameters, field):
    answer = mine.invoke("add", parameters)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert error["message"]
    assert answer.json()["detail"].startswith(f"Wrong parameters: {field}: ")


def test_an_unknown_tool_and_an_unknown_workspace(mine, ann):
    answer = mine.invoke("nothing")
    assert (answer.status_code, answer.json()["detail"]) == (404, "Unknown tool: nothing")
    for wrong, status in ((999999, 404), (0, 422), ("x", 422)):
        body = {"workspace_id": wrong, "tool": "echo"}
        assert ann.client.post("/api/v1/mcp/invoke", json=body).status_code == status
    assert ann.client.get("/api/v1/mcp/tools").status_code == 422


def test_others_may_not_and_administrators_may(people, mine):
    other = people.make("operator")
    assert mine.tools(other.client).status_code == 403
    assert mine.invoke("echo", {"message": "x"}, other.client).status_code == 403
    boss = people.make("admin")
    assert mine.invoke("test_simple_text", client=boss.client).status_code == 200


def test_a_tool_that_asks_its_client_is_refused_clearly(mine):
    """A server that looks at what its client can do says so itself; one that asks anyway is answered by us."""
    said = mine.invoke("test_elicitation", {"message": "x"})
    assert (said.status_code, said.json()["data"]["is_error"]) == (200, True)
    asked = mine.invoke("two__test_input_required_result_request_state")
    assert asked.status_code == 409, asked.text
    assert "elicitation/create" in asked.json()["detail"]


def test_too_long_and_too_large(mine):
    late = mine.invoke("slow", {"seconds": 60, "steps": 1})
    assert late.status_code == 504, late.text
    large = mine.invoke("big", {"bytes": 200_000})
    assert large.status_code == 502, large.text
    assert mine.invoke("test_simple_text").status_code == 200


def test_who_leaves_cancels_the_call(people, mine):
    before = mine.invoke("calls").json()["data"]["result"]
    with pytest.raises(httpx.ReadTimeout):
        mine.invoke("slow", {"seconds": 2.5, "steps": 1}, timeout=1.0)

    def cancelled():
        return mine.invoke("calls").json()["data"]["result"]["cancelled"] - before["cancelled"]

    wait_for(cancelled)
    assert cancelled() == 1
    assert mine.calls(tool="slow")[0]["outcome"] == "cancelled"


def test_the_owner_sees_every_call(mine):
    mine.invoke("add", {"a": 4, "b": 5})
    mine.invoke("add", {"a": 4})
    mine.invoke("test_error_handling")
    failed, wrong, good = mine.calls()[:3]
    assert [call["outcome"] for call in (good, wrong, failed)] == ["ok", "denied", "tool_error"]
    assert (good["tool"], good["upstream"], good["method"]) == ("add", "one", "tools/call")
    assert good["arguments"] == {"a": 4, "b": 5}
    assert "/parameters" in wrong["error"]


WRONG = {
    "crash": 502,
    "half": 502,
    "no_rpc": 502,
    "no_result": 502,
    "list_result": 502,
    "odd_error": 502,
    "rpc_error": 502,
    "wrong_id": 504,
    "hang": 504,
    "huge": 502,
    "odd_result": 200,
    "twice": 200,
    "surrogate": 200,
    "deep": 502,
}
"""What a server does wrong, and what a client is told of it."""


def test_a_server_that_does_wrong(ann):
    where = Workspace(ann, bad={"command": faulty()})
    names = {tool["name"] for tool in where.tools().json()["data"]["tools"]}
    assert names >= WRONG.keys()
    for name, status in WRONG.items():
        answer = where.invoke(name, {"n": 20_000 if name == "deep" else 1})
        found = f"{name}: {answer.status_code} {answer.text[:200]}"
        assert answer.status_code == status, found
        assert "Traceback" not in answer.text, found
        if answer.status_code != 200:
            assert set(answer.json()) == {"detail"}, found
        assert where.invoke("ok").status_code in (200, 503), found
        wait_for(lambda: where.invoke("ok").status_code == 200)


def test_a_server_that_cannot_be_started_hides_no_other(ann):
    where = Workspace(ann, good={"command": everything()}, bad={"command": ["/bin/false"]})
    tools = where.tools()
    assert tools.status_code == 200, tools.text
    assert {tool["upstream"] for tool in tools.json()["data"]["tools"]} == {"good"}
    assert where.invoke("test_simple_text").status_code == 200
    answer = where.invoke("bad__anything")
    assert (answer.status_code, "exit code 1" in answer.text) == (503, True), answer.text
    assert where.invoke("anything").status_code == 404
    alone = Workspace(ann, bad={"command": ["/bin/false"]})
    answer = alone.tools()
    assert answer.status_code == 503, answer.text
    assert "bad" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) >= 1


def test_rules_and_limits(ann):
    where = Workspace(ann, one={"command": everything(), "tools": {"deny": ["test_*"]}})
    names = {tool["name"] for tool in where.tools().json()["data"]["tools"]}
    assert "echo" in names
    assert "test_simple_text" not in names
    assert where.invoke("test_simple_text").status_code == 403
    changed = where.client.patch(where.path, json={"call_limits": {"ec*": 1}})
    assert changed.status_code == 200, changed.text
    assert where.invoke("echo", {"message": "x"}).status_code == 200
    full = where.invoke("echo", {"message": "x"})
    assert full.status_code == 429
    assert 1 <= int(full.headers["retry-after"]) <= 60
