"""The list of calls: written without anybody waiting, shown to its owner, kept for so long and no longer."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from moorage_mcp import calls as module
from moorage_mcp.calls import CallRecord, Calls, Outcome
from moorage_mcp.models import McpCall
from waits import WAIT

CALLS = "/api/v1/workspaces/{}/calls"


def digest(text):
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


EMPTY = digest(b"{}")


def settings(**more):
    return {"plugins": {"mcp": {"enabled": True, "provided": False, **more}}}


@pytest.fixture
def moorage_config():
    return settings()


@pytest.fixture
def active(moorage_app):
    with moorage_app.hub("mcp").db.activate():
        yield moorage_app


def record(number=1, **more):
    told = {
        "workspace_id": number,
        "user_id": 1,
        "credential": "api_key:1",
        "method": "tools/call",
        "tool": "echo",
        "arguments": {},
        "outcome": Outcome.OK,
        "duration_ms": 12.5,
    }
    return CallRecord(**{**told, **more})


async def metric(server, name):
    admin = await server.as_user("admin")
    text = (await admin.get("/metrics")).text
    found = [line for line in text.splitlines() if line.startswith(f"moorage_mcp_{name} ")]
    return float(found[0].split()[-1]) if found else None


async def test_calls_are_shown_to_the_owner_newest_first(moorage_app):
    calls, owner = moorage_app.plugin("mcp").calls, await moorage_app.as_user()
    made = (await owner.post("/api/v1/workspaces", json={"name": "w"})).json()["data"]
    path = CALLS.format(made["id"])
    assert (await owner.get(path)).json()["data"] == {"calls": []}
    at = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
    calls.record(record(made["id"], at=at, upstream="workspace", client="agent 1.0", request_id="r1"))
    calls.record(record(made["id"], tool="fail", outcome=Outcome.TOOL_ERROR, error="It broke", arguments={"a": [1]}))
    calls.record(record(made["id"], method="resources/read", tool="file:///x", outcome=Outcome.DENIED, arguments=None))
    calls.record(record(made["id"] + 1))
    answer = (await owner.get(path)).json()
    assert answer["meta"] == {"page": 1, "per_page": 20, "total": 3, "total_pages": 1}
    third, second, first = answer["data"]["calls"]
    assert first == {
        "id": first["id"],
        "at": "2026-11-20T08:30:00Z",
        "user_id": 1,
        "credential": "api_key:1",
        "method": "tools/call",
        "tool": "echo",
        "upstream": "workspace",
        "client": "agent 1.0",
        "arguments": EMPTY,
        "outcome": "ok",
        "error": None,
        "duration_ms": 12.5,
        "request_id": "r1",
    }
    assert (second["error"], second["arguments"]) == ("It broke", digest(b'{"a":[1]}'))
    assert (third["method"], third["arguments"]) == ("resources/read", None)

    async def tools(**query):
        return [one["tool"] for one in (await owner.get(path, params=query)).json()["data"]["calls"]]

    assert await tools(outcome="tool_error") == ["fail"]
    assert await tools(tool="echo") == ["echo"]
    assert await tools(tool="ech") == []
    assert await tools(per_page=1, page=2) == ["fail"]
    assert await tools(page=2**31 - 1) == []
    for query in ("outcome=fine", "tool=", "tool=%00", "page=0", f"tool={'x' * 257}"):
        assert (await owner.get(f"{path}?{query}")).status_code == 422, query


async def test_an_admin_who_reads_others_calls_is_on_record(moorage_app):
    owner, admin = await moorage_app.as_user(), await moorage_app.as_user("admin")
    made = (await owner.post("/api/v1/workspaces", json={"name": "w"})).json()["data"]
    path = CALLS.format(made["id"])
    await owner.get(path)
    events = {"action": "mcp_call.read"}
    assert (await admin.get("/api/v1/audit", params=events)).json()["data"]["events"] == []
    assert (await admin.get(path)).status_code == 200
    await admin.get(path)
    (event,) = (await admin.get("/api/v1/audit", params=events)).json()["data"]["events"]
    assert event["data"] == {"workspace": made["pid"], "user_id": made["user_id"]}


async def test_a_call_that_is_used_is_kept(moorage_server):
    """From the whole chain: REST, gateway, list."""
    config = settings(provided=True)
    async with moorage_server("mcp", config=config) as server:
        owner = await server.as_user()
        made = (await owner.post("/api/v1/workspaces", json={"name": "w"})).json()["data"]
        body = {"workspace_id": made["id"], "tool": "git_status", "parameters": {}}
        assert (await owner.post("/api/v1/mcp/invoke", json=body)).status_code == 200
        body = {"workspace_id": made["id"], "tool": "no_such_tool"}
        assert (await owner.post("/api/v1/mcp/invoke", json=body)).status_code == 404
        found = (await owner.get(CALLS.format(made["id"]))).json()["data"]["calls"]
        assert [(one["tool"], one["outcome"]) for one in reversed(found)] == [
            ("git_status", "ok"),
            ("no_such_tool", "denied"),
        ]
        assert found[1]["upstream"] == "workspace"
        assert found[1]["duration_ms"] > 0


@pytest.mark.parametrize(
    ("policy", "arguments", "kept"),
    [
        ("hash", {"b": 1, "a": "é"}, digest(rb'{"a":"\u00e9","b":1}')),
        ("full", {"b": 1, "a": "é"}, '{"a":"\\u00e9","b":1}'),
        ("full", {"a": "\0"}, '{"a":"\\u0000"}'),
        ("full", {"a": "x" * 20_000}, "sha256:"),
        ("full", {"a": "sha256:x"}, '{"a":"sha256:x"}'),
        ("none", {"a": 1}, None),
        ("hash", reduce(lambda inner, _: {"a": inner}, range(5000), {}), "nested too deeply"),
    ],
)
async def test_what_is_kept_of_arguments_is_the_operators_choice(moorage_server, policy, arguments, kept):
    async with moorage_server("mcp", config=settings(keep_arguments=policy)) as server:
        calls = server.plugin("mcp").calls
        calls.record(record(arguments=arguments))
        with server.hub("mcp").db.activate():
            (row,), _ = await calls.page(1, offset=0, limit=10)
        assert row.arguments == kept or (kept == "sha256:" and row.arguments.startswith(kept))


async def test_odd_text_is_stored_and_long_text_cut(active):
    calls = active.plugin("mcp").calls
    odd = "a\0b\nc\ud800" + "x" * 1000
    calls.record(record(tool=odd, client=odd, upstream=odd, error=odd, request_id=odd, duration_ms=float("1e300")))
    (row,), _ = await calls.page(1, offset=0, limit=10)
    mark = "\N{REPLACEMENT CHARACTER}"
    assert row.tool == (f"a{mark}b{mark}c{mark}" + "x" * 1000)[:256]
    assert (len(row.client), len(row.upstream), len(row.error), len(row.request_id)) == (128, 32, 512, 64)


async def test_what_comes_too_fast_is_dropped_and_counted(active, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 100)
    calls = active.plugin("mcp").calls
    for number in range(130):
        calls.record(record(tool=str(number)))
    _, total = await calls.page(1, offset=0, limit=1)
    assert total == 100
    assert await metric(active, "calls_dropped_total") == 30
    calls.record(record())
    assert (await calls.page(1, offset=0, limit=1))[1] == 101, "it goes on"


async def test_a_stop_writes_what_waits(moorage_server):
    async with moorage_server("mcp", config=settings()) as server:
        for _ in range(1000):
            server.plugin("mcp").calls.record(record())
    async with moorage_server("mcp", config=settings()) as server:
        with server.hub("mcp").db.activate():
            assert await McpCall.all().count() == 1000


async def test_a_database_that_is_away_loses_nothing_and_a_stop_does_not_hang(active, monkeypatch):
    monkeypatch.setattr(module, "RETRY", 0.05)
    monkeypatch.setattr(module, "FLUSH_SECONDS", 0.2)
    written = McpCall.bulk_create
    tried = asyncio.Event()

    async def away(rows):
        tried.set()
        raise OSError("no database")

    monkeypatch.setattr(McpCall, "bulk_create", away)
    calls = active.plugin("mcp").calls
    for number in range(5):
        calls.record(record(tool=str(number)))
    async with asyncio.timeout(WAIT):
        await tried.wait()
    monkeypatch.setattr(McpCall, "bulk_create", written)
    async with asyncio.timeout(WAIT):
        while (await calls.page(1, offset=0, limit=10))[1] < 5:
            await asyncio.sleep(0.02)
    rows, _ = await calls.page(1, offset=0, limit=10)
    assert [row.tool for row in reversed(rows)] == ["0", "1", "2", "3", "4"], "in their order, once"

    monkeypatch.setattr(McpCall, "bulk_create", away)
    calls.record(record())
    before = asyncio.get_running_loop().time()
    await calls.close()
    assert asyncio.get_running_loop().time() - before < WAIT
    assert await metric(active, "calls_dropped_total") == 1


async def test_old_calls_go(active):
    hub = active.hub("mcp")
    calls = Calls(hub, hub.config)
    now = datetime.now(UTC)
    old = [record(at=now - timedelta(days=30, minutes=number + 1)) for number in range(600)]
    live = active.plugin("mcp").calls
    for call in (*old, record(at=now - timedelta(days=29)), record(at=now)):
        live.record(call)
    assert (await live.page(1, offset=0, limit=1))[1] == 602
    assert await calls.clean() == 600
    assert await calls.clean() == 0
    assert (await live.page(1, offset=0, limit=1))[1] == 2


async def test_outcomes_are_counted_from_the_start(active):
    calls = active.plugin("mcp").calls
    assert await metric(active, 'calls_total{outcome="timeout"}') == 0
    calls.record(record(outcome=Outcome.TIMEOUT))
    assert await metric(active, 'calls_total{outcome="timeout"}') == 1
    assert await metric(active, 'call_seconds_count{outcome="timeout"}') == 1
