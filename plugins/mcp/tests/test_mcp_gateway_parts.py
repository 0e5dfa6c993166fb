"""Parts of the gateway by themselves: names, rules, windows, states, and what arguments are checked by."""

from __future__ import annotations

import time
from typing import Any

import pytest
from mcpgateway import LEGACY, Bench, caller
from moorage.accounts.sealing import PluginSeal
from moorage_mcp.gateway import names, rules
from moorage_mcp.gateway.checking import Checker, Wrong
from moorage_mcp.gateway.retries import SECONDS, Retries, Retry
from moorage_mcp.gateway.windows import Windows
from moorage_mcp.records import Kind, ToolRules, UpstreamInfo
from moorage_mcp.wire.jsonrpc import RpcError


def upstream(name: str, prefix: str = "", **more: Any) -> UpstreamInfo:
    return UpstreamInfo(id=1, pid=f"up_{name}", workspace_id=1, name=name, kind=Kind.STDIO, prefix=prefix, **more)


def tools(*found: Any) -> list[Any]:
    return [{"name": name} for name in found]


def shown(*listed: tuple[UpstreamInfo, list[Any]]) -> dict[str, tuple[str, str]]:
    return {name: (entry.upstream.name, entry.name) for name, entry in names.named(listed).items()}


def test_names_depend_on_the_order_of_the_upstreams_alone() -> None:
    a, b, c = upstream("a"), upstream("b", "b__"), upstream("c", "b_")
    assert shown((a, tools("x", "b__x", "x", "")), (b, tools("x", "y")), (c, tools("_x", "_y", "z"))) == {
        "x": ("a", "x"),
        "b__x": ("a", "b__x"),
        "b__x_2": ("b", "x"),
        "b__y": ("b", "y"),
        "c___x": ("c", "_x"),
        "c___y": ("c", "_y"),
        "b_z": ("c", "z"),
    }
    assert shown((a, [{"name": 3}, {}, "junk", {"name": "x"}])) == {"x": ("a", "x")}


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("file:///a/b", "file:///{+path}"),
        ("file:///a", "file:///{+path}"),
        ("file:///logs/a.txt", "file:///logs/{name}.txt"),
        ("file:///logs/.txt", "file:///logs/{name}.txt"),
        ("db://t/5/c/7", "db://t/{row}/c/{column}"),
        ("db://t/5", None),
        ("db://t//c/", "db://t/{row}/c/{column}"),
        ("plain://x", "plain://x"),
        ("plain://xy", None),
    ],
)
def test_templates(uri: str, found: str | None) -> None:
    kept = ("file:///{+path}", "file:///logs/{name}.txt", "db://t/{row}/c/{column}", "plain://x")
    templates = {template: names.Entry(upstream("a"), template, {}) for template in kept}
    entry = names.fitting(templates, uri)
    assert (entry and entry.name) == found


def test_a_template_of_a_stranger_takes_no_time() -> None:
    template = "a" + "{x}a" * 2000
    templates = {template: names.Entry(upstream("a"), template, {})}
    began = time.perf_counter()
    assert names.fitting(templates, "a" * 100_000 + "b") is None
    assert time.perf_counter() - began < 1


def test_rules() -> None:
    def lets(allow: tuple[str, ...], deny: tuple[str, ...], *names: str) -> bool:
        return rules.allows(ToolRules(allow, deny), *names)

    assert lets((), (), "x")
    assert lets(("git_*",), (), "git_log")
    assert not lets(("git_*",), (), "log")
    assert not lets(("git_*",), ("*_log",), "git_log")
    assert not lets((), ("X",), "a__X", "X")
    assert lets((), ("x",), "X")
    assert lets(("[gh]it",), (), "hit")


def test_a_fixed_argument_of_a_tool_that_has_none_changes_nothing() -> None:
    fixed = upstream("a", fixed={"repo": "/x"})
    for schema in (None, True, {}, {"properties": 3}, {"properties": {"other": {}}}):
        tool = {"name": "t", "inputSchema": schema}
        rules.hide_fixed(fixed, tool)
        assert tool["inputSchema"] is schema
        assert rules.fixed_of(fixed, tool) == {}
    tool = {"name": "t", "inputSchema": {"properties": {"repo": {}}, "required": ["repo", "n"]}}
    rules.hide_fixed(fixed, tool)
    assert tool["inputSchema"] == {"properties": {}, "required": ["n"]}


def test_windows_count_exactly_and_forget() -> None:
    now, lost = [1000.0], []
    windows = Windows(max_keys=3, max_hits=6, clock=lambda: now[0], forgotten=lambda: lost.append(1))
    assert windows.hit([("a", 2), ("b", 9)]) == 0
    now[0] += 20
    assert windows.hit([("a", 2)]) == 0
    assert windows.hit([("b", 9), ("a", 2)]) == 40
    now[0] += 39.5
    assert windows.hit([("a", 2)]) == 1
    now[0] += 1
    assert windows.hit([("a", 2)]) == 0
    assert windows.hit([("never", 0)]) == 60
    for key in "cdef":
        assert windows.hit([(key, 1)]) == 0
    assert len(windows) == 3
    assert lost


def test_states_hold_for_one_request_alone() -> None:
    now = [5000.0]
    bench = Bench()
    one, two = upstream("a"), upstream("b")
    workspace = bench.make(one, two)
    seal = PluginSeal("s" * 40, "mcp")
    states = Retries(seal, clock=lambda: now[0])
    params = {"name": "t", "arguments": {}}
    text = states.close(workspace, caller(), one, "tools/call", params, state="inner")

    def opened(*, method: str = "tools/call", by: Any = None, at: Any = None, **more: Any) -> Retry | None:
        return states.open(at or workspace, by or caller(), method, {**params, "requestState": text, **more})

    assert opened() == Retry("up_a", "inner")
    assert "inner" not in text
    assert opened(arguments={"changed": 1}) == Retry("up_a", "inner")  # As the SDK's servers have it.
    assert states.open(workspace, caller(), "tools/call", params) is None
    assert opened(requestState="another's") is None
    wrong: list[dict[str, Any]] = [
        {"name": "u"},
        {"method": "prompts/get"},
        {"by": caller(8)},
        {"by": caller(key=3)},
        {"at": bench.make(one, two, id=2)},
        {"requestState": text[:-2] + "=="},
        *({"requestState": "mg1." + seal.seal(other)} for other in ("{}", "[]", "3", "text", '{"b": 1}')),
        {"requestState": text[:4] + "x" * 5_000_000},
    ]
    for more in wrong:
        with pytest.raises(RpcError, match="requestState"):
            opened(**more)
    now[0] += SECONDS + 1
    with pytest.raises(RpcError, match="requestState"):
        opened()
    with pytest.raises(RpcError, match="too long"):
        states.close(workspace, caller(), one, "tools/call", params, state="x" * 600_000)


SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "pattern": "^[a-z/]+$"},
        "lines": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        "a/b~c": {"$ref": "#/$defs/yes"},
    },
    "required": ["path"],
    "additionalProperties": False,
    "$defs": {"yes": {"const": True}},
}


@pytest.mark.parametrize(
    ("arguments", "places"),
    [
        ({"path": "a/b", "lines": [1, 2], "a/b~c": True}, []),
        ({}, [""]),
        ({"path": 5}, ["/path"]),
        ({"path": "A"}, ["/path"]),
        ({"path": "a", "lines": [1, 0, "x"]}, ["/lines/1", "/lines/2"]),
        ({"path": "a", "a/b~c": 1}, ["/a~1b~0c"]),
        ({"path": "a", "more": 1}, [""]),
        ({"path": "a" * 5 + "!" * 100_000}, ["/path"]),
    ],
)
def test_arguments_are_checked_and_told_where(arguments: dict[str, Any], places: list[str]) -> None:
    found = Checker().problems(SCHEMA, arguments)
    assert [wrong.place for wrong in found] == places
    assert all(0 < len(wrong.message) < 400 for wrong in found)


def test_what_is_missing_is_named() -> None:
    assert Checker().problems(SCHEMA, {}) == [Wrong("", '"path" is a required property')]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        "junk",
        {"type": "strin"},
        {"$ref": "#/nowhere"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"$schema": "http://unknown.example/schema"},
        {"pattern": "("},
        {"properties": {"a": {"pattern": "(" * 500}}},
        {"description": "x" * 300_000, "type": "array"},
    ],
)
def test_a_schema_that_is_none_checks_nothing_and_fetches_nothing(schema: Any) -> None:
    assert Checker().problems(schema, {"a": 1}) == []


def _wide() -> dict[str, Any]:
    """Each part twice the next: two to the fortieth in all."""
    steps = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    return {"$ref": "#/$defs/d0", "$defs": {**steps, "d40": {"type": "object"}}}


def _deep() -> dict[str, Any]:
    """Twice for each level of what it is about."""
    once = {"properties": {"a": {"$ref": "#"}}, "required": ["b"]}
    return {"anyOf": [once, dict(once)]}


@pytest.mark.parametrize("schema", [_wide(), _deep(), {"properties": {"a": {"pattern": "^(a+)+$"}}}])
def test_a_schema_of_a_stranger_takes_no_time(schema: Any) -> None:
    nested: Any = "a" * 50 + "!"
    for _ in range(60):
        nested = {"a": nested}
    began = time.perf_counter()
    Checker().problems(schema, nested)
    Checker().problems(schema, {"a": "a" * 50 + "!"})
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("pattern", ["^(a|b)*c$", "^(a|b)*(?!x)c$", "^(?=(a|b)*$)(a|aa)+(?!x)c$"])
def test_patterns_of_a_stranger_hold_nobody_up(pattern: str) -> None:
    schema = {"properties": {"a": {"items": {"anyOf": [{"pattern": f"{pattern}|{n}"} for n in range(200)]}}}}
    began = time.perf_counter()
    Checker().problems(schema, {"a": ["ab" * 2000] * 300})
    Checker().problems(schema, {"a": ["ab" * 5] * 300})
    Checker().problems({"properties": {"a": {"pattern": pattern}}}, {"a": "ab" * 1_000_000})
    assert time.perf_counter() - began < 10, "it took minutes when the length of texts did not count"


def test_a_long_text_is_still_checked() -> None:
    schema = {"properties": {"text": {"type": "string", "maxLength": 5}, "n": {"type": "integer"}}}
    assert [wrong.place for wrong in Checker().problems(schema, {"text": "a" * 4_000_000, "n": 1})] == ["/text"]


def test_a_schema_that_leads_to_itself_is_still_checked() -> None:
    tree = {"type": "object", "properties": {"v": {"type": "integer"}, "kids": {"items": {"$ref": "#"}}}}
    found = Checker().problems(tree, {"kids": [{"v": 1, "kids": [{"v": "x"}]}]})
    assert [wrong.place for wrong in found] == ["/kids/0/kids/0/v"]


def test_lookaround_is_understood() -> None:
    checker = Checker()
    schema = {"properties": {"a": {"pattern": "^(?!no).*$"}}}
    assert checker.problems(schema, {"a": "yes"}) == []
    assert [wrong.place for wrong in checker.problems(schema, {"a": "no"})] == ["/a"]


async def test_lists_are_asked_for_once_by_many(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    import mcp_types as types
    from mcp.server.lowlevel import Server

    asked = []

    async def tools(ctx: Any, params: Any) -> types.ListToolsResult:
        asked.append(1)
        await asyncio.sleep(0.05)
        return types.ListToolsResult(tools=[])

    bench = Bench()
    bench.make(bench.upstream("a", LEGACY, lambda: Server("s", version="1", on_list_tools=tools)))
    await asyncio.gather(*(bench.ask(LEGACY, "tools/list") for _ in range(20)))
    assert len(asked) == 1
    await bench.close()
