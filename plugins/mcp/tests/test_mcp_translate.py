"""What the eras say in each other's words: every method, by the SDK's own types, and what only one of them has."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from mcp_types import methods
from moorage_mcp.gateway import schemas, translate
from moorage_mcp.links.base import Need, ServerInfo
from moorage_mcp.wire import eras, jsonrpc
from moorage_mcp.wire.eras import LATEST_LEGACY, LATEST_MODERN, Era
from moorage_mcp.wire.jsonrpc import RpcError

LEGACY, MODERN = Era.LEGACY, Era.MODERN
ENVELOPE = {
    eras.PROTOCOL_VERSION: LATEST_MODERN,
    eras.CLIENT_CAPABILITIES: {},
    eras.CLIENT_INFO: {"name": "c", "version": "1"},
    eras.LOG_LEVEL: "info",
}
TOOL = {"name": "t", "inputSchema": {"type": "object"}, "x-own": 1, "_meta": {"own/key": 1}}
TEXT = {"type": "text", "text": "x", "annotations": {"audience": ["user"]}, "x-own": [1]}
RESULTS: dict[str, dict[str, Any]] = {
    "tools/list": {"tools": [TOOL], "nextCursor": "n"},
    "prompts/list": {"prompts": [{"name": "p", "arguments": [{"name": "a", "required": True}], "x-own": 1}]},
    "resources/list": {"resources": [{"name": "r", "uri": "a://b", "size": 3, "x-own": 1}]},
    "resources/templates/list": {"resourceTemplates": [{"name": "r", "uriTemplate": "a://{b}", "x-own": 1}]},
    "tools/call": {"content": [TEXT], "structuredContent": {"a": 1}, "isError": False, "x-own": 1},
    "prompts/get": {"messages": [{"role": "user", "content": TEXT}], "description": "d", "x-own": 1},
    "resources/read": {"contents": [{"uri": "a://b", "text": "x", "x-own": 1}], "x-own": 1},
    "completion/complete": {"completion": {"values": ["a"], "total": 1, "hasMore": False}, "x-own": 1},
}
PARAMS: dict[str, dict[str, Any]] = {
    "tools/list": {"cursor": "c"},
    "prompts/list": {},
    "resources/list": {},
    "resources/templates/list": {},
    "tools/call": {"name": "t", "arguments": {"a": [1]}},
    "prompts/get": {"name": "p", "arguments": {"a": "b"}},
    "resources/read": {"uri": "a://b"},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": "v"}},
}
MODERN_PARTS = {"resultType", "ttlMs", "cacheScope"}


def test_the_table_has_every_method_that_both_eras_have() -> None:
    def of(version: str) -> set[str]:
        return {method for method, known in methods.SERVER_RESULTS if known == version}

    assert of(LATEST_LEGACY) & of(LATEST_MODERN) == set(RESULTS) == set(PARAMS)
    # The others are the fronts' and the links', or have no counterpart.
    assert of(LATEST_MODERN) - set(RESULTS) == {"server/discover", "subscriptions/listen"}
    assert of(LATEST_LEGACY) - set(RESULTS) == {
        *("initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe")
    }
    assert set(methods.CACHEABLE_METHODS) == translate.CACHEABLE


@pytest.mark.parametrize("method", RESULTS)
def test_results(method: str) -> None:
    plain = {**RESULTS[method], "_meta": {"own/key": {"x": 1}}}
    modern = translate.result(method, plain, server=LEGACY, client=MODERN)
    methods.validate_server_result(method, LATEST_MODERN, modern)
    assert {key: value for key, value in modern.items() if key not in MODERN_PARTS} == plain
    assert modern["resultType"] == "complete"
    assert ("ttlMs" in modern) is (method in translate.CACHEABLE)

    stamped = translate.stamped(dict(modern), {"name": "s", "version": "1"})
    assert stamped["_meta"][eras.SERVER_INFO]["name"] == "s"
    legacy = translate.result(method, stamped, server=MODERN, client=LEGACY)
    methods.validate_server_result(method, LATEST_LEGACY, legacy)
    assert legacy == plain  # All that nobody knows is there still.
    assert translate.result(method, plain, server=LEGACY, client=LEGACY) == plain
    assert translate.result(method, modern, server=MODERN, client=MODERN) == modern


@pytest.mark.parametrize("method", PARAMS)
@pytest.mark.parametrize("server", Era)
def test_params(method: str, server: Era) -> None:
    own = {"progressToken": 7, "own/key": 1}
    given = {**PARAMS[method], "_meta": {**ENVELOPE, **own}, "x-own": 1}
    methods.validate_client_request(method, LATEST_MODERN, given)
    made = translate.params(method, given, client=MODERN, server=server)
    assert made == {**PARAMS[method], "_meta": own, "x-own": 1}
    if server is LEGACY:
        methods.validate_client_request(method, LATEST_LEGACY, made)
    bare = translate.params(method, {**PARAMS[method], "_meta": ENVELOPE}, client=MODERN, server=server)
    assert bare == PARAMS[method]
    assert given["_meta"] == {**ENVELOPE, **own}  # What was given is left as it was.


def test_what_only_one_era_knows_is_not_sent_to_the_other() -> None:
    again = {"name": "t", "inputResponses": {}, "requestState": "s"}
    assert translate.params("tools/call", again, client=MODERN, server=LEGACY) == {"name": "t"}
    assert translate.params("tools/call", again, client=MODERN, server=MODERN) == again
    task = {"name": "t", "task": {"ttl": 1}}
    assert translate.params("tools/call", task, client=LEGACY, server=MODERN) == {"name": "t"}
    assert translate.params("tools/call", task, client=LEGACY, server=LEGACY) == task


@pytest.mark.parametrize("wrong", [-1, "1", True, None, 1.5])
def test_a_time_that_is_none_is_none(wrong: Any) -> None:
    found = translate.result("tools/list", {"tools": [], "ttlMs": wrong}, server=LEGACY, client=MODERN)
    assert found["ttlMs"] == 0


@pytest.mark.parametrize("value", [[1, 2], "x", 3, None, True])
def test_output_that_is_no_object_is_put_into_one(value: Any) -> None:
    result = {"resultType": "complete", "content": [], "structuredContent": value}
    methods.validate_server_result("tools/call", LATEST_MODERN, result)
    found = translate.result("tools/call", result, server=MODERN, client=LEGACY)
    methods.validate_server_result("tools/call", LATEST_LEGACY, found)
    assert found["structuredContent"] == {"result": value}


SCHEMAS: list[tuple[Any, list[Any], list[Any]]] = [
    ({"type": "object", "required": ["a"]}, [{"a": 1}], [{}]),
    ({"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}}, [[1]], [["x"], 3]),
    ({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"const": 1}, {"type": "array", "items": {"$ref": "#"}}]}}},
     [1, [1, [1]]], ["x", [2]]),
    ({"oneOf": [{"type": "object", "required": ["a"]}, {"type": "array"}]}, [{"a": 1}, []], [3, {"b": 1}]),
    ({"type": ["object", "null"], "properties": {"a": {"type": "integer"}}}, [None, {"a": 1}], [{"a": "x"}]),
    ({"enum": [{"$ref": "#/x"}, 5]}, [5, {"$ref": "#/x"}], [6]),
    ({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "integer"}, [1], ["x"]),
    ({"type": "array", "items": {"$id": "urn:x", "$defs": {"a": {"type": "null"}}, "$ref": "#/$defs/a"}},
     [[None]], [[1]]),
    (True, [{}], []),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "right", "wrong"), SCHEMAS)
def test_the_older_eras_schema_takes_what_the_servers_takes(schema: Any, right: list[Any], wrong: list[Any]) -> None:
    tool = {**TOOL, "outputSchema": schema}
    (found,) = translate.result("tools/list", {"tools": [tool]}, server=MODERN, client=LEGACY)["tools"]
    methods.validate_server_result("tools/list", LATEST_LEGACY, {"tools": [found]})
    old, new = jsonschema_rs.validator_for(found["outputSchema"]), jsonschema_rs.validator_for(schema)
    for value in right:
        assert new.is_valid(value)
        assert old.is_valid(schemas.as_object(value)), (found, value)
    for value in wrong:
        assert not new.is_valid(value)
        assert not old.is_valid(schemas.as_object(value)), (found, value)


def test_a_tool_that_only_works_as_a_legacy_task_is_not_shown_to_modern_clients() -> None:
    tools = [{**TOOL, "execution": {"taskSupport": support}} for support in ("required", "optional", "forbidden")]
    found = translate.result("tools/list", {"tools": tools}, server=LEGACY, client=MODERN)
    assert found["tools"] == tools[1:]


def test_a_result_that_the_older_era_has_no_words_for_is_an_error() -> None:
    for kind in ("input_required", "task"):
        with pytest.raises(RpcError) as found:
            translate.result("tools/call", {"resultType": kind}, server=MODERN, client=LEGACY)
        assert found.value.gateway
        assert found.value.data["reason"] == "not_supported"


URI = {"uri": "a://b"}
ERRORS: list[tuple[Era, str, RpcError, int, Any]] = [
    (LEGACY, "resources/read", RpcError(-32002, "m"), -32602, URI),
    (LEGACY, "resources/read", RpcError(-32002, "m", {"x": 1}), -32602, {**URI, "x": 1}),
    (LEGACY, "resources/read", RpcError(-32002, "m", "text"), -32602, "text"),
    (LEGACY, "tools/call", RpcError(-32002, "m"), -32002, None),
    (LEGACY, "tools/call", RpcError(-32602, "m", [1]), -32602, [1]),
    (LEGACY, "tools/call", RpcError(-32042, "m", {}), -32021, {"requiredCapabilities": {"elicitation": {"url": {}}}}),
    (MODERN, "resources/read", RpcError(-32602, "m", URI), -32002, URI),
    (MODERN, "resources/read", RpcError(-32602, "m", {"uri": "c://d"}), -32602, {"uri": "c://d"}),
    (MODERN, "resources/read", RpcError(-32602, "m"), -32602, None),
    (MODERN, "tools/call", RpcError(-32602, "m", URI), -32602, URI),
    (MODERN, "tools/call", RpcError(-32021, "m", {"x": 1}), -32600, {"x": 1}),
    (MODERN, "tools/call", RpcError(-32601, "m"), -32601, None),
    (MODERN, "tools/call", RpcError(4711, "m", {"x": 1}), 4711, {"x": 1}),
]


@pytest.mark.parametrize(("server", "method", "problem", "code", "data"), ERRORS)
def test_errors(server: Era, method: str, problem: RpcError, code: int, data: Any) -> None:
    client = LEGACY if server is MODERN else MODERN
    asked = URI if method.startswith("resources/") else {"name": "t"}
    found = translate.error(method, problem, asked, server=server, client=client)
    assert (found.code, found.message, found.data) == (code, "m", data)
    assert translate.error(method, problem, asked, server=server, client=server) is problem


@pytest.mark.parametrize("code", [jsonrpc.HEADER_MISMATCH, jsonrpc.UNSUPPORTED_VERSION])
def test_what_is_between_the_gateway_and_a_server_is_no_fault_of_the_client(code: int) -> None:
    found = translate.error("tools/call", RpcError(code, "m"), {}, server=MODERN, client=LEGACY)
    assert (found.code, found.gateway, found.data["reason"]) == (jsonrpc.INTERNAL_ERROR, True, "broken")
    ours = RpcError(code, "m", gateway=True)
    assert translate.error("tools/call", ours, {}, server=MODERN, client=LEGACY) is ours


CAPABILITIES = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "x": 1},
    "logging": {},
    "completions": {},
    "experimental": {"a": {}},
    "extensions": {"io.modelcontextprotocol/tasks": {}, "com.example/a": {"b": 1}},
    "tasks": {"list": {}},
}


@pytest.mark.parametrize("server", Era)
def test_capabilities_and_what_a_server_says_of_itself(server: Era) -> None:
    client = LEGACY if server is MODERN else MODERN
    info = ServerInfo(
        era=server, version="v", info={"name": "s"}, capabilities=CAPABILITIES, instructions="i", extra={"ttlMs": 1}
    )
    found = translate.described(info, client)
    assert found.era is client
    assert found.version == (LATEST_MODERN if client is MODERN else LATEST_LEGACY)
    assert (found.info, found.instructions, found.extra) == ({"name": "s"}, "i", {})
    wanted = {key: value for key, value in CAPABILITIES.items() if key != "tasks"}
    assert found.capabilities == {**wanted, "extensions": {"com.example/a": {"b": 1}}}
    assert translate.described(info, server) is info
    assert translate.client_capabilities({"tasks": {}, "roots": {"listChanged": True}}) == {
        "roots": {"listChanged": True}
    }


def test_every_notification_of_a_server_has_words_in_the_other_era_or_is_left_out() -> None:
    def told(version: str) -> set[str]:
        return {method for method, known in methods.SERVER_NOTIFICATIONS if known == version}

    sides = {LEGACY: told(LATEST_LEGACY), MODERN: told(LATEST_MODERN)}
    params = {"x": 1, "_meta": {eras.SUBSCRIPTION_ID: 5, "own/key": 1}}
    for server, client in ((LEGACY, MODERN), (MODERN, LEGACY)):
        for method in sides[server]:
            found = translate.notification(method, params, server=server, client=client)
            assert (found is not None) is (method in sides[client]), method
            assert found is None or found == (method, {"x": 1, "_meta": {"own/key": 1}})
            assert translate.notification(method, params, server=server, client=server) == (method, params)


SAMPLING = {"messages": [{"role": "user", "content": TEXT}], "maxTokens": 5, "x-own": 1}
FORM = {"mode": "form", "message": "m", "requestedSchema": {"type": "object", "properties": {}}}
URL = {"mode": "url", "message": "m", "url": "https://x.example"}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("sampling/createMessage", SAMPLING),
        ("elicitation/create", FORM),
        ("elicitation/create", URL),
        ("roots/list", {}),
    ],
)
def test_questions(method: str, params: dict[str, Any]) -> None:
    legacy = translate.need(Need(method, params), server=MODERN, client=LEGACY, new_id=lambda: "e1")
    methods.parse_server_request(method, LATEST_LEGACY, legacy.params)
    assert legacy.params == ({**params, "elicitationId": "e1"} if params is URL else params)
    asked = {**legacy.params, "_meta": {"progressToken": 1, "own/key": 2}, "task": {"ttl": 1}}
    modern = translate.need(Need(method, asked), server=LEGACY, client=MODERN)
    assert modern.params == {**params, "_meta": {"own/key": 2}}
    wanted = {"resultType": "input_required", "inputRequests": {"a": {"method": method, "params": modern.params}}}
    methods.validate_server_result("tools/call", LATEST_MODERN, wanted)


def test_answers() -> None:
    given = {"action": "accept", "content": {"a": 1}, "x-own": 1}
    for server, client in ((LEGACY, MODERN), (MODERN, LEGACY), (LEGACY, LEGACY)):
        assert translate.answer(given, server=server, client=client) == given
    assert translate.answer({**given, "resultType": "complete"}, server=LEGACY, client=MODERN) == given


def test_a_page_that_must_be_visited_is_a_question() -> None:
    entry = {"mode": "url", "message": "m", "url": "https://x.example", "elicitationId": "1"}
    problem = RpcError(-32042, "m", {"elicitations": [entry, "junk", {"mode": "url"}]})
    assert translate.url_needs(problem) == {"url-0": Need("elicitation/create", entry)}
    for other in (
        RpcError(-32602, "m", problem.data),
        RpcError(-32042, "m"),
        RpcError(-32042, "m", {"elicitations": 1}),
    ):
        assert translate.url_needs(other) == {}
