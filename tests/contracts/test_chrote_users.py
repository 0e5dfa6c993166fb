"""CHROTE's user administration, as `api/chrote.md` and its page have it."""

import re

import pytest

MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def root(people):
    return people.root.client


def role_of(person):
    return person.client.get("/auth/me").json()["role"]


def test_the_list_has_the_newest_first_in_both_spellings(people, root):
    older, newer = people.make(), people.make("viewer")
    answer = root.get("/api/users").json()
    users = answer["users"]
    assert answer["total"] == len(users)
    assert [user["id"] for user in users][:2] == [newer.pid, older.pid]
    assert users[-1]["id"] == people.root.pid
    assert users[-1]["role"] == "owner"
    first = users[0]
    assert {key: first[key] for key in ("id", "name", "email", "role")} == {
        "id": newer.pid,
        "name": newer.name,
        "email": newer.email,
        "role": "viewer",
    }
    assert MILLISECONDS.fullmatch(first["createdAt"])
    assert MILLISECONDS.fullmatch(first["lastSeenAt"])
    for one in users:
        assert one["createdAt"] == one["created_at"]
        assert one["lastSeenAt"] == one["last_seen_at"]
        assert one["avatarUrl"] == one["avatar_url"] is None
    part = root.get("/api/users", params={"limit": 1, "offset": 1}).json()
    assert [user["id"] for user in part["users"]] == [older.pid]
    assert part["total"] == answer["total"]


@pytest.mark.parametrize(("before", "after"), [("viewer", "operator"), ("operator", "viewer"), ("viewer", "admin")])
@pytest.mark.parametrize("by", ["admin", "owner"])
def test_a_role_is_changed(people, cast, before, after, by):
    user = people.make(before)
    answer = cast[by].patch(f"/api/users/{user.pid}/role", json={"role": after})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "success": True,
        "user": {"id": user.pid, "name": user.name, "email": user.email, "role": after, "previous_role": before},
    }
    assert role_of(user) == after, "it counts at once, for the session that is open"


def test_an_owner_changes_an_administrator(people, root):
    user = people.make("admin")
    assert root.patch(f"/api/users/{user.pid}/role", json={"role": "operator"}).status_code == 200
    assert role_of(user) == "operator"


def test_the_same_role_is_no_change(people, cast):
    user, peer = people.make(), people.make("admin")
    for person, role in ((user, "operator"), (peer, "admin")):
        answer = cast["admin"].patch(f"/api/users/{person.pid}/role", json={"role": role})
        assert answer.status_code == 200
        assert answer.json()["message"] == "Role unchanged"
        assert answer.json()["user"]["role"] == answer.json()["user"]["previous_role"] == role


def refused(answer, text):
    assert answer.status_code == 403, answer.text
    body = answer.json()
    assert (body["error"], body["message"]) == ("FORBIDDEN", text)
    assert isinstance(body["details"], dict)


def test_the_rules_of_changing_a_role_in_their_order_and_words(people, root):
    admin, peer, other_owner = people.make("admin"), people.make("admin"), people.make("owner")

    def change(by, target, role="viewer"):
        return by.patch(f"/api/users/{target}/role", json={"role": role})

    assert change(admin.client, "user_nobody", "king").status_code == 400
    assert change(admin.client, admin.pid, "owner").status_code == 400
    missing = change(admin.client, "user_nobody")
    assert (missing.status_code, missing.json()["error"]) == (404, "NOT_FOUND")
    refused(change(admin.client, admin.pid), "Cannot change your own role")
    refused(change(admin.client, admin.pid, "admin"), "Cannot change your own role")
    refused(change(root, people.root.pid, "admin"), "Cannot change your own role")
    refused(change(admin.client, people.root.pid), "Cannot modify owner role")
    refused(change(root, other_owner.pid), "Cannot modify owner role")
    refused(change(admin.client, peer.pid), "Admins cannot modify other admins")
    assert (role_of(admin), role_of(peer), role_of(other_owner)) == ("admin", "admin", "owner")


def test_the_rules_of_removing_in_their_order_and_words(people, root):
    admin, peer, other_owner = people.make("admin"), people.make("admin"), people.make("owner")

    def remove(by, target):
        return by.delete(f"/api/users/{target}")

    missing = remove(admin.client, "user_nobody")
    assert (missing.status_code, missing.json()["error"]) == (404, "NOT_FOUND")
    refused(remove(admin.client, admin.pid), "Cannot delete yourself")
    refused(remove(root, people.root.pid), "Cannot delete yourself")
    refused(remove(admin.client, people.root.pid), "Cannot remove workspace owner")
    refused(remove(root, other_owner.pid), "Cannot remove workspace owner")
    refused(remove(admin.client, peer.pid), "Admins cannot remove other admins")
    assert (role_of(admin), role_of(peer), role_of(other_owner)) == ("admin", "admin", "owner")


@pytest.mark.parametrize(("by", "role"), [("admin", "viewer"), ("admin", "operator"), ("owner", "admin")])
def test_a_removed_user_is_gone(people, cast, by, role):
    user = people.make(role)
    answer = cast[by].delete(f"/api/users/{user.pid}")
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert user.client.get("/auth/me").status_code == 401
    assert cast[by].delete(f"/api/users/{user.pid}").status_code == 404
    login = people.anybody().post("/auth/login", json={"username": user.name, "password": "correct horse battery"})
    assert login.status_code == 401


def test_who_has_invited_can_be_removed(people, root):
    host = people.make("admin")
    made = host.client.post("/api/invites", json={"role": "viewer"})
    assert made.status_code == 201, made.text
    assert root.delete(f"/api/users/{host.pid}").status_code == 200
    assert root.get("/api/invites").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/users"), ("PATCH", "/api/users/{}/role"), ("DELETE", "/api/users/{}")]
)
def test_only_administrators_come_in(people, cast, method, path):
    victim = people.make("viewer")
    for target in (victim.pid, "user_nobody"):
        for role in ("nobody", "viewer", "operator", "helper"):
            answer = cast[role].request(method, path.format(target), json={"role": "operator"})
            if role == "nobody":
                assert answer.status_code == 401
                assert answer.json()["error"] == "UNAUTHORIZED"
                assert answer.json()["message"] == "Authentication required"
            elif role == "helper" and method == "GET":
                assert answer.status_code == 200
            else:
                body = answer.json()
                assert (answer.status_code, body["error"]) == (403, "FORBIDDEN")
                assert body["required"].startswith("core:user:")
                assert body["current"] == role
                assert body["action"] == body["required"].split(":")[2]
    assert role_of(victim) == "viewer"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'"admin"', 400),
        (b'{"role": null}', 400),
        (b'{"role": ""}', 400),
        (b'{"role": 2}', 400),
        (b'{"role": ["admin"]}', 400),
        (b'{"role": "owner"}', 400),
        (b'{"role": "helper"}', 400),
        (b'{"role": "user"}', 400),
        (b'{"role": "ADMIN"}', 400),
        (b'{"role": "admin\\u0000"}', 400),
        (b'{"role": "\\ud800"}', 400),
        (b'{"role": "%s"}' % (b"x" * 1000), 400),
        (b'{"role": "%s"}' % (b"x" * 20_000), 413),
    ],
)
def test_bad_roles_change_nothing(people, root, content, status):
    user = people.make()
    answer = root.patch(f"/api/users/{user.pid}/role", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] in ("VALIDATION_ERROR", "BAD_REQUEST", "PAYLOAD_TOO_LARGE")
    assert {"error", "message", "details"} <= set(answer.json())
    assert role_of(user) == "operator"


@pytest.mark.parametrize("pid", ["1", "0", "user_", "%00", "user_%00", "x" * 400, "%ED%A0%80"])
def test_ids_that_are_none_find_nobody(people, root, pid):
    for answer in (root.patch(f"/api/users/{pid}/role", json={"role": "viewer"}), root.delete(f"/api/users/{pid}")):
        assert answer.status_code in (400, 404), answer.text


def test_the_number_of_a_user_is_no_id_here(people, root):
    user = people.make()
    assert root.patch(f"/api/users/{user.id}/role", json={"role": "viewer"}).status_code == 404
    assert root.delete(f"/api/users/{user.id}").status_code == 404
    assert role_of(user) == "operator"


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "offset=-1"])
def test_a_bad_query_is_told(root, query):
    assert root.get(f"/api/users?{query}").status_code == 400
