"""S5: wrong passwords bring a growing delay, per name and per address, whoever exists; it hides the right password."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from people import CONFIG, PASSWORD, populated
from wire import rows

BASE, MOST, TRIES = 40, 300, 20
LOGINS = ["/api/auth/login", "/auth/login", "/api/auth/sign-in/username"]
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    lockout = {"lockout_threshold": 5, "lockout_base_seconds": BASE, "lockout_max_seconds": MOST}
    config = {
        **CONFIG,
        "accounts": {**CONFIG["accounts"], **lockout},
        "server": {"trusted_proxies": ["127.0.0.1"]},
    }
    with populated(tmp_path_factory.mktemp("s05"), config) as people:
        people.stranger = people.anybody()
        yield people


def attempt(people, name, password="wrong password", *, address=None, path="/api/auth/login"):
    address = address or f"198.18.{next(numbers) // 250}.{next(numbers) % 250}"
    body = {"username": name, "password": password}
    people.stranger.cookies.clear()
    return people.stranger.post(path, json=body, headers={"X-Forwarded-For": address})


def told(answer):
    """All that could tell one answer from another."""
    # How long it still takes is counted down meanwhile.
    if "retry-after" in answer.headers:
        assert BASE - 20 < int(answer.headers["retry-after"]) <= BASE
    return answer.status_code, {**answer.json(), "request_id": ""}, sorted(answer.headers)


def pass_time(people):
    """As if all delays were over, though not forgotten."""
    rows(people.server, "UPDATE core_auth_attempts SET locked_until = ?", datetime.now(UTC) - timedelta(seconds=1))


@pytest.mark.parametrize("path", LOGINS)
def test_known_and_unknown_names_are_locked_alike(people, path):
    known, unknown = people.make().name, f"stranger{next(numbers)}"
    answers = {name: [attempt(people, name, path=path) for _ in range(TRIES)] for name in (known, unknown)}
    assert [answer.status_code for answer in answers[known]] == [401] * 5 + [429] * (TRIES - 5)
    assert [told(answer) for answer in answers[known]] == [told(answer) for answer in answers[unknown]]


def test_a_locked_name_does_not_tell_the_right_password(people):
    name = people.make().name
    for _ in range(5):
        attempt(people, name)
    wrong, right = attempt(people, name), attempt(people, name, PASSWORD)
    assert right.status_code == 429
    assert told(right) == told(wrong)
    assert "set-cookie" not in right.headers
    for path in LOGINS:
        assert attempt(people, name, PASSWORD, path=path).status_code == 429, "there is one count behind all of them"
    assert attempt(people, f"{name}@example.org", PASSWORD).status_code in (200, 429)


def test_the_delay_grows_up_to_its_bound_and_ends_with_the_right_password(people):
    name = people.make().name
    for _ in range(5):
        attempt(people, name)
    for delay in (BASE, 2 * BASE, 4 * BASE, MOST, MOST):
        wait = int(attempt(people, name).headers["retry-after"])
        assert delay - 5 < wait <= delay
        pass_time(people)
        assert attempt(people, name).status_code == 401, "it is looked at again, and counted"
    pass_time(people)
    assert attempt(people, name, PASSWORD).status_code == 200
    assert [attempt(people, name).status_code for _ in range(5)] == [401] * 5, "the count begins anew"


def test_an_address_is_locked_whatever_the_names(people):
    address, ann = "203.0.113.77", people.make().name
    codes = [attempt(people, f"guess{next(numbers)}", address=address).status_code for _ in range(TRIES)]
    assert codes == [401] * 15 + [429] * 5
    assert attempt(people, ann, PASSWORD, address=address).status_code == 429
    assert attempt(people, ann, PASSWORD).status_code == 200, "others are let in"


def test_a_client_of_ipv6_has_no_new_addresses_to_spend(people):
    codes = [attempt(people, f"guess{next(numbers)}", address=f"2001:db8:1:2::{n:x}").status_code for n in range(16)]
    assert codes == [401] * 15 + [429]


def test_the_current_password_is_no_way_around(people):
    ann = people.make()
    body = {"current_password": "wrong password", "new_password": "another battery staple"}
    headers = {"X-Forwarded-For": "203.0.113.99"}
    codes = [ann.client.post("/api/core/password", json=body, headers=headers).status_code for _ in range(6)]
    assert codes == [403] * 5 + [429]
    right = {**body, "current_password": PASSWORD}
    assert ann.client.post("/api/core/password", json=right, headers=headers).status_code == 429
