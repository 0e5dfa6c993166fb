"""Octo's user administration, as `api/octo.md` and its program's clients have it."""

import re
import sqlite3

import pytest

PASSWORD = "correct horse battery"
FIELDS = {
    "id",
    "username",
    "email",
    "display_name",
    "avatar_url",
    "role",
    "is_active",
    "created_at",
    "last_login_at",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def root(people):
    return people.root.client


# -- what is answered -----------------------------------------------------------------------------------------


def test_a_list_is_a_bare_array_of_users_oldest_first(people, root):
    first, second = people.make(), people.make("admin")
    answer = root.get("/api/admin/users")
    listed = answer.json()
    assert isinstance(listed, list)
    assert all(set(user) == FIELDS for user in listed)
    assert listed[0]["username"] == "root"
    order = [user["id"] for user in listed]
    assert order.index(first.pid) < order.index(second.pid)
    assert int(answer.headers["x-total-count"]) == len(listed)
    shown = next(user for user in listed if user["id"] == second.pid)
    assert shown == {
        "id": second.pid,
        "username": second.name,
        "email": second.email,
        "display_name": second.name,
        "avatar_url": None,
        "role": "admin",
        "is_active": True,
        "created_at": shown["created_at"],
        "last_login_at": shown["last_login_at"],
    }
    assert TIME.fullmatch(shown["created_at"])
    assert TIME.fullmatch(shown["last_login_at"])


def test_a_list_is_cut_and_searched(people, root):
    findable = people.make(name="Zoë-Findable")
    people.make("viewer", "zoo.other")
    asked = {"search": "ZOË-find"}
    assert [user["id"] for user in root.get("/api/admin/users", params=asked).json()] == [findable.pid]
    assert root.get("/api/admin/users", params={"search": "findable@example.org"}).json()[0]["id"] == findable.pid
    assert root.get("/api/admin/users", params={"search": "%"}).json() == []
    every = [user["id"] for user in root.get("/api/admin/users").json()]
    page = root.get("/api/admin/users", params={"limit": 2, "offset": 1})
    assert [user["id"] for user in page.json()] == every[1:3]
    assert page.headers["x-total-count"] == str(len(every))
    assert root.get("/api/admin/users", params={"offset": 10_000}).json() == []


def test_a_list_by_role_and_state(people, root):
    plain, boss, viewer = people.make(), people.make("admin"), people.make("viewer")
    root.post(f"/api/admin/users/{viewer.pid}/deactivate")

    def ids(**asked):
        return {user["id"] for user in root.get("/api/admin/users", params=asked).json()}

    assert {boss.pid, people.root.pid} <= ids(role="admin")
    assert {plain.pid, viewer.pid} <= ids(role="user")
    assert not ids(role="admin") & ids(role="user")
    assert ids(role="service") == set()
    assert viewer.pid in ids(is_active="false")
    assert viewer.pid not in ids(is_active="true")
    assert ids(role="user", is_active="false", search=plain.name) == set()


def test_counts_by_role(people, root):
    before = root.get("/api/admin/users/stats").json()
    assert set(before) == {"total", "admins", "users", "services"}
    people.make("admin")
    people.make("viewer")
    after = root.get("/api/admin/users/stats").json()
    assert after == {
        "total": before["total"] + 2,
        "admins": before["admins"] + 1,
        "users": before["users"] + 1,
        "services": 0,
    }


def test_a_user_is_made_shown_changed_and_deleted(people, root):
    body = {
        "username": "Maddy",
        "email": "maddy@example.org",
        "password": PASSWORD,
        "display_name": "Maddy M.",
        "role": "admin",
        "external_id": None,
    }
    made = root.post("/api/admin/users", json=body)
    assert made.status_code == 201
    user = made.json()
    assert set(user) == FIELDS | {"settings"}
    assert (user["username"], user["display_name"], user["role"]) == ("Maddy", "Maddy M.", "admin")
    assert (user["is_active"], user["last_login_at"]) == (True, None)
    path = f"/api/admin/users/{user['id']}"
    assert root.get(path).json() == user
    assert people.login("maddy").get("/api/auth/check").json()["user"]["id"] == user["id"]

    change = {"username": "maggy", "settings": '{"theme":"dark"}', "avatar_url": "https://example.org/m.png"}
    changed = root.put(path, json=change)
    assert changed.status_code == 200
    assert {key: changed.json()[key] for key in change} == change
    assert changed.json()["email"] == "maddy@example.org"
    emptied = root.put(path, json={"email": None, "avatar_url": None, "settings": None, "role": None}).json()
    assert (emptied["email"], emptied["avatar_url"], emptied["settings"]) == (None, None, None)
    assert emptied["role"] == "admin"
    assert root.put(path, json={}).json() == emptied

    gone = root.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for again in (root.get(path), root.delete(path), root.put(path, json={})):
        assert again.status_code == 404
        assert again.json()["error"] == "Resource not found: User not found"
        assert again.json()["code"] == "NOT_FOUND"


def test_a_user_without_a_password_is_let_in_once_one_is_set(people, root):
    made = root.post("/api/admin/users", json={"username": "nopass", "email": "nopass@example.org"}).json()
    assert made["role"] == "user"
    assert made["display_name"] == "nopass"
    for guess in ("", "None", "null"):
        assert people.anybody().post("/auth/login", json={"username": "nopass", "password": guess}).status_code == 401
    root.put(f"/api/admin/users/{made['id']}", json={"password": PASSWORD})
    assert people.login("nopass").get("/auth/me").status_code == 200


def test_promote_and_demote(people, root):
    user = people.make("viewer")
    path = f"/api/admin/users/{user.pid}"
    assert root.post(f"{path}/promote").json()["role"] == "admin"
    assert user.client.get("/auth/me").json()["role"] == "admin"
    again = root.post(f"{path}/promote")
    assert (again.status_code, again.json()["role"]) == (200, "admin")
    assert root.post(f"{path}/demote").json()["role"] == "user"
    assert user.client.get("/auth/me").json()["role"] == "operator"
    viewer = people.make("viewer")
    assert root.post(f"/api/admin/users/{viewer.pid}/demote").status_code == 200
    assert viewer.client.get("/auth/me").json()["role"] == "viewer", "who is a plain user already stays what they are"


def test_an_owner_who_is_to_be_an_administrator_stays_owner(people, root):
    other = people.make("owner")
    assert root.post(f"/api/admin/users/{other.pid}/promote").json()["role"] == "admin"
    assert root.put(f"/api/admin/users/{other.pid}", json={"role": "admin"}).status_code == 200
    assert other.client.get("/auth/me").json()["role"] == "owner"
    assert root.post(f"/api/admin/users/{other.pid}/demote").json()["role"] == "user"
    assert other.client.get("/auth/me").json()["role"] == "operator"


def test_deactivating_ends_sessions_and_activating_lets_in_again(people, root):
    user = people.make()
    path = f"/api/admin/users/{user.pid}"
    off = root.post(f"{path}/deactivate")
    assert (off.status_code, off.json()["is_active"]) == (200, False)
    assert user.client.get("/auth/me").status_code == 401
    assert root.post(f"{path}/deactivate").status_code == 200
    assert root.post(f"{path}/activate").json()["is_active"] is True
    assert user.client.get("/auth/me").status_code == 401, "the old session stays ended"
    assert people.login(user.name).get("/auth/me").status_code == 200


def test_a_new_password_ends_the_sessions(people, root):
    user = people.make()
    assert root.put(f"/api/admin/users/{user.pid}", json={"password": "another good battery"}).status_code == 200
    assert user.client.get("/auth/me").status_code == 401
    assert people.login(user.name, "another good battery").get("/auth/me").status_code == 200


def test_a_change_is_all_or_nothing(people, root):
    user, taken = people.make(), people.make()
    before = root.get(f"/api/admin/users/{user.pid}").json()
    body = {"display_name": "Other", "is_active": False, "username": taken.name.upper()}
    assert root.put(f"/api/admin/users/{user.pid}", json=body).status_code == 409
    assert root.get(f"/api/admin/users/{user.pid}").json() == before
    assert user.client.get("/auth/me").status_code == 200


# -- who may ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/admin/users", None),
        ("GET", "/api/admin/users/stats", None),
        ("GET", "/api/admin/users/{}", None),
        ("POST", "/api/admin/users", {"username": "x1"}),
        ("PUT", "/api/admin/users/{}", {"display_name": "x"}),
        ("DELETE", "/api/admin/users/{}", None),
        ("POST", "/api/admin/users/{}/promote", None),
        ("POST", "/api/admin/users/{}/demote", None),
        ("POST", "/api/admin/users/{}/activate", None),
        ("POST", "/api/admin/users/{}/deactivate", None),
    ],
)
def test_only_administrators_come_in(cast, people, root, method, path, body):
    victim = people.make("viewer")
    for role, pid in (("nobody", victim.pid), ("viewer", victim.pid), ("operator", victim.pid), ("operator", "user_x")):
        answer = cast[role].request(method, path.format(pid), json=body)
        assert answer.status_code == (401 if role == "nobody" else 403), (role, answer.text)
        assert {"error", "code"} <= set(answer.json())
    helper = cast["helper"].request(method, path.format(victim.pid), json=body)
    assert helper.status_code == (200 if method == "GET" else 403), "reading was granted to this role, changing not"
    assert root.get(f"/api/admin/users/{victim.pid}").json()["display_name"] == victim.name


def test_rank_counts(cast, people, root):
    peer, owner, plain = people.make("admin"), people.root, people.make()
    admin = cast["admin"]
    for target in (peer, owner):
        path = f"/api/admin/users/{target.pid}"
        for answer in (
            admin.put(path, json={"display_name": "x"}),
            admin.put(path, json={"password": "another good battery"}),
            admin.post(f"{path}/demote"),
            admin.post(f"{path}/deactivate"),
            admin.delete(path),
        ):
            assert answer.status_code == 403, answer.text
            assert answer.json()["code"] == "FORBIDDEN"
        assert target.client.get("/auth/me").status_code == 200
    assert admin.post(f"/api/admin/users/{plain.pid}/promote").status_code == 200
    assert admin.post(f"/api/admin/users/{plain.pid}/demote").status_code == 403, "now they are peers"
    assert root.post(f"/api/admin/users/{plain.pid}/demote").status_code == 200


def test_nobody_changes_their_own_place(people):
    for person in (people.make("admin"), people.make("owner")):
        path = f"/api/admin/users/{person.pid}"
        for answer in (
            person.client.post(f"{path}/demote"),
            person.client.post(f"{path}/deactivate"),
            person.client.put(path, json={"password": "another good battery"}),
            person.client.delete(path),
        ):
            assert answer.status_code == 403, answer.text
            assert "your own account" in answer.json()["error"]
        assert person.client.put(path, json={"display_name": "Me", "role": "admin"}).json()["display_name"] == "Me"


def audit(server):
    with sqlite3.connect(server.data_dir / "moorage.db") as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT actor, action, target FROM core_audit_events")]


def test_reading_is_written_down(people):
    reader = people.make("admin")
    reader.client.get("/api/admin/users")
    said = [row["action"] for row in audit(people.server) if row["actor"] == reader.pid]
    assert "user.read" in said


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("username", [5, True, [], {}, "", " ", "a b", "a@b", "x" * 65, "x" * 400, "a\x00b", "-a", "\u202eann"]),
        ("email", [5, "", "nonsense", "a@b", "a b@example.org", "x" * 250 + "@example.org", "a\x00@example.org"]),
        ("password", [5, "", "short", "password123", "x" * 3000, []]),
        ("display_name", [5, "", " ", "x" * 129, "x" * 600, "a\x00b", "a\nb", "\u202etxt"]),
        ("role", ["", "king", "owner", "operator", "service", "ADMIN", 1, []]),
    ],
)
def test_bad_fields_make_no_user_and_change_none(people, root, field, values):
    user = people.make()
    before = root.get(f"/api/admin/users/{user.pid}").json()
    for value in values:
        fresh = {"username": "freshname", "password": PASSWORD, field: value}
        for answer in (
            root.post("/api/admin/users", json=fresh),
            root.put(f"/api/admin/users/{user.pid}", json={field: value}),
        ):
            assert answer.status_code == 422, (value, answer.text)
            assert answer.json()["code"] == "VALIDATION_ERROR"
            assert field in answer.text
    assert root.get(f"/api/admin/users/{user.pid}").json() == before
    assert root.get("/api/admin/users", params={"search": "freshname"}).json() == []


@pytest.mark.parametrize(
    "body",
    [
        {"is_active": "yes"},
        {"is_active": 1},
        {"avatar_url": "javascript:alert(1)"},
        {"avatar_url": "https://example.org/" + "x" * 2048},
        {"avatar_url": 5},
        {"avatar_url": "https://[oops"},
        {"avatar_url": "https://[x]/"},
        {"avatar_url": "https://a\u2100b/"},
        {"avatar_url": "https://a b/"},
        {"settings": {"theme": "dark"}},
        {"settings": "x" * 65_537},
        {"settings": "\x00"},
    ],
)
def test_bad_changes_change_nothing(people, root, body):
    answer = root.put(f"/api/admin/users/{people.root.pid}", json=body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{}", 422),
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'{"username": null}', 422),
        (b'{"username": "\\ud800"}', 400),
        (b'{"username": "freshname", "external_id": "elsewhere-7"}', 422),
        (b'{"username": "freshname", "password": "%s"}' % (b"x" * 200_000), 413),
    ],
)
def test_bad_bodies_make_no_user(root, content, status):
    answer = root.post("/api/admin/users", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert root.get("/api/admin/users", params={"search": "freshname"}).json() == []


@pytest.mark.parametrize("twin", ["TWIN", "\uff54\uff57\uff49\uff4e", "Twin", "\u24e3win"])
def test_a_name_that_looks_like_anothers_is_taken(people, root, twin):
    if not root.get("/api/admin/users", params={"search": "twin"}).json():
        people.make(name="twin")
    other = people.make()
    for answer in (
        root.post("/api/admin/users", json={"username": twin}),
        root.post("/api/admin/users", json={"username": "unlike", "email": f"{twin}@EXAMPLE.org"}),
        root.put(f"/api/admin/users/{other.pid}", json={"username": twin}),
        root.put(f"/api/admin/users/{other.pid}", json={"email": f"{twin}@example.ORG"}),
    ):
        assert answer.status_code == 409, answer.text
        assert answer.json()["code"] in ("USERNAME_EXISTS", "EMAIL_EXISTS")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "offset=-1", "offset=99999999999", "role=king", "is_active=perhaps"],
)
def test_a_bad_query_is_told(root, query):
    assert root.get(f"/api/admin/users?{query}").status_code == 422


@pytest.mark.parametrize("query", ["search=%00", "search=%ED%A0%80", "search=" + "x" * 255])
def test_an_odd_search_finds_nobody(root, query):
    answer = root.get(f"/api/admin/users?{query}")
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("pid", ["1", "user_", "user_%00", "USER_x", "x" * 500, "%ED%A0%80", "..", "stats%2F"])
def test_ids_that_are_none_find_nobody(root, pid):
    for answer in (
        root.get(f"/api/admin/users/{pid}"),
        root.put(f"/api/admin/users/{pid}", json={"display_name": "x"}),
        root.delete(f"/api/admin/users/{pid}"),
        root.post(f"/api/admin/users/{pid}/promote"),
    ):
        assert answer.status_code in (400, 404, 405), answer.text
    assert root.get("/api/admin/users").json()[0]["username"] == "root"


def test_a_wrong_name_of_ones_own_is_told_in_the_words_of_the_request(people):
    answer = people.make().client.put("/api/me", json={"display_name": "a\nb"})
    assert (answer.status_code, answer.json()["details"]["problems"][0]["field"]) == (422, "display_name")
