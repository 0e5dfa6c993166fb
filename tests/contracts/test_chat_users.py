"""Chat's users and its first administrator, as `api/chat.md` and its page have them."""

import re

import httpx
import pytest
from harness import running
from people import CONFIG
from waits import WAIT

PASSWORD = "correct horse battery"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
FIELDS = {"id", "username", "display_name", "role", "status", "created_at", "last_login"}


@pytest.fixture
def root(people):
    return people.root.client


def path(person):
    return f"/admin/users/{person.id}"


def test_the_list(people, root):
    user = people.make()
    answer = root.get("/admin/users").json()
    users = answer["users"]
    assert answer["total"] == len(users)
    assert all(set(one) == FIELDS for one in users)
    first, last = users[0], users[-1]
    assert (first["id"], first["username"], first["role"], first["status"]) == (
        people.root.id,
        "root",
        "admin",
        "active",
    )
    assert (last["id"], last["display_name"], last["role"]) == (user.id, user.name, "user")
    assert TIME.fullmatch(last["created_at"])
    assert TIME.fullmatch(last["last_login"])
    made = root.post("/api/admin/users", json={"username": "neverhere"}).json()
    assert root.get("/admin/users").json()["users"][-1]["last_login"] is None
    root.delete(f"/api/admin/users/{made['id']}")
    assert [one["id"] for one in root.get("/admin/users?limit=1&offset=0").json()["users"]] == [people.root.id]


def test_a_user_is_changed(people, root):
    user = people.make("viewer")
    answer = root.patch(path(user), json={"role": "admin", "display_name": "New Name"})
    assert answer.status_code == 200
    assert set(answer.json()) == FIELDS
    assert (answer.json()["role"], answer.json()["display_name"]) == ("admin", "New Name")
    assert user.client.get("/auth/me").json()["role"] == "admin"
    assert root.patch(path(user), json={"role": "user"}).json()["role"] == "user"
    assert user.client.get("/auth/me").json()["role"] == "operator"
    unchanged = root.patch(path(user), json={"role": None, "status": None, "display_name": None})
    assert unchanged.json()["display_name"] == "New Name"
    assert root.patch(path(user), json={}).json() == unchanged.json()


@pytest.mark.parametrize("off", ["inactive", "disabled"])
def test_a_disabled_user_is_let_in_no_more(people, root, off):
    user = people.make()
    assert root.patch(path(user), json={"status": off}).json()["status"] == "inactive"
    assert user.client.get("/auth/me").status_code == 401
    assert root.patch(path(user), json={"status": "active"}).json()["status"] == "active"
    assert people.login(user.name).get("/auth/me").status_code == 200


@pytest.mark.parametrize(("method", "where"), [("GET", "/admin/users"), ("PATCH", "/admin/users/{}")])
def test_only_administrators_come_in(people, cast, method, where):
    victim = people.make("viewer")
    for number in (victim.id, 999_999):
        for role in ("nobody", "viewer", "operator", "helper"):
            answer = cast[role].request(method, where.format(number), json={"role": "admin"})
            if role == "helper" and method == "GET":
                assert answer.status_code == 200
                continue
            assert answer.status_code == (401 if role == "nobody" else 403)
            assert {"code", "message", "request_id"} <= set(answer.json())
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert victim.client.get("/auth/me").json()["role"] == "viewer"


def test_who_is_not_signed_in_is_told_by_chats_code(people):
    """Its page goes to the login by this code, and an expired session comes before a wrong CSRF token."""
    expired = {"Cookie": f"moorage_session=mses_{'A' * 43}", "X-CSRF-Token": "wrong"}
    for headers in ({}, expired):
        answer = people.anybody().patch("/admin/users/1", json={}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "AUTH_REQUIRED")


def test_rank_counts_and_nobody_changes_their_own_place(people, cast):
    admin = people.make("admin")
    for target in (people.make("admin"), people.root, admin):
        for body in ({"role": "user"}, {"status": "disabled"}):
            answer = admin.client.patch(path(target), json=body)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN"), answer.text
    assert admin.client.patch(path(admin), json={"display_name": "Me", "role": "admin"}).status_code == 200


@pytest.mark.parametrize("user_id", ["0", "999999", "9" * 400, "x", "-1", "1.0", "%EF%BC%91", "user_abc", "%00"])
def test_ids_are_digits(people, root, user_id):
    answer = root.patch(f"/admin/users/{user_id}", json={"role": "user"})
    assert answer.status_code in (400, 404), answer.text


def test_the_string_id_of_a_user_is_no_id_here(people, root):
    user = people.make("admin")
    assert root.patch(f"/admin/users/{user.pid}", json={"role": "user"}).status_code == 404
    assert user.client.get("/auth/me").json()["role"] == "admin"


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"role": "king"}',
        b'{"role": "owner"}',
        b'{"role": 1}',
        b'{"status": "gone"}',
        b'{"status": true}',
        b'{"display_name": ""}',
        b'{"display_name": 5}',
        b'{"display_name": "a\\u0000b"}',
        b'{"display_name": "a\\nb"}',
        b'{"display_name": "\\ud800"}',
        b'{"display_name": "%s"}' % (b"x" * 129),
        b'{"display_name": "%s"}' % (b"x" * 600),
        b'{"role": "admin", "display_name": "\\u202e"}',
    ],
)
def test_bad_changes_change_nothing(people, root, content):
    user = people.make()
    answer = root.patch(path(user), content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("VALIDATION_ERROR", "BAD_REQUEST")
    assert user.client.get("/auth/me").json()["user"]["display_name"] == user.name
    assert user.client.get("/auth/me").json()["role"] == "operator"
    if b"display_name" in content and answer.json()["code"] == "VALIDATION_ERROR":
        assert "display_name" in answer.text


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "offset=-1"])
def test_a_bad_query_is_told(root, query):
    answer = root.get(f"/admin/users?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")


# -- the first administrator ------------------------------------------------------------------------------------


def test_bootstrap_once(tmp_path):
    with running(tmp_path, CONFIG) as server, httpx.Client(base_url=server.url, timeout=WAIT) as client:
        token = (server.data_dir / "run" / "setup-token").read_text().strip()
        body = {"username": "first", "password": PASSWORD}

        def post(sent=body, **more):
            return client.post("/admin/bootstrap", json=sent, **more)

        in_address = post(params={"token": "mset_in-an-address"})
        assert in_address.status_code == 400
        assert "X-Bootstrap-Token" in in_address.json()["message"]
        good = {"X-Bootstrap-Token": token}
        for headers in ({}, {"X-Bootstrap-Token": ""}, {"X-Bootstrap-Token": token + "x"}):
            wrong = post(headers=headers)
            assert (wrong.status_code, wrong.json()["code"]) == (403, "INVALID_BOOTSTRAP_TOKEN")
        for bad in ({}, {"username": "first"}, {"username": None, "password": PASSWORD}, {**body, "password": "short"}):
            assert post(bad, headers=good).status_code == 400
        assert client.get("/auth/me").status_code == 401

        done = post(headers=good)
        assert done.status_code == 200, done.text
        assert set(done.json()) == {"user", "csrf_token"}
        assert set(done.json()["user"]) == FIELDS
        assert (done.json()["user"]["username"], done.json()["user"]["role"]) == ("first", "admin")
        assert done.headers["x-csrf-token"] == done.json()["csrf_token"]
        assert client.get("/auth/me").json()["role"] == "owner"

        for headers in (good, {}, {"X-Bootstrap-Token": "wrong"}):
            again = post({**body, "username": "second"}, headers=headers)
            assert (again.status_code, again.json()["code"]) == (403, "BOOTSTRAP_DISABLED")
        assert client.get("/admin/users").json()["total"] == 1
