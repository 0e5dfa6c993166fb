"""Secrets are masked by the name of their key and by how they look; the rest stays readable."""

from __future__ import annotations

import time

import pytest
from moorage.observe.redact import redact, redact_text

TOKEN = "mses_" + "aB3-_x" * 8
KEY = "mcp_0123abcd_" + "q" * 32
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLW9mLXRoaXM"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"session {TOKEN} ended", "session mses_*** ended"),
        (f"key {KEY}", "key mcp_0123abcd_***"),
        ("mcp_abc123_xyz789xyz", "mcp_abc123_***"),
        (f"jwt={JWT}", "jwt=***"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer mses_***"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic ***"),
        ("Authorization=opaque-value-here", "Authorization=***"),
        ("postgres://moorage:pa55@db/x", "postgres://moorage:***@db/x"),
        ("redis://:pa55@db/0", "redis://:***@db/0"),
        ("no way to postgres://u:a/b@c@db/x", "no way to postgres://u:***@db/x"),
        ("amqp://ann@corp:p#1?/@mq:5672/v", "amqp://ann@corp:***@mq:5672/v"),
        ("/connect?to=postgres%3A%2F%2Fu%3Ap%2Fw%40db%2Fx", "/connect?to=postgres%3A%2F%2Fu%3A***%40db%2Fx"),
        ("host=db password=a,b;c}d user=u", "host=db password=*** user=u"),
        (r"host=db password='it\'s, a b' user=u", "host=db password='***' user=u"),
        ('{"password": "a, \\" b", "user": "ann"}', '{"password": "***", "user": "ann"}'),
        (r'{"body": "{\"token\": \"abc\", \"n\": 1}"}', r'{"body": "{\"token\": \"***\", \"n\": 1}"}'),
        ("PGPASSWORD=a;b psql", "PGPASSWORD=*** psql"),
        ("GET /x?access_token=abc&page=2", "GET /x?access_token=***&page=2"),
        ('{"password": "hunter2", "user": "ann"}', '{"password": "***", "user": "ann"}'),
        ("api_key=abc123; path=/", "api_key=***; path=/"),
        ("the_first_one_of_my_tokens_is_TOKEN=abc", "the_first_one_of_my_tokens_is_TOKEN=***"),
        ("mset_" + "a" * 32, "mset_***"),
        (f"refreshed mref_{'aB3-_x' * 7}.", "refreshed mref_***."),
        (f"polled with mdev_{'aB3-_x' * 7}", "polled with mdev_***"),
    ],
)
def test_texts(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "user_aB3dE5gH7jK9 logged in from 192.0.2.1",
        "GET /api/sessions/{id} 200 http://127.0.0.1:8000/",
        "deadbeef" * 8,
        "the token of ann has expired",
        "keys: 3",
        "GET http://127.0.0.1:8000/users by ann@example.org",
        "mcp_0123abcd",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


def test_keys() -> None:
    data = {
        "password": "x",
        "new_password": ["x"],
        "Set-Cookie": "x",
        "authorization": "x",
        "api_key": "x",
        "apikey": "x",
        "client_secret": {"value": "x"},
        "accessToken": b"x",
        "pin_token": 1234,
    }
    assert set(redact(data).values()) == {"***"}
    harmless = {
        "token_id": 4,
        "key_prefix": "mcp_0123abcd",
        "cookie_name": "moorage_session",
        "secret": None,
        "has_password": True,
        "tokens_in": 12,
        "user": "ann",
        "count": 3,
        "ratio": 0.5,
    }
    assert redact(harmless) == harmless


def test_depth() -> None:
    data = {"a": [{"cookie": "x", "text": f"k {KEY}"}], "b": {"c": {"token": "x"}}, "raw": b"12345", "set": {TOKEN}}
    assert redact(data) == {
        "a": [{"cookie": "***", "text": "k mcp_0123abcd_***"}],
        "b": {"c": {"token": "***"}},
        "raw": "<5 bytes>",
        "set": ["mses_***"],
    }
    assert data["b"] == {"c": {"token": "x"}}, "a copy is made"
    deep: dict[str, object] = {}
    inner = deep
    for _ in range(50):
        inner["a"] = {}
        inner = inner["a"]  # type: ignore[assignment]
    inner["x"] = TOKEN
    assert TOKEN not in str(redact(deep))


@pytest.mark.parametrize(
    "piece",
    [
        "token",
        "a_",
        "a-",
        "a",
        "bearer ",
        "://",
        "://a:",
        "eyJ",
        "token=",
        "mcp_a",
        "://a:@",
        "%3a%2f%2f",
        "%40",
        "password='",
    ],
)
def test_a_hostile_text_takes_no_long_time(piece: str) -> None:
    text = piece * (200_000 // len(piece)) + " token"
    started = time.process_time()
    redact_text(text)
    assert time.process_time() - started < 1


def test_objects_are_masked_by_their_text() -> None:
    class Thing:
        def __str__(self) -> str:
            return f"<thing {KEY}>"

    assert redact({"thing": Thing()}) == {"thing": "<thing mcp_0123abcd_***>"}
