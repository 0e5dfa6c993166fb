"""S6: nobody is told who exists: not by answers and not by times, at logins, registrations, invites and devices."""

import statistics
import time

import pytest
from people import CONFIG, PASSWORD, populated
from wire import rows

TRIES, ROUNDS, BOUND = 25, 4, 1.2
LOGINS = {
    "/api/auth/login": "username",
    "/auth/login": "username",
    "/api/auth/sign-in/email": "email",
    "/api/auth/sign-in/username": "username",
}
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    # Enough work in one hash that a missing one would be seen, and no delays.
    accounts = {"argon2_memory_kib": 8192, "argon2_time": 2, "lockout_threshold": 1_000_000}
    with populated(tmp_path_factory.mktemp("s06"), {**CONFIG, "accounts": accounts}) as people:
        people.stranger = people.anybody()
        yield people


@pytest.fixture(scope="module")
def kinds(people):
    """A name of each kind: of a user, of one who has no password, of one who is disabled, of nobody."""
    known, without, disabled = people.make(), people.make(), people.make()
    rows(people.server, "UPDATE core_users SET password_hash = NULL WHERE id = ?", without.id)
    people.root.client.post(f"/api/admin/users/{disabled.pid}/deactivate").raise_for_status()
    return [known.name, without.name, disabled.name, "nobody-at-all"]


def told(answer):
    """All that could tell one answer from another."""
    said = {key: value for key, value in answer.json().items() if key not in ("request_id", "instance")}
    return answer.status_code, said, sorted(answer.headers)


def login(people, name, path="/api/auth/login"):
    people.stranger.cookies.clear()
    return people.stranger.post(path, json={LOGINS[path]: name, "password": "a wrong password"})


@pytest.mark.parametrize("path", LOGINS)
def test_logins_answer_alike(people, kinds, path):
    answers = [told(login(people, name, path)) for name in (*kinds, f"{kinds[0]}@example.org", "x@example.org")]
    assert answers[0][0] == 401
    assert all(answer == answers[0] for answer in answers)


def test_logins_take_equal_time(people, kinds):
    assert_equal_times([lambda name=name: login(people, name) for name in kinds])


def assert_equal_times(calls):
    """Medians of many tries differ by less than a fifth. Measured anew when the machine was busy with other things."""
    for attempt in range(ROUNDS):
        times = [[] for _ in calls]
        # In turns, so that what else the machine does falls on all alike.
        for _ in range(TRIES):
            for call, took in zip(calls, times, strict=True):
                started = time.perf_counter()
                call()
                took.append(time.perf_counter() - started)
        medians = [statistics.median(took) for took in times]
        if max(medians) < BOUND * min(medians):
            return
        print(attempt, medians)
    raise AssertionError(f"medians differ: {medians}")


def test_without_an_invite_a_registration_tells_nothing(people, kinds):
    def register(name, path="/api/auth/register"):
        body = {"invite_code": "AAAABBBBCCCCDDDD", "username": name, "email": f"{name}@example.org"}
        return people.stranger.post(path, json={**body, "password": PASSWORD})

    for path in ("/api/auth/register", "/auth/register"):
        forget_guesses(people)
        answers = [told(register(name, path)) for name in (kinds[0], "nobody-at-all", "no name !", "")]
        assert 400 <= answers[0][0] < 500
        assert answers[0] == answers[1] == answers[2]

    def timed(name):
        forget_guesses(people)
        return lambda: (forget_guesses(people), register(name))

    assert_equal_times([timed(kinds[0]), timed("nobody-at-all")])


def forget_guesses(people):
    rows(people.server, "DELETE FROM core_auth_attempts")


def test_codes_of_invites_that_never_were_are_all_alike(people):
    """And an answer to one that is known tells no more than its state: not who made it, nor for whom."""
    codes = ["AAAABBBBCCCCDDDD", "A" * 43, "inv_000000000000", "x", "%20", "é" * 20]
    root = people.root.client
    made = root.post("/api/invites", json={"role": "viewer"}).json()
    forget_guesses(people)
    # Its id, which administrators see, is no code.
    answers = [told(people.stranger.get(f"/api/invites/{code}/validate")) for code in (*codes[:4], made["id"])]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][1] == {"valid": False, "reason": "not_found"}
    forget_guesses(people)
    root.delete(f"/api/invites/{made['id']}").raise_for_status()
    known = people.stranger.get(f"/api/invites/{made['token']}/validate").json()
    assert known == {"valid": False, "reason": "revoked"}


def test_device_codes_that_hold_nothing_are_all_alike(people):
    post = people.stranger.post
    code = post("/api/auth/device/code", json={"client_id": "cli"}).json()["device_code"]

    def poll(device_code, client_id):
        body = {"grant_type": DEVICE_GRANT, "client_id": client_id, "device_code": device_code}
        return told(post("/api/auth/device/token", json=body))

    # With a client id that is not its own a right code is told as recorded ("Client ID mismatch"): 256 bits that
    # somebody holds are nothing that was guessed.
    unknown = poll("A" * len(code), "cli")
    assert (unknown[0], unknown[1]["error"]) == (400, "invalid_grant")
    assert poll("x", "cli") == unknown
    assert poll("A" * len(code), "another-client") == unknown


def test_user_codes_are_alike_to_strangers_whether_or_not_a_user_looked(people):
    holder, other = people.make(), people.make()
    code = people.stranger.post("/api/auth/device/code", json={"client_id": "cli"}).json()["user_code"]
    forget_guesses(people)
    before = told(people.stranger.get("/api/auth/device", params={"user_code": code}))
    holder.client.get("/api/auth/device", params={"user_code": code}).raise_for_status()
    assert told(people.stranger.get("/api/auth/device", params={"user_code": code})) == before
    assert set(before[1]) == {"user_code", "status"}
    for client in (people.stranger, other.client):
        assert holder.name not in client.get("/api/auth/device", params={"user_code": code}).text
    forget_guesses(people)
    unknown = [told(client.get("/api/auth/device?user_code=BBBB-BBBB")) for client in (people.stranger, other.client)]
    assert unknown[0][:2] == unknown[1][:2]


@pytest.mark.parametrize("path", ["/api/auth/revoke", "/api/v1/auth/introspect"])
def test_tokens_that_hold_and_others_are_answered_alike_to_who_may_not_know(people, path):
    """Revoking says nothing at all; introspection says the same of all that is not active."""
    if path.endswith("revoke"):
        answers = [people.stranger.post(path, json={"token": token}) for token in ("x", "mses_" + "A" * 43, "é")]
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, b"")}
        return
    key = people.server.key(people.make().name)
    root = people.root.client
    (found,) = [one for one in root.get("/api/v1/api-keys").json()["data"]["api_keys"] if key.startswith(one["prefix"])]
    root.delete(f"/api/v1/api-keys/{found['id']}").raise_for_status()
    tokens = ["x", key, key[:-1] + "A", "mses_" + "A" * 43, "eyJhbGciOiJub25lIn0.e30."]
    answers = [told(people.stranger.post(path, json={"token": token})) for token in tokens]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0][1] == {"active": False}
