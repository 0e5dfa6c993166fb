"""One's own account over HTTP: profile, sessions and password."""

import pytest
from harness import running

PASSWORD = "correct horse battery"
FRESH = "another battery staple"
CONFIG = {
    "limits": {"general": "100000/minute", "authentication": "100000/minute"},
    "accounts": {"argon2_memory_kib": 256, "argon2_time": 1},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("own"), CONFIG) as server:
        server.add_users({"root": "owner", "ada": "admin", "ann": "operator", "bob": "operator"})
        yield server


def csrf(client):
    return {"X-CSRF-Token": client.get("/api/auth/csrf").json()["csrf_token"]}


def test_me_answers_octo_and_orbital_at_once(server):
    with server.client("ann") as ann:
        me = ann.get("/api/me").json()
        assert (me["username"], me["role"], me["is_active"]) == ("ann", "user", True)
        assert me["user"]["id"] == me["id"]
        assert me["session"]["id"].startswith("sess_")
        assert me["session"]["expiresAt"].endswith("Z")
    key = {"Authorization": f"Bearer {server.key('ann')}"}
    with server.client() as anybody:
        assert anybody.get("/api/me", headers=key).json()["session"]["id"].startswith("key_")
        refused = anybody.get("/api/me")
        assert refused.status_code == 401
        assert refused.json()["error"] == "UNAUTHORIZED"


def test_the_profile_is_changed_field_by_field(server):
    with server.client("bob") as bob:
        answer = bob.put("/api/me", json={"display_name": " Bob B ", "settings": '{"a":1}'})
        assert answer.status_code == 200
        assert (answer.json()["display_name"], answer.json()["settings"]) == ("Bob B", '{"a":1}')
        assert bob.put("/api/me", json={"avatar_url": "https://example.org/b.png"}).json()["display_name"] == "Bob B"
        gone = bob.put("/api/me", json={"avatar_url": None, "settings": None}).json()
        assert (gone["avatar_url"], gone["settings"], gone["display_name"]) == (None, None, "Bob B")
        assert bob.put("/api/me", json={"display_name": None}).json()["display_name"] == "Bob B"


@pytest.mark.parametrize(
    "wrong",
    [
        {"display_name": ""},
        {"display_name": "a\x00b"},
        {"display_name": "x" * 129},
        {"display_name": "x" * 100_000},
        {"display_name": ["Bob"]},
        {"display_name": "turned\u202eround"},
        {"avatar_url": "javascript:alert(1)"},
        {"avatar_url": "https://"},
        {"avatar_url": "https://example.org/\n"},
        {"avatar_url": "https://[oops"},
        {"avatar_url": "x" * 3000},
        {"settings": "x" * 70_000},
        {"settings": {"a": 1}},
        {"settings": "\x00"},
    ],
)
def test_a_wrong_profile_changes_nothing(server, wrong):
    with server.client("bob") as bob:
        before = bob.get("/api/me").json()
        refused = bob.put("/api/me", json=wrong)
        assert refused.status_code == 422, refused.text
        assert next(iter(wrong)).split("_")[-1] in refused.json()["error"]
        after = bob.get("/api/me").json()
        assert {**before, "session": None} == {**after, "session": None}


def test_sessions_are_listed_and_ended_one_by_one(server):
    with server.client("ann") as here, server.client("ann") as there:
        sessions = here.get("/api/core/sessions").json()["sessions"]
        current = [one for one in sessions if one["current"]]
        assert [one["id"] for one in current] == [here.get("/api/me").json()["session"]["id"]]
        assert current[0]["address"] == "127.0.0.1"
        assert current[0]["user_agent"].startswith("python-httpx")
        other = there.get("/api/me").json()["session"]["id"]
        assert other in [one["id"] for one in sessions]
        assert here.delete(f"/api/core/sessions/{other}").status_code == 204
        assert there.get("/api/me").status_code == 401
        assert other not in [one["id"] for one in here.get("/api/core/sessions").json()["sessions"]]
        again = here.delete(f"/api/core/sessions/{other}")
        assert (again.status_code, again.headers["content-type"]) == (404, "application/problem+json")


def test_nobody_ends_anothers_session_but_an_administrator(server):
    with server.client("ann") as ann, server.client("bob") as bob, server.client("ada") as ada:
        of_ann = ann.get("/api/me").json()["session"]["id"]
        assert bob.delete(f"/api/core/sessions/{of_ann}").status_code == 404
        for nothing in ("sess_nobody", "1", "x" * 500, "%00", "%ED%A0%80"):
            assert bob.delete(f"/api/core/sessions/{nothing}").status_code in (400, 404)
        assert ann.get("/api/me").status_code == 200
        assert ada.delete(f"/api/core/sessions/{of_ann}").status_code == 204
        assert ann.get("/api/me").status_code == 401


def test_all_sessions_end_at_once_but_the_one_in_use(server):
    with server.client("ann") as here, server.client("ann") as there:
        key = {"Authorization": f"Bearer {server.key('ann')}"}
        assert here.post("/api/core/sessions/revoke-all", json={"keep_current": "yes"}).status_code == 422
        assert here.post("/api/core/sessions/revoke-all").json()["ended"] >= 1
        assert [c.get("/api/me").status_code for c in (here, there)] == [200, 401]
        assert here.post("/api/core/sessions/revoke-all", json={"keep_current": False}).json() == {"ended": 1}
        assert here.get("/api/me").status_code == 401
        with server.client() as program:
            assert program.get("/api/me", headers=key).status_code == 200, "keys are not sessions"


def test_a_new_password_ends_every_session_and_begins_a_fresh_one(server):
    server.add_user("cas")
    with server.client("cas") as here, server.client("cas") as there:
        old = dict(here.cookies)
        answer = here.post("/api/core/password", json={"current_password": PASSWORD, "new_password": FRESH})
        assert answer.status_code == 200, answer.text
        assert answer.json()["csrf_token"]
        assert here.get("/api/me").status_code == 200
        assert there.get("/api/me").status_code == 401
        with server.client() as thief:
            thief.cookies.update(old)
            assert thief.get("/api/me").status_code == 401
            assert thief.post("/auth/login", json={"username": "cas", "password": PASSWORD}).status_code == 401
            assert thief.post("/auth/login", json={"username": "cas", "password": FRESH}).status_code == 200


def test_a_password_is_not_changed_without_the_present_one(server):
    server.add_user("dan")
    with server.client("dan") as dan:
        for body, status, code in (
            ({"current_password": "wrong horse", "new_password": FRESH}, 403, "WRONG_PASSWORD"),
            ({"new_password": FRESH}, 403, "WRONG_PASSWORD"),
            ({"current_password": "x" * 2000, "new_password": FRESH}, 403, "WRONG_PASSWORD"),
            ({"current_password": PASSWORD, "new_password": "short"}, 422, "VALIDATION_ERROR"),
            ({"current_password": PASSWORD, "new_password": None}, 422, "VALIDATION_ERROR"),
            ({"current_password": PASSWORD, "new_password": "x" * 2000}, 422, "VALIDATION_ERROR"),
            ({"current_password": PASSWORD}, 422, "VALIDATION_ERROR"),
            ({}, 422, "VALIDATION_ERROR"),
        ):
            refused = dan.post("/api/core/password", json=body)
            assert (refused.status_code, refused.json()["code"]) == (status, code), body
        assert dan.get("/api/me").status_code == 200, "a refused change ends nothing"
        evil = dan.post("/api/core/password", json={}, headers={"Origin": "https://evil.example"})
        assert evil.status_code == 403


def test_guessing_the_present_password_is_slowed_down_like_a_login(server):
    server.add_user("eve")
    with server.client("eve") as eve:
        guesses = [
            eve.post("/api/core/password", json={"current_password": f"guess {n}", "new_password": FRESH}).status_code
            for n in range(6)
        ]
        assert guesses == [403] * 5 + [429]


def test_an_api_key_changes_no_password(server):
    server.add_user("fay")
    with server.client() as program:
        refused = program.post(
            "/api/core/password",
            json={"current_password": PASSWORD, "new_password": FRESH},
            headers={"Authorization": f"Bearer {server.key('fay')}"},
        )
        assert (refused.status_code, refused.json()["code"]) == (403, "SESSION_REQUIRED")


def test_a_key_without_the_scope_neither_lists_nor_ends_sessions(server):
    bearer = {"Authorization": f"Bearer {server.key('bob', 'core:key:read')}"}
    with server.client() as program:
        assert program.get("/api/core/sessions", headers=bearer).status_code == 403
        assert program.post("/api/core/sessions/revoke-all", headers=bearer).status_code == 403
        assert program.put("/api/me", json={"display_name": "x"}, headers=bearer).status_code == 403
        assert program.get("/api/me", headers=bearer).status_code == 200


def test_a_devices_token_changes_neither_password_nor_identities(server):
    server.add_user("gus")
    with server.client("gus") as gus, server.client() as device:
        asked = device.post("/api/auth/device/code", data={"client_id": "cli"}).json()
        gus.post("/api/auth/device/approve", json={"userCode": asked["user_code"]}).raise_for_status()
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "cli"}
        told = device.post("/api/auth/device/token", data={**grant, "device_code": asked["device_code"]}).json()
        bearer = {"Authorization": f"Bearer {told['access_token']}"}
        assert device.get("/api/me", headers=bearer).status_code == 200
        change = {"current_password": PASSWORD, "new_password": FRESH}
        for refused in (
            device.post("/api/core/password", json=change, headers=bearer),
            device.get("/api/core/identities", headers=bearer),
            device.delete("/api/core/identities/ident_x", headers=bearer),
        ):
            assert (refused.status_code, refused.json()["code"]) == (403, "SESSION_REQUIRED")
        assert gus.get("/api/core/identities").status_code == 200
