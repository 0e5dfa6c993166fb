"""Event streams and headers of MCP, as they are read and written, against the SDK's own."""

from __future__ import annotations

import random

import pytest
from mcp.shared.inbound import decode_header_value, encode_header_value
from moorage_mcp.wire import eras, headers, sse
from moorage_mcp.wire.jsonrpc import HEADER_MISMATCH, INVALID_PARAMS, UNSUPPORTED_VERSION, RpcError

META = {eras.PROTOCOL_VERSION: eras.LATEST_MODERN, eras.CLIENT_CAPABILITIES: {}}


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_stream_is_read_however_it_is_cut(end: bytes) -> None:
    lines = [
        "\ufeffid: 7",
        "retry: 250",
        "data: ",
        "",
        ": a comment",
        "event: message",
        "data: {“a”:",
        "data:1}",
        "",
        "x",
    ]
    stream = end.join(line.encode() for line in lines)
    wanted = [sse.Event(b"", "message", "7", 250), sse.Event("{“a”:\n1}".encode())]
    assert sse.Decoder(1000).feed(stream) == wanted
    for seed in range(50):
        dice, decoder, found, at = random.Random(seed), sse.Decoder(1000), [], 0
        while at < len(stream):
            size = dice.randint(1, 5)
            found += decoder.feed(stream[at : at + size])
            at += size
        assert found == wanted, seed


def test_what_is_written_is_read_again() -> None:
    written = sse.encode(b'{"a":1}') + sse.KEEP_ALIVE + sse.encode(b"a\r\nb\n", kind="x", id="1-2", retry=10)
    assert sse.Decoder(1000).feed(written) == [sse.Event(b'{"a":1}'), sse.Event(b"a\nb\n", "x", "1-2", 10)]


def test_an_event_has_a_bound() -> None:
    for stream in (b"data: " + b"x" * 5000, b"data: xxxxxxxxxx\n" * 200, b":" + b"x" * 5000):
        with pytest.raises(sse.EventTooLarge):
            sse.Decoder(1000).feed(stream)
    lenient = sse.Decoder(1000, strict=False)
    found: list[sse.Event] = []
    for _ in range(300):
        found += lenient.feed(b"data: " + b"x" * 700)
    found += lenient.feed(b"\ndata: y\n\ndata: z\n\n")
    assert (found, lenient.left_out) == ([sse.Event(b"z")], 1)


@pytest.mark.parametrize(
    "value", ["us-west1", "a b", "", " padded ", "line1\nline2", "Hello, 世界", "=?base64?literal?=", "tab\t", "\x7f"]
)
def test_values_of_headers_are_spelled_as_the_sdk_does(value: str) -> None:
    assert headers.encode(value) == encode_header_value(value)
    assert headers.decode(headers.encode(value)) == value
    assert decode_header_value(headers.encode(value)) == value


@pytest.mark.parametrize("broken", ["=?base64?a?=", "=?base64?//8=?=", "=?base64?YR==?=", "=?base64?é?="])
def test_broken_base64_says_nothing(broken: str) -> None:
    assert headers.decode(broken) is None


def _pairs(method: str, params: dict[str, object], **changed: str | None) -> list[tuple[str, str]]:
    made: dict[str, str | None] = {**headers.modern(method, params, eras.LATEST_MODERN, MARKS)}
    made |= {name.replace("_", "-"): value for name, value in changed.items()}
    return [(name, value) for name, value in made.items() if value is not None]


SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "x-mcp-header": "Count"},
        "where": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
    },
}
MARKS = headers.marks(SCHEMA)
CALL: dict[str, object] = {"name": "tést", "arguments": {"n": 4, "where": {"region": " eu "}}, "_meta": META}


def test_headers_of_a_call_agree_with_its_body() -> None:
    made = headers.modern("tools/call", CALL, eras.LATEST_MODERN, MARKS)
    assert (made["mcp-param-count"], made["mcp-param-region"]) == ("4", "=?base64?IGV1IA==?=")
    headers.check(made.items(), "tools/call", CALL, MARKS)
    headers.check(_pairs("tools/call", CALL, mcp_param_count="4.0"), "tools/call", CALL, MARKS)
    headers.check(_pairs("tools/call", CALL, mcp_param_other="is nobody's"), "tools/call", CALL, MARKS)


@pytest.mark.parametrize(
    "changed",
    [
        {"mcp_method": "tools/list"},
        {"mcp_method": None},
        {"mcp_name": "test"},
        {"mcp_name": None},
        {"mcp_protocol_version": "2025-11-25"},
        {"mcp_param_count": "5"},
        {"mcp_param_count": "4.1"},
        {"mcp_param_count": None},
        {"mcp_param_region": "=?base64?!?="},
    ],
)
def test_headers_that_differ_are_refused(changed: dict[str, str | None]) -> None:
    with pytest.raises(RpcError) as error:
        headers.check(_pairs("tools/call", CALL, **changed), "tools/call", CALL, MARKS)
    assert error.value.code == HEADER_MISMATCH


def test_a_header_twice_is_refused() -> None:
    for name in ("mcp-method", "mcp-name", "mcp-protocol-version", "mcp-param-count"):
        pairs = _pairs("tools/call", CALL)
        with pytest.raises(RpcError, match="more than once"):
            headers.check([*pairs, (name, dict(pairs)[name])], "tools/call", CALL, MARKS)


@pytest.mark.parametrize(
    ("meta", "code"),
    [
        (None, INVALID_PARAMS),
        ({eras.PROTOCOL_VERSION: eras.LATEST_MODERN}, INVALID_PARAMS),
        ({eras.CLIENT_CAPABILITIES: {}}, INVALID_PARAMS),
        ({**META, eras.CLIENT_CAPABILITIES: 5}, INVALID_PARAMS),
        ({**META, eras.PROTOCOL_VERSION: "2099-01-01"}, UNSUPPORTED_VERSION),
        ({**META, eras.PROTOCOL_VERSION: 5}, HEADER_MISMATCH),
    ],
)
def test_what_every_request_has_is_asked_for(meta: object, code: int) -> None:
    version = meta.get(eras.PROTOCOL_VERSION) if isinstance(meta, dict) else None
    pairs = _pairs("ping", {}, mcp_protocol_version=version if isinstance(version, str) else eras.LATEST_MODERN)
    with pytest.raises(RpcError) as error:
        headers.check(pairs, "ping", {"_meta": meta})
    assert error.value.code == code


@pytest.mark.parametrize(
    "schema",
    [
        {"x-mcp-header": "A"},
        {"properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "a b"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": ""}}},
        {"properties": {"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}}},
        {"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "A"}}}]},
        {"properties": {n: {"type": "string", "x-mcp-header": h} for n, h in (("a", "X"), ("b", "x"))}},
    ],
)
def test_marks_that_may_not_be(schema: dict[str, object]) -> None:
    with pytest.raises(headers.BadMarks):
        headers.marks(schema)
