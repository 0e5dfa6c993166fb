"""What nobody should send: paths, queries, bodies and messages for the conformance suite."""

from __future__ import annotations

SEGMENTS = ("0", "-1", "999999999999999999999999", "%F0%9F%A6%80", "%27%20OR%201%3D1", "x" * 300, "%FF", "%D9%A3")
"""Instead of a path parameter; the last is a digit, and none of ours."""

QUERY = "?limit=abc&offset=-1&page=0&before=99999999999999999999&id=%00&q=%F0%9F%A6%80&since=nan&name=%ED%A0%80"

BODIES: tuple[tuple[str, bytes], ...] = (
    ("malformed JSON", b'{"a":'),
    ("nothing", b""),
    ("a list", b"[]"),
    ("a text", b'"x"'),
    ("null", b"null"),
    ("deep nesting", b'{"a":' * 5000 + b"1" + b"}" * 5000),
    ("no UTF-8", b'{"a":"\xff\xfe"}'),
    ("half a surrogate pair", b'{"a":"\\ud800"}'),
    ("a huge number", b'{"id":1e999,"limit":' + b"9" * 400 + b"}"),
    ("NaN", b'{"a":NaN}'),
)
"""(what it is, the bytes)."""

MESSAGES: tuple[str | bytes, ...] = (
    "",
    "{",
    "null",
    "[]",
    '"x"',
    "\x00",
    "{}",
    '{"type": 1}',
    '{"type": "\\ud800"}',
    "[" * 20_000,
    "9" * 5000,
    b"",
    b"\xff\x00\xfe",
)
"""To a WebSocket."""
