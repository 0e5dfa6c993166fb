"""S15: secrets are compared in equal time and found by their digests: none of them stands in the database as it is.

Times over HTTP are coarse; what can be seen is that a guess that begins right takes no longer than one that does not.
"""

import secrets
import statistics
import time

import pytest
from people import CONFIG, PASSWORD, populated

SECRET = secrets.token_urlsafe(200)
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TRIES, ROUNDS, BOUND = 60, 4, 1.2


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    accounts = {**CONFIG["accounts"], "introspect_secret": SECRET, "lockout_threshold": 1_000_000}
    with populated(tmp_path_factory.mktemp("s15"), {**CONFIG, "accounts": accounts}) as people:
        yield people


def assert_equal_times(calls):
    for _ in range(ROUNDS):
        times = [[] for _ in calls]
        for _ in range(TRIES):
            for call, took in zip(calls, times, strict=True):
                started = time.perf_counter()
                assert call().status_code in (401, 403)
                took.append(time.perf_counter() - started)
        medians = [statistics.median(took) for took in times]
        if max(medians) < BOUND * min(medians):
            return
    raise AssertionError(f"medians differ: {medians}")


def guesses(right):
    """Wrong from the first character, wrong in the last, too short."""
    last = "A" if right[-1] != "A" else "B"
    return ["~" * len(right), right[:-1] + last, right[:4]]


def test_the_introspect_secret(people):
    def call(guess):
        headers = {"X-Introspect-Secret": guess}
        return lambda: people.root.client.post("/api/v1/auth/introspect", json={"token": "x"}, headers=headers)

    assert call(SECRET)().json() == {"active": False}
    assert_equal_times([call(guess) for guess in guesses(SECRET)])


def test_the_csrf_token(people):
    token = people.root.client.get("/api/auth/csrf").json()["csrf_token"]

    def call(guess):
        return lambda: people.root.client.post("/api/v1/api-keys", json={}, headers={"X-CSRF-Token": guess})

    assert call(token)().status_code == 422
    assert_equal_times([call(guess) for guess in guesses(token)])


def test_no_token_stands_in_the_database(people):
    ann, browser = people.make(), people.anybody()
    login = browser.post("/api/auth/login", json={"username": ann.name, "password": PASSWORD})
    given = {"password": PASSWORD, "jwt": login.json()["token"], "csrf": login.json()["csrf_token"], "secret": SECRET}
    given["session"] = browser.cookies["moorage_session"]
    given["key"] = ann.client.post("/api/v1/api-keys", json={"name": "k"}).json()["data"]["api_key"]
    code = ann.client.post("/api/auth/device/code", json={"client_id": "cli"}).json()
    ann.client.post("/api/auth/device/approve", json={"userCode": code["user_code"]}).raise_for_status()
    asked = {"grant_type": DEVICE_GRANT, "client_id": "cli", "device_code": code["device_code"]}
    tokens = ann.client.post("/api/auth/device/token", json=asked).json()
    given |= {"device": code["device_code"], "access": tokens["access_token"], "refresh": tokens["refresh_token"]}
    root = people.root.client
    given["invite"] = root.post("/api/admin/invite-codes", json={}).json()["code"]
    given["link"] = root.post("/api/invites", json={"role": "viewer"}).json()["token"]
    stored = b"".join(path.read_bytes() for path in people.server.data_dir.glob("moorage.db*"))
    assert ann.name.encode() in stored, "or this looked at the wrong files"
    for kind, text in given.items():
        assert len(text) >= 8
        assert text.encode() not in stored, kind
    key_file = (people.server.data_dir / "secret.key").read_bytes().strip()
    assert key_file not in stored, "what sealed ones are opened with lies elsewhere"


def test_no_token_is_shorter_than_what_cannot_be_guessed(people):
    """At least 128 bits: 22 characters of base64."""
    ann = people.make()
    key = ann.client.post("/api/v1/api-keys", json={"name": "k"}).json()["data"]["api_key"]
    device = ann.client.post("/api/auth/device/code", json={"client_id": "cli"}).json()["device_code"]
    link = people.root.client.post("/api/invites", json={"role": "viewer"}).json()["token"]
    session = ann.client.cookies["moorage_session"]
    for secret in (key.split("_", 2)[2], device.partition("_")[2], link, session.partition("_")[2]):
        assert len(secret) >= 22, secret
