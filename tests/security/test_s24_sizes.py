"""S24: what is too large, too deep or too long is refused by 413, 431, 414 or 400 on every account route, never by 5xx.

WebSocket frames, bodies that come in chunks and the sizes of plugins' routes: tests/server/test_gate.py.
Lengths of single fields: tests/contracts, tests/accounts, and schemathesis in tests/contracts/test_fuzz.py.
"""

import json
import re
from unittest.mock import MagicMock

import pytest
from moorage.routes import HttpRoute
from moorage.server.origin import SAFE
from moorage.surfaces import account_routes
from people import populated
from wire import exchange

ROUTES = [route for route in account_routes(MagicMock()) if isinstance(route, HttpRoute)]
# POST, PUT and PATCH read a body; what they may not read, they say.
READING = sorted(
    (method, re.sub(r"\{\w+\}", "999999", route.path), route.max_body, route.forms, route.body is not None)
    for route in ROUTES
    for method in route.methods
    if method in ("POST", "PUT", "PATCH")
)
MOST = 128 * 1024
"""No account route takes more."""
HUGE = {
    "deep arrays": b"[" * 5000 + b"]" * 5000,
    "deep objects": b'{"a":' * 2000 + b"1" + b"}" * 2000,
    "an open end": b"[" * 10_000,
    "a number of many digits": b'{"username": ' + b"9" * 10_000 + b"}",
    "a number beyond all": b'{"username": 1e999999, "max_uses": 1e999999, "expires_in_days": 1e400}',
    "many keys": json.dumps({f"k{n}": n for n in range(1200)}).encode(),
    "the same key often": b"{" + b'"name":"x",' * 1200 + b'"name":"x"}',
    "a long text": json.dumps(dict.fromkeys(("username", "email", "password", "name", "token"), "x" * 3000)).encode(),
    "a text of escapes": b'{"username": "' + b"\\ud83d\\ude00" * 1200 + b'"}',
    "a long list": json.dumps({"scopes": ["core:*"] * 1500}).encode(),
}


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s24")) as people:
        yield people


@pytest.fixture
def owner(people):
    """Who may do anything, so that nothing is refused for other reasons; somebody else for each test."""
    return people.make("owner").client


def test_every_route_with_a_body_says_how_large_it_may_be():
    assert len(READING) > 35
    assert [(method, path) for method, path, most, *_ in READING if most is None or most > MOST] == []


def test_bodies_that_are_too_large_are_413_whoever_sends_them(people, owner):
    for method, path, most, *_ in READING:
        for client in (owner, people.root.client):
            answer = client.request(method, path, content=b"x" * (most + 1))
            assert answer.status_code == 413, (method, path, answer.text)
            assert answer.json()
    stranger = people.anybody()
    for method, path, most, *_ in READING:
        assert stranger.request(method, path, content=b"x" * (most + 1)).status_code in (401, 413), path


def test_bodies_in_chunks_are_counted_too(people):
    person = people.make("owner")
    for method, path, most, _, read in READING:
        # A route without a body of its own does not wait for one that comes. It may have done by then what it is for,
        # which is to sign out at some: those end a login of their own.
        client = person.client if read else people.login(person.name)
        answer = client.request(method, path, content=(b"x" * 1024 for _ in range(most // 1024 + 1)))
        assert answer.status_code == 413 if read else answer.status_code < 500, (method, path, answer.text)


def test_a_large_body_that_is_only_announced_is_not_waited_for(people):
    """Of a login, by raw bytes: the answer comes without a byte of the body."""
    head = f"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: {10**15}\r\n\r\n".encode()
    # What comes is read on for two seconds, so that a client in the middle of it gets to see the answer.
    got = exchange(people.server, head, end=False)
    assert b" 413 " in got.split(b"\r\n")[0], got[:200]


@pytest.mark.parametrize("content", HUGE.values(), ids=HUGE.keys())
def test_what_is_small_and_means_much_is_refused(owner, content):
    for method, path, most, forms, _ in READING:
        assert len(content) <= most
        if path in ("/api/core/sessions/revoke-all", "/auth/logout", "/api/auth/logout", "/api/auth/sign-out"):
            continue  # These read nothing that could be refused.
        answer = owner.request(method, path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code < 500, (method, path, answer.text)
        assert len(answer.content) < 20_000, "nor is it sent back"
        if forms:
            answer = owner.request(method, path, data={f"k{n}": "v" for n in range(1200)})
            assert answer.status_code < 500, (method, path, answer.text)


def test_depth_is_looked_at_before_anything_is_read(owner):
    answer = owner.post("/api/v1/api-keys", content=HUGE["deep arrays"], headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "deep" in answer.text.lower()


def test_targets_that_are_too_long_are_414(owner):
    for method, path in [
        ("GET", "/api/v1/users?x="),
        ("GET", "/api/me/"),
        ("POST", "/api/auth/login?x="),
        ("GET", "/"),
    ]:
        answer = owner.request(method, path + "a" * 9000)
        assert answer.status_code == 414, path


def test_heads_that_are_too_large_are_431(owner):
    many = {f"X-H{n}": "x" * 500 for n in range(100)}
    big = [{"X-Big": "a" * 40_000}, {"Cookie": "a=" + "b" * 40_000}, {"Authorization": "Bearer " + "a" * 40_000}, many]
    for headers in big:
        for method, path in [("GET", "/auth/me"), ("POST", "/api/auth/login")]:
            assert owner.request(method, path, headers=headers).status_code == 431, list(headers)[:1]


def test_long_credentials_that_fit_are_refused_as_wrong_ones(people):
    stranger = people.anybody()
    for token in ("a" * 20_000, "mses_" + "A" * 20_000, "mcp_" + "0" * 20_000, "eyJ" + "a" * 20_000 + ".e30."):
        assert stranger.get("/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
        assert stranger.get("/auth/me", headers={"Cookie": f"moorage_session={token}"}).status_code == 401
        assert (
            stranger.get("/auth/me", headers={"Cookie": "a=b;" * 5000 + f"moorage_session={token[:900]}"}).status_code
            == 401
        )


def test_unsafe_routes_are_all_known_here():
    """A method that reads a body in some new way must not slip by."""
    assert {method for route in ROUTES for method in route.methods} - SAFE <= {"POST", "PUT", "PATCH", "DELETE"}
