"""What clients meet when servers do wrong: a clear error in bounded time, and nothing of it for anybody else."""

from __future__ import annotations

import concurrent.futures
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from mcpsite import Rpc, Site, Workspace, answer_of, site
from realparts.mcpservers.parts import MODERN, everything, faulty, serve_everything, serve_faulty
from waits import WAIT

CALL, START, ANSWER, MESSAGE = 2.0, 5.0, 1 << 20, 64 * 1024
LIMITS = {
    "call_timeout": CALL,
    "start_timeout": START,
    "max_answer_bytes": ANSWER,
    "max_message_bytes": MESSAGE,
    "calls_per_minute": 0,
}
MB = 1_000_000
KINDS = ("stdio", "http")
"""Both of them servers whose messages the gateway has to read: the client is of the older era, and the one that is
reached by HTTP of the newer one."""


@dataclass
class Behind:
    """A workspace whose server does wrong, and the file in which it tells what happened to it."""

    workspace: Workspace
    folder: Path
    log: str

    def noted(self, word: str) -> int:
        return sum(file.read_text().splitlines().count(word) for file in self.folder.rglob(self.log))


class Here:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.site: Site = stack.enter_context(site(folder, **LIMITS))
        self._made = 0

    def behind(self, kind: str, *options: str) -> Behind:
        """A new workspace with a faulty server of its own."""
        self._made += 1
        name = f"log-{self._made}"
        upstream: Any
        if kind == "stdio":
            upstream = faulty("--log", name, *options)  # In its workspace's folder: it can write nowhere else.
        else:
            era = {"http": "modern", "passing": "legacy"}[kind]
            more = ("--era", era, "--log", str(self.folder / name), *options)
            server = serve_faulty(self.folder, *more, port=self.site.port())
            self.stack.callback(server.stop)
            upstream = server.url
        return Behind(self.site.workspace(f"faulty-{self._made}", upstream), self.folder, name)

    def memory(self) -> int:
        """Bytes that the server's process holds."""
        assert self.site.server.process is not None
        return int(psutil.Process(self.site.server.process.pid).memory_info().rss)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    with ExitStack() as stack:
        found = Here(tmp_path_factory.mktemp("faults"), stack)
        yield found
        assert "Traceback" not in found.site.server.stderr


@pytest.fixture(scope="module", params=KINDS)
def behind(here: Here, request: pytest.FixtureRequest) -> Behind:
    """One faulty server for all that does not end it."""
    return here.behind(request.param)


def failure(answer: dict[str, Any]) -> dict[str, Any]:
    """The error of an answer, which the gateway says is its own and which has no secrets of the server's."""
    assert "error" in answer, answer
    error: dict[str, Any] = answer["error"]
    assert error["data"]["gateway"] is True, error
    assert error["message"]
    assert sys.executable not in json.dumps(error)
    return error


def works(behind: Behind) -> None:
    """Its server answers again, after the pause that follows a crash."""
    deadline = time.monotonic() + WAIT
    while True:
        with Rpc(behind.workspace) as one:
            answer = one.welcome if "error" in one.welcome else one.call("ok")
        if "result" in answer:
            assert answer["result"]["content"][0]["text"] == "ok"
            return
        failure(answer)
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)


def at_once(work: Callable[[Any], None], cases: Sequence[Any]) -> None:
    """What mostly waits, for all cases together."""
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        list(pool.map(work, cases))


NEVER = ["hang", "garbage", "no_rpc", "wrong_id"]
"""Faults after which nothing comes that could be an answer."""


def test_what_is_never_answered_ends_in_time(behind: Behind) -> None:
    def ask(tool: str) -> None:
        with Rpc(behind.workspace) as one:
            began = time.monotonic()
            failure(one.call(tool))
            assert time.monotonic() - began < CALL + 8
            assert one.call("ok")["result"]["content"][0]["text"] == "ok", "the connection is of no use any more"

    at_once(ask, NEVER)


WRONG = ["no_result", "list_result", "odd_error"]
"""Answers that are none."""


@pytest.mark.parametrize("tool", WRONG)
def test_an_answer_that_is_none_is_an_error(behind: Behind, tool: str) -> None:
    with Rpc(behind.workspace) as one:
        failure(one.call(tool))
        assert "result" in one.call("ok")


@pytest.mark.parametrize(
    ("tool", "text"), [("twice", "first"), ("surrogate", "\ud800 and \0"), ("stderr", "ok"), ("garbage_first", "ok")]
)
def test_what_can_be_understood_is_handed_on(behind: Behind, tool: str, text: str) -> None:
    with Rpc(behind.workspace) as one:
        assert one.call(tool, n=20)["result"]["content"][0]["text"] == text


def test_a_servers_own_error_stays_its_own(behind: Behind) -> None:
    with Rpc(behind.workspace) as one:
        error = one.call("rpc_error")["error"]
    assert error["code"] == -32050
    assert error["message"] == "The server's own error"
    assert error["data"] == {"why": "because"}


def test_a_result_that_no_tool_may_have_breaks_nothing(behind: Behind) -> None:
    with Rpc(behind.workspace) as one:
        for tool, n in (("odd_result", 0), ("deep", 100_000)):
            answer = one.call(tool, n=n)
            assert "error" in answer or "result" in answer
        assert "result" in one.call("ok")


def test_a_server_that_asks_what_cannot_be_done_is_told_so(behind: Behind) -> None:
    with Rpc(behind.workspace) as one:
        answer = one.call("ask_odd")
        if "result" in answer:
            assert json.loads(answer["result"]["content"][0]["text"])["code"] == -32601
        else:
            failure(answer)  # Over HTTP untouched, the question goes to the client, who says nothing.
        many = one.call("ask_many", n=2000)
        assert "result" in many or failure(many)
        assert "result" in one.call("ok")


def test_a_flood_of_notifications_takes_no_memory(here: Here, behind: Behind) -> None:
    with Rpc(behind.workspace) as one:
        one.call("flood", n=100)
        before = here.memory()
        answer = one.call("flood", n=20_000)
        assert "result" in answer or failure(answer)
        assert here.memory() - before < 40 * MB
        assert "result" in one.call("ok")


def test_a_flood_without_an_end_ends_with_its_client(here: Here, behind: Behind) -> None:
    before, cancelled = here.memory(), behind.noted("cancelled") + behind.noted("left")
    body = {"name": "endless", "arguments": {}, "_meta": {"progressToken": "p"}}
    with Rpc(behind.workspace) as one:
        message = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": body}
        with one.web.stream("POST", behind.workspace.url, json=message) as stream:
            got = 0
            for part in stream.iter_raw():
                got += len(part)
                if got > 100_000:
                    break
    deadline = time.monotonic() + WAIT
    while behind.noted("cancelled") + behind.noted("left") == cancelled:
        assert time.monotonic() < deadline, "the server was never told"
        with Rpc(behind.workspace) as one:
            one.call("ok")
        time.sleep(0.1)
    assert here.memory() - before < 40 * MB


def test_an_answer_of_100_mb_is_refused_and_not_kept(here: Here, behind: Behind) -> None:
    with Rpc(behind.workspace) as one:
        before = here.memory()
        answer = one.post("tools/call", {"name": "huge", "arguments": {"n": 100}}, 7)
        assert len(answer.content) < 4 * ANSWER
        error = failure(answer_of(answer, 7))
        assert "large" in error["message"] or "big" in error["message"], error
        assert here.memory() - before < 60 * MB
    works(behind)


def test_the_rest_api_tells_the_same(here: Here, behind: Behind) -> None:
    number = behind.workspace.id
    with here.site.api() as api:

        def invoke(tool: str, **parameters: Any) -> httpx.Response:
            body = {"workspace_id": number, "tool": tool, "parameters": parameters}
            return api.post("/api/v1/mcp/invoke", json=body)

        assert invoke("hang").status_code == 504
        assert invoke("list_result").status_code == 502
        assert invoke("huge", n=10).status_code == 502
        assert invoke("rpc_error").status_code == 502
        assert invoke("no_such_tool").status_code == 404
        wrong = invoke("ok", n="many")
        assert wrong.status_code in (400, 422)
        assert "n" in wrong.text
        assert invoke("ok").status_code in (200, 503)


@pytest.mark.parametrize("tool", ["crash", "half"])
def test_a_server_that_dies_in_a_call_is_started_again(here: Here, tool: str) -> None:
    behind = here.behind("stdio")
    with Rpc(behind.workspace) as one:
        assert "result" in one.call("ok")
        failure(one.call(tool))
        again = one.call("ok")
        if "error" in again:
            assert any(letter.isdigit() for letter in failure(again)["message"]), "it says for how long"
    works(behind)
    assert behind.noted("start") == 2


def test_a_server_by_address_that_breaks_off_fails_this_call_alone(here: Here) -> None:
    behind = here.behind("http")
    with Rpc(behind.workspace) as one:
        failure(one.call("half"))
    works(behind)


BROKEN_STARTS = [
    *(("stdio", start) for start in ("crash", "silent", "leave", "garbage", "version")),
    *(("http", start) for start in ("silent", "garbage", "version")),
]


def test_servers_that_cannot_start_are_told_in_time(here: Here) -> None:
    def ask(case: tuple[Behind, str]) -> None:
        behind, start = case
        began = time.monotonic()
        with Rpc(behind.workspace) as one:
            answer = one.welcome if "error" in one.welcome else one.call("ok")
        failure(answer)
        assert time.monotonic() - began < 4 * START + 8, start
        with here.site.api() as api:
            tools = api.get("/api/v1/mcp/tools", params={"workspace_id": behind.workspace.id})
            assert tools.status_code in (502, 503, 504), tools.text
            detail = api.get(f"/api/v1/workspaces/{behind.workspace.id}")
            assert detail.status_code == 200
            assert detail.json()["data"]["upstreams"][0]["error"], start
        assert behind.noted("start") < 6, "it was started again and again, without a pause"

    at_once(ask, [(here.behind(kind, "--start", start), start) for kind, start in BROKEN_STARTS])


def test_servers_that_are_slow_or_loud_or_fail_at_first_are_used_in_the_end(here: Here) -> None:
    for options in (("--start", "slow:1"), ("--start", "stderr"), ("--start", "crash:2")):
        behind = here.behind("stdio", *options)
        works(behind)


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_statuses_of_a_server_by_address_are_errors(here: Here, status: int) -> None:
    server = serve_faulty(here.folder, port=here.site.port())
    try:
        url = server.url.removesuffix("/mcp") + f"/status/{status}"
        workspace = here.site.workspace(f"status-{status}", url)
        with Rpc(workspace) as one:
            answer = one.welcome if "error" in one.welcome else one.call("ok")
            assert one.hello.status_code not in (302, 401), "the server's status is not the gateway's"
        failure(answer)
        assert "leaked-location" not in json.dumps(answer)
    finally:
        server.stop()


def test_nobody_listens_there(here: Here) -> None:
    workspace = here.site.workspace("nobody", f"http://127.0.0.1:{here.site.port()}/mcp")
    began = time.monotonic()
    with Rpc(workspace) as one:
        failure(one.welcome if "error" in one.welcome else one.call("ok"))
    assert time.monotonic() - began < START + 8


def test_a_hundred_first_calls_start_one_server(here: Here) -> None:
    behind = here.behind("stdio", "--start", "slow:0.5")
    body = {"workspace_id": behind.workspace.id, "tool": "ok", "parameters": {}}

    def first(api: httpx.Client) -> int:
        return api.post("/api/v1/mcp/invoke", json=body).status_code

    with here.site.api() as api, concurrent.futures.ThreadPoolExecutor(100) as pool:
        codes = list(pool.map(lambda _: first(api), range(100)))
    assert codes == [200] * 100
    assert behind.noted("start") == 1


def test_what_others_do_is_not_held_up(here: Here) -> None:
    """While one server floods and another hangs, a third answers at once."""
    flooding, hanging = here.behind("stdio"), here.behind("stdio")
    calm = here.behind("stdio").workspace
    with concurrent.futures.ThreadPoolExecutor(2) as pool, Rpc(calm) as one:
        first = one.call("ok")
        assert "result" in first

        def wrong(behind: Behind, tool: str, **arguments: Any) -> None:
            with Rpc(behind.workspace) as other:
                other.call(tool, **arguments)

        running = [pool.submit(wrong, flooding, "flood", n=20_000), pool.submit(wrong, hanging, "hang")]
        waits = []
        while not all(task.done() for task in running):
            began = time.monotonic()
            assert "result" in one.call("ok")
            waits.append(time.monotonic() - began)
        for task in running:
            task.result()
    assert sorted(waits)[len(waits) // 2] < CALL, "the middle wait of a call that has nothing to do with it"


def test_a_tool_list_that_changes_is_seen(here: Here, behind: Behind) -> None:
    with Rpc(behind.workspace) as one:
        before = {tool["name"] for tool in one.ask("tools/list")["result"]["tools"]}
        one.call("change", n=2)
        deadline = time.monotonic() + WAIT
        while {tool["name"] for tool in one.ask("tools/list")["result"]["tools"]} != before | {"extra0", "extra1"}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        one.call("change", n=0)


# What clients do wrong.
@pytest.fixture(scope="module")
def good(here: Here) -> Workspace:
    server = serve_everything(here.folder, port=here.site.port())
    here.stack.callback(server.stop)
    return here.site.workspace("good", server.url)


def modern(method: str = "tools/list", **params: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """A request of the modern era and its headers."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": meta, **params}}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": method,
        **({"Mcp-Name": params["name"]} if "name" in params else {}),
    }
    return body, headers


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        ({"Origin": "http://evil.example.org"}, (403,)),
        ({"Origin": "null"}, (403,)),
        ({"Host": "evil.example.org", "Origin": "http://evil.example.org"}, (403,)),
        ({"Accept": "text/html"}, (406, 400)),
        ({"Content-Type": "text/plain"}, (415, 400)),
        ({"Authorization": "Bearer nothing"}, (401,)),
        ({"Mcp-Method": "tools/call"}, (400,)),
        ({"MCP-Protocol-Version": "2999-01-01"}, (400,)),
    ],
)
def test_requests_that_are_wrong_are_refused(good: Workspace, headers: dict[str, str], statuses: tuple[int]) -> None:
    body, right = modern()
    answer = httpx.post(good.url, json=body, headers={**good.headers, **right, **headers})
    assert answer.status_code in statuses, answer.text
    assert httpx.post(good.url, json=body, headers={**good.headers, **right}).status_code == 200


def test_a_name_in_the_head_that_is_not_in_the_body_is_refused(good: Workspace) -> None:
    body, headers = modern("tools/call", name="echo", arguments={"message": "x"})
    answer = httpx.post(good.url, json=body, headers={**good.headers, **headers, "Mcp-Name": "big"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32020
    assert answer.json()["id"] == 7


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b'{"jsonrpc": "2.0"}', b'{"jsonrpc":"2.0","id":{},"method":"ping"}', b"\xff" * 9]
)
def test_bodies_that_are_no_message_are_refused(good: Workspace, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **good.headers}
    for era in ({}, {"MCP-Protocol-Version": MODERN, "Mcp-Method": "ping"}):
        answer = httpx.post(good.url, content=body, headers={**headers, **era})
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["code"] in (-32700, -32600, -32602, -32020)


def test_a_message_that_is_too_large_is_refused(good: Workspace) -> None:
    body, headers = modern("tools/call", name="echo", arguments={"message": "x" * 2 * MESSAGE})
    answer = httpx.post(good.url, json=body, headers={**good.headers, **headers})
    assert answer.status_code == 413
    with Rpc(good) as one:
        assert one.post("tools/call", {"name": "echo", "arguments": {"message": "x" * 2 * MESSAGE}}).status_code == 413
        assert "result" in one.call("echo", message="x")


def test_a_session_is_its_owners_alone(here: Here, good: Workspace) -> None:
    stranger = {"Authorization": f"Bearer {here.site.key('ben')}"}
    with Rpc(good) as one:
        session = {"Mcp-Session-Id": one.web.headers["Mcp-Session-Id"], "Accept": one.web.headers["Accept"]}
        with here.site.api() as api:
            pid = api.get(f"/api/v1/workspaces/{good.id}").json()["data"]["pid"]
        ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for url in (good.url, good.url.replace("/ws/good/", f"/ws/{pid}/")):
            answer = httpx.post(url, json=ask, headers={**session, **stranger})
            assert answer.status_code in (403, 404), answer.text
            assert httpx.delete(url, headers={**session, **stranger}).status_code in (403, 404)
        own = here.site.workspace("bens", everything(), user="ben")
        answer = httpx.post(own.url, json=ask, headers={**session, **stranger})
        assert answer.status_code == 404, "another workspace's session"
        assert "result" in one.call("echo", message="still there")


def test_addresses_that_are_not_registered_cannot_be_had(tmp_path: Path) -> None:
    """Not by name, not by number, not by what looks like a beginning."""
    with site(tmp_path, **{**LIMITS, "targets": ["http://127.0.0.1:9/mcp"]}) as one, one.api() as api:
        made = one.workspace("empty")
        for url in (
            "http://localhost:9/mcp",
            "http://127.0.0.1:9/other",
            "http://127.0.0.1:99/mcp",
            "http://127.0.0.1:9/mcp/../../other",
            "http://[::ffff:127.0.0.1]:9/mcp",
            "http://2130706433:9/mcp",
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.1/mcp",
            "http://user:secret@127.0.0.1:9/mcp",
            "file:///etc/passwd",
            "gopher://127.0.0.1:9/mcp",
        ):
            wanted = {"name": "it", "kind": "http", "url": url}
            answer = api.post(f"/api/v1/workspaces/{made.id}/upstreams", json=wanted)
            if answer.status_code == 201:  # The name may mean a public address: it is looked up when it is used.
                number = answer.json()["data"]["id"]
                used = api.get("/api/v1/mcp/tools", params={"workspace_id": made.id})
                assert used.status_code in (403, 502, 503), (url, used.text)
                assert "not" in used.text
                api.delete(f"/api/v1/workspaces/{made.id}/upstreams/{number}")
            else:
                assert answer.status_code in (400, 403, 422), (url, answer.text)


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "..", "ä", "x" * 129, "terminal", "a\n", 5, None])
def test_names_outside_the_rule_are_refused(here: Here, name: Any) -> None:
    with here.site.api() as api:
        answer = api.post("/api/v1/workspaces", json={"name": name})
        assert answer.status_code in (400, 422), answer.text
        assert answer.json()["detail"]


def test_names_that_are_taken_or_were_deleted(here: Here) -> None:
    with here.site.api() as api:
        made = api.post("/api/v1/workspaces", json={"name": "once"}).json()["data"]["id"]
        assert api.post("/api/v1/workspaces", json={"name": "once"}).status_code == 400
        assert api.post("/api/v1/workspaces", json={"name": "y" * 128}).status_code == 201
        url = f"{here.site.server.url}/ws/once/mcp"
        assert api.delete(f"/api/v1/workspaces/{made}").status_code == 204
        body, headers = modern()
        assert api.post(url, json=body, headers=headers).status_code == 404
        assert api.get("/api/v1/mcp/tools", params={"workspace_id": made}).status_code == 404
        assert api.post("/api/v1/workspaces", json={"name": "once"}).status_code == 201
