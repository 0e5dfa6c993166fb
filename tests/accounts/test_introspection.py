"""POST /api/v1/auth/introspect: what a token is worth, told to servers that were shown one (RFC 7662)."""

import json
import sqlite3
import time

import httpx
import pytest
from harness import running
from waits import WAIT

PASSWORD = "correct horse battery"
SECRET = "introspect-for-tests-only"
PATH = "/api/v1/auth/introspect"
CONFIG = {
    "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
}
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("open"), CONFIG) as server:
        server.add_users({"root": "owner", "ann": "operator"})
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with an introspect secret."""
    config = {**CONFIG, "accounts": {**CONFIG["accounts"], "introspect_secret": SECRET}}
    with running(tmp_path_factory.mktemp("guarded"), config) as server:
        server.add_user("ann")
        yield server


def ask(server, token, *, headers=None, **more):
    return httpx.post(f"{server.url}{PATH}", json={"token": token, **more}, headers=headers)


def log_in(server, name="ann"):
    """The tokens of a fresh login: of the session, and its JWT."""
    answer = httpx.post(f"{server.url}/api/auth/login", json={"username": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.cookies["moorage_session"], answer.json()["token"]


def user_id(server, name):
    ((found,),) = rows(server, "SELECT id FROM core_users WHERE username = ?", name)
    return str(found)


def rows(server, statement, *values):
    connection = sqlite3.connect(server.data_dir / "moorage.db", timeout=WAIT)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


# -- what holds -----------------------------------------------------------------------------------------------


def test_a_key(server):
    answer = ask(server, server.key("root"))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert abs(body.pop("iat") - time.time()) < 60
    # As the document's example has it; a key of no end tells none.
    assert body == {
        "active": True,
        "sub": user_id(server, "root"),
        "username": "root",
        "role": "admin",
        "token_type": "api_key",
    }


def test_a_narrow_key_tells_its_scopes(server):
    body = ask(server, server.key("ann", "core:session:read", "core:key:read")).json()
    assert (body["role"], body["scope"]) == ("user", "core:key:read core:session:read")


def test_a_key_that_ends_tells_when(server):
    secret = server.cli("keys", "create", "short", "--user", "ann", "--expires", "1").stdout.strip()
    assert abs(ask(server, secret).json()["exp"] - time.time() - 86400) < 60


def test_a_session_and_its_jwt(server):
    session, jwt = log_in(server)
    for token, kind, lasts in ((session, "session", 30 * 86400), (jwt, "jwt", 86400)):
        body = ask(server, token).json()
        assert (body["active"], body["token_type"], body["username"]) == (True, kind, "ann")
        assert (body["sub"], body["role"]) == (user_id(server, "ann"), "user")
        assert abs(body["exp"] - time.time() - lasts) < 60
        assert abs(body["iat"] - time.time()) < 60
        assert {"scope", "client_id"}.isdisjoint(body)


def test_the_token_of_a_device(server):
    with server.client("ann") as ann, httpx.Client(base_url=server.url) as device:
        code = device.post("/api/auth/device/code", json={"client_id": "orbital-cli", "scope": "openid"}).json()
        ann.get("/api/auth/device", params={"user_code": code["user_code"]})
        approved = ann.post("/api/auth/device/approve", json={"userCode": code["user_code"]})
        assert approved.status_code == 200, approved.text
        asked = {"grant_type": DEVICE_GRANT, "device_code": code["device_code"], "client_id": "orbital-cli"}
        answer = device.post("/api/auth/device/token", json=asked)
        assert answer.status_code == 200, answer.text
    body = ask(server, answer.json()["access_token"]).json()
    assert (body["token_type"], body["client_id"], body["scope"]) == ("bearer", "orbital-cli", "openid")
    assert ask(server, answer.json()["refresh_token"]).json() == {"active": False}, "it is no access token"


def test_forms_are_taken_as_the_rfc_has_it(server):
    key = server.key("ann")
    answer = httpx.post(f"{server.url}{PATH}", data={"token": key, "token_type_hint": "access_token"})
    assert answer.json()["active"] is True
    twice = httpx.post(
        f"{server.url}{PATH}",
        content=f"token={key}&token={key}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert twice.status_code == 400


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "jwt", "", None, "x" * 64])
def test_no_hint_misleads(server, hint):
    assert ask(server, server.key("ann"), token_type_hint=hint).json()["active"] is True


# -- what does not --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "mcp_00000000_" + "x" * 32,
        "mcp_",
        "mses_" + "A" * 43,
        "eyJhbGciOiJub25lIn0.e30.",
        "eyJ" + "A" * 5000,
        "x" * 10_000,
        "a\x00b",
        "mses_\x00",
        "ümläut",
        " ",
    ],
)
def test_what_is_no_token_is_not_active_and_nothing_more(server, token):
    answer = ask(server, token)
    assert (answer.status_code, answer.json()) == (200, {"active": False})


def test_what_ended_is_not_active(server):
    session, jwt = log_in(server)
    httpx.post(f"{server.url}/api/auth/logout", headers={"Authorization": f"Bearer {session}"})
    key = server.key("ann")
    server.cli("keys", "revoke", key)
    for token in (session, jwt, key):
        assert ask(server, token).json() == {"active": False}


def test_nothing_of_a_disabled_user_is_active(server):
    server.add_user("gone")
    tokens = [*log_in(server, "gone"), server.key("gone")]
    assert all(ask(server, token).json()["active"] for token in tokens)
    server.cli("users", "disable", "gone")
    assert [ask(server, token).json() for token in tokens] == [{"active": False}] * 3, "at once, not from memory"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"{",
        b'{"token": null}',
        b'{"token": 7}',
        b'{"token": ["x"]}',
        b'{"token": "\\ud800"}',
        b'{"token": "x", "token_type_hint": 7}',
        b"\xff\xfe",
    ],
)
def test_a_request_that_asks_nothing_is_told_so(server, body):
    answer = httpx.post(f"{server.url}{PATH}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_a_body_that_is_too_long(server):
    assert ask(server, "x" * 20_000).status_code == 413


def test_looking_is_no_use(server):
    server.add_user("idle")
    key = server.key("idle")
    with server.client("root") as root:
        listed = root.get("/api/v1/api-keys", params={"user_id": user_id(server, "idle")}).json()["data"]["api_keys"]
        assert ask(server, key).json()["active"]
        again = root.get("/api/v1/api-keys", params={"user_id": user_id(server, "idle")}).json()["data"]["api_keys"]
    assert listed == again
    assert again[0]["last_used_at"] is None


# -- who may ask ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.1"},
        {"Forwarded": "for=192.0.2.1"},
        {"Via": "1.1 proxy"},
        {"X-Real-Ip": "127.0.0.1"},
        {"Host": "moorage.example"},
    ],
)
def test_without_a_secret_only_this_machine_may_ask(server, headers):
    answer = ask(server, server.key("ann"), headers=headers)
    assert answer.status_code == 403
    assert answer.json()["detail"]


def test_a_page_may_not_ask(server):
    assert ask(server, server.key("ann"), headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("shown", [None, "", "wrong", SECRET + "x", SECRET[:-1], SECRET.upper(), "ü"])
def test_a_wrong_secret(guarded, shown):
    headers = {} if shown is None else {"X-Introspect-Secret": shown.encode()}
    answer = ask(guarded, guarded.key("ann"), headers=headers)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid or missing introspect secret"})


def test_the_right_secret_lets_anybody_ask(guarded):
    for more in ({}, {"Host": "moorage.example"}, {"X-Forwarded-For": "192.0.2.1"}):
        headers = {"X-Introspect-Secret": SECRET, **more}
        assert ask(guarded, guarded.key("ann"), headers=headers).json()["active"] is True
        assert ask(guarded, "nope", headers=headers).json() == {"active": False}


def test_wrong_secrets_are_written_down_and_never_what_they_were(guarded):
    statement = "SELECT actor, address, data FROM core_audit_events WHERE action = 'introspect.failed'"
    before = len(rows(guarded, statement))
    ask(guarded, guarded.key("ann"), headers={"X-Introspect-Secret": "guessed-this"})
    found = rows(guarded, statement)
    assert len(found) == before + 1
    assert "127.0.0.1" in json.dumps(found[-1])
    assert "guessed-this" not in json.dumps(found) + guarded.stderr
