"""Octoprox's users, as `api/octoprox.md` and its program's clients have them."""

import re

import pytest

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FIELDS = {
    "id",
    "username",
    "role",
    "is_active",
    "status",
    "created_at",
    "updated_at",
    "nexusgate_user_id",
    "nexusgate_role",
    "last_synced_at",
}
LAST = "Cannot deactivate or demote the last active admin"


@pytest.fixture
def root(people):
    return people.root.client


def path(person):
    return f"/api/v1/users/{person.id}"


def test_the_list_has_the_envelope_of_the_contract(people, root):
    answer = root.get("/api/v1/users").json()
    assert set(answer) == {"data", "meta"}
    users = answer["data"]["users"]
    assert answer["meta"] == {"page": 1, "per_page": 20, "total": len(users), "total_pages": 1}
    first = users[0]
    assert set(first) == FIELDS
    assert TIME.fullmatch(first["created_at"])
    assert TIME.fullmatch(first["updated_at"])
    assert first == {
        "id": people.root.id,
        "username": "root",
        "role": "admin",
        "is_active": True,
        "status": "active",
        "created_at": first["created_at"],
        "updated_at": first["updated_at"],
        "nexusgate_user_id": None,
        "nexusgate_role": None,
        "last_synced_at": None,
    }


def test_pages_and_filters(people, root):
    off, boss, viewer = people.make(), people.make("admin"), people.make("viewer")
    root.put(path(off), json={"is_active": False})

    def ids(**query):
        return {user["id"] for user in root.get("/api/v1/users", params=query).json()["data"]["users"]}

    assert off.id in ids(status="inactive")
    assert off.id not in ids(status="active")
    assert {boss.id, people.root.id} <= ids(role="admin")
    assert {viewer.id, off.id} <= ids(role="user")
    assert ids(role="admin", status="inactive") == set()
    total = root.get("/api/v1/users").json()["meta"]["total"]
    pages = [root.get("/api/v1/users", params={"page": n, "per_page": 2}).json() for n in (1, 2)]
    assert [len(one["data"]["users"]) for one in pages] == [2, 2]
    assert pages[0]["meta"] == {"page": 1, "per_page": 2, "total": total, "total_pages": -(-total // 2)}
    assert not {u["id"] for u in pages[0]["data"]["users"]} & {u["id"] for u in pages[1]["data"]["users"]}
    past = root.get("/api/v1/users", params={"page": 2147483647, "per_page": 100})
    assert (past.status_code, past.json()["data"]["users"], past.json()["meta"]["total"]) == (200, [], total)


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=x",
        "page=1.5",
        "page=99999999999999999999",
        "per_page=0",
        "per_page=101",
        "per_page=",
        "status=bogus",
        "status=deleted",
        "role=king",
        "role=owner",
    ],
)
def test_a_bad_query_is_told(root, query):
    answer = root.get(f"/api/v1/users?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_a_plain_user_sees_themselves_and_nobody_else(people, role):
    user, other = people.make(role), people.make()
    answer = user.client.get("/api/v1/users").json()
    assert [one["id"] for one in answer["data"]["users"]] == [user.id]
    assert answer["meta"]["total"] == 1
    assert user.client.get("/api/v1/users", params={"role": "admin"}).json()["data"]["users"] == []
    assert user.client.get("/api/v1/users", params={"page": 2}).json()["data"]["users"] == []
    own = user.client.get(path(user))
    assert (own.status_code, own.json()["data"]["username"]) == (200, user.name)
    texts = set()
    for number in (other.id, people.root.id, 999_999, 2**31 - 1, 2**31, 10**30, 0):
        answer = user.client.get(f"/api/v1/users/{number}")
        assert answer.status_code == 403, "who is there is not theirs to know"
        texts.add(answer.text)
    assert texts == {'{"detail":"Not authorized to access this resource"}'}
    for method in ("PUT", "DELETE"):
        for number in (user.id, other.id, 999_999):
            refused = user.client.request(method, f"/api/v1/users/{number}", json={"role": "admin"})
            assert refused.status_code == 403


def test_one_user_with_their_keys(people, root):
    user = people.make()
    made = user.client.post("/api/v1/api-keys", json={"name": "laptop"}).json()["data"]
    for client in (user.client, root):
        data = client.get(path(user)).json()["data"]
        assert set(data) == FIELDS | {"api_keys", "workspaces"}
        assert data["workspaces"] == []
        (key,) = data["api_keys"]
        assert (key["id"], key["name"], key["prefix"]) == (made["id"], "laptop", made["prefix"])
        assert made["api_key"] not in str(data)
        assert not {"hash", "key_hash", "token", "api_key"} & set(key)
    scoped = user.client.post("/api/v1/api-keys", json={"name": "narrow", "scopes": ["core:user:read"]}).json()["data"]
    bearer = {"Authorization": f"Bearer {scoped['api_key']}"}
    assert set(people.anybody().get(path(user), headers=bearer).json()["data"]) == FIELDS | {"workspaces"}


def test_nobody_is_told_nothing(people):
    for method, where in (("GET", ""), ("GET", "/1"), ("PUT", "/1"), ("DELETE", "/1")):
        answer = people.anybody().request(method, f"/api/v1/users{where}")
        assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


@pytest.mark.parametrize("user_id", ["x", "user_abc", "1.0", "-1", "%EF%BC%91", "1e3", "0x1", "%00"])
def test_ids_are_whole_numbers(people, root, user_id):
    for method in ("GET", "PUT", "DELETE"):
        answer = root.request(method, f"/api/v1/users/{user_id}", json={} if method == "PUT" else None)
        assert answer.status_code in (400, 422), answer.text
    assert root.get("/api/v1/users/999999").status_code == 404
    assert root.get(f"/api/v1/users/{'9' * 400}").status_code == 404
    assert root.put("/api/v1/users/999999", json={}).json() == {"detail": "User not found"}


def test_a_user_is_changed(people, root):
    user = people.make("viewer")
    body = {"role": "admin", "is_active": True, "nexusgate_user_id": "0c9f7a5e-1b1f-4f0e-9a53-3f9f0f6f3a10"}
    answer = root.put(path(user), json=body)
    assert answer.status_code == 200
    data = answer.json()["data"]
    assert set(data) == FIELDS
    assert {key: data[key] for key in body} == body
    assert user.client.get("/auth/me").json()["role"] == "admin"
    assert root.put(path(user), json={}).json()["data"] == data
    assert root.put(path(user), json={"nexusgate_user_id": None}).json()["data"]["nexusgate_user_id"] is None
    assert root.put(path(user), json={"role": "user"}).json()["data"]["role"] == "user"
    assert user.client.get("/auth/me").json()["role"] == "operator"
    assert root.put(path(user), json={"status": "inactive"}).json()["data"]["is_active"] is False
    assert user.client.get("/auth/me").status_code == 401
    assert root.put(path(user), json={"is_active": True, "status": "active"}).json()["data"]["status"] == "active"


@pytest.mark.parametrize(
    "body",
    [
        {"role": "king"},
        {"role": "owner"},
        {"role": ""},
        {"role": 1},
        {"is_active": "yes"},
        {"is_active": 0},
        {"status": "bogus"},
        {"status": "deleted"},
        {"is_active": True, "status": "inactive"},
        {"nexusgate_user_id": 5},
        {"nexusgate_user_id": ""},
        {"nexusgate_user_id": "x" * 37},
        {"nexusgate_user_id": "a b"},
        {"nexusgate_user_id": "a\x00"},
        {"nexusgate_user_id": "\uff11"},
        {"role": "admin", "status": "bogus"},
    ],
)
def test_bad_fields_change_nothing(people, root, body):
    user = people.make()
    before = root.get(path(user)).json()
    answer = root.put(path(user), json=body)
    assert answer.status_code == 422, answer.text
    assert isinstance(answer.json()["detail"], str)
    assert root.get(path(user)).json() == before
    assert root.get("/api/v1/users").status_code == 200


@pytest.mark.parametrize(("content", "status"), [(b"{", 400), (b"[]", 400), (b'{"role": "\\ud800"}', 400)])
def test_bad_bodies_are_told(people, root, content, status):
    answer = root.put(path(people.make()), content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])


def test_one_id_of_nexusgate_is_one_users(people, root):
    first, second = people.make(), people.make()
    assert root.put(path(first), json={"nexusgate_user_id": "abc-1"}).status_code == 200
    assert root.put(path(second), json={"nexusgate_user_id": "abc-1"}).status_code == 409


@pytest.mark.parametrize("role", ["admin", "owner"])
def test_administrators_do_not_shut_themselves_out(people, role):
    person = people.make(role)
    demoted = person.client.put(path(person), json={"role": "user"})
    assert (demoted.status_code, demoted.json()) == (400, {"detail": "Cannot demote yourself from admin"})
    own = {"detail": "Cannot deactivate your own account"}
    for answer in (
        person.client.put(path(person), json={"is_active": False}),
        person.client.put(path(person), json={"status": "inactive"}),
        person.client.delete(path(person)),
    ):
        assert (answer.status_code, answer.json()) == (400, own)
    assert person.client.put(path(person), json={"role": "admin", "is_active": True}).status_code == 200
    assert person.client.get("/auth/me").json()["role"] == role


def test_rank_counts(people, cast):
    for target in (people.make("admin"), people.root):
        for body in ({"role": "user"}, {"is_active": False}, {"nexusgate_user_id": "stolen"}):
            assert cast["admin"].put(path(target), json=body).status_code == 403
        assert cast["admin"].delete(path(target)).status_code == 403
        assert target.client.get("/auth/me").status_code == 200


def test_deleting_deactivates_and_once_more_is_harmless(people, root):
    user = people.make()
    key = user.client.post("/api/v1/api-keys", json={"name": "k"}).json()["data"]["api_key"]
    bearer = {"Authorization": f"Bearer {key}"}
    for _ in range(2):
        answer = root.delete(path(user))
        assert (answer.status_code, answer.content) == (204, b"")
    assert root.get(path(user)).json()["data"]["status"] == "inactive"
    assert user.client.get("/auth/me").status_code == 401
    assert people.anybody().get("/auth/me", headers=bearer).status_code == 401
    assert root.put(path(user), json={"is_active": True}).status_code == 200
    assert people.anybody().get("/auth/me", headers=bearer).status_code == 200, "keys rest while a user is inactive"
    assert root.delete("/api/v1/users/999999").status_code == 404


# -- keys ---------------------------------------------------------------------------------------------------------


def test_keys_of_others_are_for_administrators(people, root):
    user, other = people.make(), people.make()
    body = {"name": "own", "user_id": user.id}
    made = user.client.post("/api/v1/api-keys", json=body)
    assert made.status_code == 201, "one's own id is no other user"
    refused = user.client.post("/api/v1/api-keys", json={"name": "theirs", "user_id": other.id})
    assert (refused.status_code, refused.json()) == (
        403,
        {"detail": "Only admins can create API keys for other users"},
    )
    absent = {"name": "whose", "user_id": 999_999}
    assert user.client.post("/api/v1/api-keys", json=absent).status_code == 403
    missing = root.post("/api/v1/api-keys", json=absent)
    assert (missing.status_code, missing.json()) == (404, {"detail": "Target user not found"})
    key = f"/api/v1/api-keys/{made.json()['data']['id']}"
    for _ in range(2):
        gone = other.client.delete(key)
        assert (gone.status_code, gone.json()) == (404, {"detail": "API key not found"})
    assert user.client.get("/api/v1/api-keys", params={"user_id": other.id}).status_code == 403
    assert root.get("/api/v1/api-keys", params={"user_id": user.id}).json()["meta"]["total"] == 1
    assert root.delete(key).status_code == 204
    assert root.delete(key).status_code == 404
