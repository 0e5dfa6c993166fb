"""S27: who asks is the peer, or whom a configured proxy names; nobody chooses their address in limits or audit.

How X-Forwarded-For is read, in all its spellings: tests/server/test_head.py.
"""

import itertools

import pytest
from people import PASSWORD, populated
from wire import rows, via

TRUSTED, PEER = "127.0.0.2", "127.0.0.3"
SPOOFED = "198.51.100.66"
HEADERS = [
    "X-Forwarded-For",
    "X-Real-IP",
    "Forwarded",
    "X-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Original-Forwarded-For",
    "X-Cluster-Client-IP",
]
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    config = {
        "server": {"trusted_proxies": [TRUSTED]},
        "limits": {"general": "100000/minute", "authentication": "10/minute"},
        "accounts": {"argon2_memory_kib": 64, "argon2_time": 1, "lockout_threshold": 1_000_000},
    }
    with populated(tmp_path_factory.mktemp("s27"), config) as people:
        yield people


def fail(client, **headers):
    """A login that fails: the answer, and the address that is written down."""
    return client.post("/api/auth/login", json={"username": "root", "password": "wrong password"}, headers=headers)


def addresses(people, answer):
    query = "SELECT address FROM core_audit_events WHERE request_id = ?"
    return {row[0] for row in rows(people.server, query, answer.headers["x-request-id"])}


@pytest.mark.parametrize("header", HEADERS)
def test_what_a_client_says_of_itself_is_not_written_down(people, header):
    peer = f"127.0.1.{next(numbers)}"
    with via(people.server, peer) as client:
        for text in (SPOOFED, f"{SPOOFED}, 10.0.0.1", f"for={SPOOFED};proto=https", TRUSTED, "127.0.0.1"):
            assert addresses(people, fail(client, **{header: text})) == {peer}


def test_a_client_gets_no_fresh_count_by_another_address(people):
    with via(people.server, PEER) as client:
        codes = [fail(client, **dict.fromkeys(HEADERS, f"198.51.100.{n}")).status_code for n in range(12)]
    assert codes == [401] * 10 + [429] * 2


def test_nobody_uses_up_the_count_of_another(people):
    with via(people.server, "127.0.0.4") as client:
        for _ in range(12):
            fail(client, **{"X-Forwarded-For": "127.0.0.5"})
    with via(people.server, "127.0.0.5") as other:
        assert fail(other).status_code == 401


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.5", "203.0.113.5"),
        (f"{SPOOFED}, 203.0.113.6", "203.0.113.6"),
        (f"{SPOOFED}, 203.0.113.7, {TRUSTED}", "203.0.113.7"),
        (f"{SPOOFED}, nonsense", TRUSTED),
        ("2001:db8::7", "2001:db8::7"),
    ],
)
def test_a_configured_proxy_is_believed_and_the_rightmost_stranger_counts(people, forwarded, address):
    with via(people.server, TRUSTED) as proxy:
        assert addresses(people, fail(proxy, **{"X-Forwarded-For": forwarded})) == {address}


def test_behind_a_proxy_each_client_has_a_count_of_its_own_and_cannot_choose_it(people):
    with via(people.server, TRUSTED) as proxy:
        codes = [fail(proxy, **{"X-Forwarded-For": f"198.51.100.{n}, 203.0.113.9"}).status_code for n in range(12)]
        assert codes == [401] * 10 + [429] * 2
        assert fail(proxy, **{"X-Forwarded-For": "203.0.113.10"}).status_code == 401


def test_no_header_makes_somebody_local(people):
    """Who asks from this machine may introspect without a secret; a proxy's clients are not from this machine."""
    with via(people.server, TRUSTED) as proxy:
        for headers in ({"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-For": "203.0.113.11", "Host": "localhost"}):
            answer = proxy.post("/api/v1/auth/introspect", json={"token": "x"}, headers=headers)
            assert answer.status_code == 403, headers
    with via(people.server, "127.0.0.6") as client:
        assert (
            client.post("/api/v1/auth/introspect", json={"token": "x"}, headers={"Host": "evil.example"}).status_code
            == 403
        )
        assert client.post("/api/v1/auth/introspect", json={"token": "x"}).status_code == 200


def test_sessions_show_the_address_that_was_found(people):
    with via(people.server, "127.0.0.7") as client:
        body = {"username": "root", "password": PASSWORD}
        client.post("/api/auth/login", json=body, headers={"X-Forwarded-For": SPOOFED}).raise_for_status()
        shown = client.get("/api/core/sessions").json()["sessions"]
    assert [one["address"] for one in shown if one["current"]] == ["127.0.0.7"]
