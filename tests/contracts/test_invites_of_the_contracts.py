"""Invites and registration as `api/octo.md`, `api/chrote.md` and chat's program have them; one table behind all."""

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
from openapi_check import checked
from people import CONFIG, PASSWORD, populated

OCTO, CHROTE, CHAT = "/api/admin/invite-codes", "/api/invites", "/admin/invites"
OCTO_FIELDS = {
    *("id", "code", "kind", "role", "created_by", "uses_remaining", "max_uses", "used_count"),
    *("expires_at", "created_at", "is_valid", "note"),
}
CHROTE_FIELDS = {
    *("id", "role", "note", "kind", "createdBy", "createdAt", "expiresAt", "usedCount", "revoked", "uses"),
    *("max_uses", "created_by", "creator_name", "creator_email", "created_at", "expires_at", "is_active"),
}
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NAIVE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    config = {**CONFIG, "server": {"trusted_proxies": ["127.0.0.1"]}}
    with populated(tmp_path_factory.mktemp("invites"), config) as people:
        yield people


@pytest.fixture(scope="module")
def root(people):
    return checked(people.root.client, people.server)


@pytest.fixture(scope="module")
def ada(people):
    return checked(people.make("admin").client, people.server)


@pytest.fixture(scope="module")
def ann(people):
    return checked(people.make("operator").client, people.server)


@pytest.fixture
def anybody(people):
    """Somebody at an address of their own."""
    client = checked(people.anybody(), people.server)
    number = next(numbers)
    client.headers["X-Forwarded-For"] = f"198.51.{number // 250}.{number % 250 + 1}"
    return client


def fresh(name="new"):
    return f"{name}{next(numbers)}"


def code(root, **more):
    made = root.post(OCTO, json=more)
    assert made.status_code == 201, made.text
    return made.json()


def link(root, **more):
    made = root.post(CHROTE, json={"role": "operator", **more})
    assert made.status_code == 201, made.text
    return made.json()


def joins(client, invite_code, **more):
    body = {"email": f"{fresh()}@example.org", "password": PASSWORD, "invite_code": invite_code, **more}
    return client.post("/api/auth/register", json=body)


def away(text):
    """Seconds from now to a time with a zone."""
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


# -- octo -----------------------------------------------------------------------------------------------------


def test_octo_makes_a_code(people, root):
    end = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = root.post(OCTO, json={"max_uses": 10, "expires_at": end})
    assert made.status_code == 201
    shown = made.json()
    assert set(shown) == OCTO_FIELDS
    assert shown | {"id": "", "code": "", "created_at": ""} == {
        "id": "",
        "code": "",
        "kind": "code",
        "role": "user",
        "created_by": people.root.pid,
        "uses_remaining": 10,
        "max_uses": 10,
        "used_count": 0,
        "expires_at": end,
        "created_at": "",
        "is_valid": True,
        "note": None,
    }
    assert shown["id"].startswith("inv_")
    assert SECONDS.fullmatch(shown["created_at"])
    assert root.get(f"{OCTO}/{shown['id']}").json() == shown
    assert made.headers["cache-control"] == "no-store"


def test_octo_fills_in_what_is_not_said(root):
    shown = code(root)
    assert (shown["max_uses"], shown["expires_at"], shown["role"]) == (1, None, "user")
    own = code(root, code="Welcome_2030", expires_in_secs=3600, note="for the team", role="admin", max_uses=None)
    assert (own["code"], own["note"], own["role"], own["max_uses"]) == ("Welcome_2030", "for the team", "admin", 1)
    assert 3590 < away(own["expires_at"]) <= 3600
    taken = root.post(OCTO, json={"code": "WELCOME_2030"})
    assert (taken.status_code, taken.json()["code"]) == (409, "INVITE_EXISTS")


def test_octo_lists_a_bare_array_and_narrows_it(people, root, ada):
    first, second = code(root), code(ada)
    assert root.post(f"{OCTO}/{first['id']}/revoke").status_code == 204
    listed = root.get(OCTO)
    assert isinstance(listed.json(), list)
    ids = [one["id"] for one in listed.json()]
    assert ids[:2] == [second["id"], first["id"]]
    assert int(listed.headers["x-total-count"]) == len(ids)
    assert [one["id"] for one in root.get(OCTO, params={"limit": 1, "offset": 1}).json()] == [first["id"]]
    revoked = root.get(f"{OCTO}/{first['id']}").json()
    assert (revoked["is_valid"], revoked["uses_remaining"], revoked["code"]) == (False, 0, first["code"])
    assert first["id"] in [one["id"] for one in root.get(OCTO, params={"valid": "false"}).json()]
    assert first["id"] not in [one["id"] for one in root.get(OCTO, params={"valid": "true"}).json()]
    of_ada = root.get(OCTO, params={"created_by": second["created_by"]}).json()
    assert [one["id"] for one in of_ada] == [second["id"]]
    stats = root.get(f"{OCTO}/stats").json()
    valid = root.get(OCTO, params={"valid": "true", "limit": 1000}).json()
    assert stats == {"total": len(ids), "valid": len(valid)}


def test_octo_makes_a_batch(root):
    wanted = {"count": 3, "uses_per_code": 2, "expires_in_secs": 60, "prefix": "FAIR", "note": "stand 7"}
    made = root.post(f"{OCTO}/batch", json=wanted)
    assert made.status_code == 201
    assert len({one["code"] for one in made.json()}) == 3
    for one in made.json():
        assert re.fullmatch("FAIR-[2-9A-Z]{8}", one["code"])
        assert (one["max_uses"], one["note"]) == (2, "stand 7")


def test_octo_revokes_and_deletes(root):
    made = code(root)
    path = f"{OCTO}/{made['id']}"
    assert [root.post(f"{path}/revoke").status_code for _ in range(2)] == [204, 204]
    gone = root.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    for answer in (root.delete(path), root.get(path), root.post(f"{path}/revoke")):
        assert answer.status_code == 404
        assert answer.json()["error"] == "Resource not found: Invite not found"


def test_octo_registers(root, anybody):
    made = code(root, max_uses=2)
    email = f"{fresh('user')}@example.com"
    answer = anybody.post(
        "/api/auth/register", json={"email": email, "password": PASSWORD, "invite_code": made["code"]}
    )
    assert answer.status_code == 201
    body = answer.json()
    local = email.partition("@")[0]
    assert body["user"] == {
        "id": body["user"]["id"],
        "username": local,
        "name": local,
        "email": email,
        "role": "user",
    }
    assert {"token", "csrf_token", "expires_at"} <= set(body)
    assert any(cookie.startswith("moorage_session=") for cookie in answer.headers.get_list("set-cookie"))
    assert anybody.get("/api/auth/check").json() == {"authenticated": True, "user": body["user"]}
    assert root.get(f"{OCTO}/{made['id']}").json()["uses_remaining"] == 1
    named = joins(anybody, made["code"].lower(), username=fresh("Neo"), display_name="Thomas Anderson")
    assert named.status_code == 201
    assert named.json()["user"]["name"] == "Thomas Anderson"
    login = anybody.post("/api/auth/login", json={"email": email, "password": PASSWORD})
    assert login.status_code == 200


def test_octo_says_what_is_wrong_with_a_code(root, anybody):
    spent = code(root)
    assert joins(anybody, spent["code"]).status_code == 201
    revoked = code(root)
    root.post(f"{OCTO}/{revoked['id']}/revoke")
    for bad, text in (
        ("NO-SUCH-CODE", "Invite code not found"),
        (spent["code"], "Invite code has been fully used"),
        (revoked["code"], "Invite code has been revoked"),
    ):
        answer = joins(anybody, bad)
        assert (answer.status_code, answer.json()["error"]) == (400, f"Bad request: {text}")
        assert answer.json()["code"] == "BAD_REQUEST"


def test_octo_refuses_duplicates_and_gives_the_use_back(people, root, anybody):
    made = code(root)
    there = people.make()
    for more, error in (
        ({"username": there.name.upper()}, "USERNAME_EXISTS"),
        ({"email": there.email}, "EMAIL_EXISTS"),
    ):
        answer = joins(anybody, made["code"], **more)
        assert (answer.status_code, answer.json()["code"]) == (409, error)
    assert root.get(f"{OCTO}/{made['id']}").json()["uses_remaining"] == 1


# -- chrote ---------------------------------------------------------------------------------------------------


def test_chrote_makes_a_link(people, root):
    answer = root.post(CHROTE, json={"role": "operator", "expiresIn": 604800})
    assert answer.status_code == 201
    made = answer.json()
    assert set(made) == CHROTE_FIELDS | {"token", "url"}
    assert made["url"] == f"{people.server.url}/invite/{made['token']}"
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", made["token"])
    assert (made["role"], made["usedCount"], made["createdBy"]) == ("operator", 0, people.root.pid)
    assert MILLISECONDS.fullmatch(made["expiresAt"])
    assert 604790 < away(made["expiresAt"]) <= 604800
    assert answer.headers["cache-control"] == "no-store"


def test_chrote_takes_what_its_page_sends(root):
    made = link(root, role="viewer", note="guests", max_uses=5, expires_in_days=30)
    assert (made["role"], made["note"], made["max_uses"]) == ("viewer", "guests", 5)
    assert 29.9 < away(made["expires_at"]) / 86400 <= 30


def test_chrote_fills_in_what_is_not_said(root):
    answer = root.post(CHROTE)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["role"], made["max_uses"], made["note"]) == ("viewer", None, None)
    assert 604790 < away(made["expiresAt"]) <= 604800


def test_chrote_lists_without_tokens(root):
    made = link(root)
    answer = root.get(CHROTE)
    assert made["token"] not in answer.text
    first = answer.json()["invites"][0]
    assert set(first) == CHROTE_FIELDS
    assert first["id"] == made["id"]
    assert (first["revoked"], first["is_active"], first["creator_name"]) == (False, True, "root")
    details = root.get(f"{CHROTE}/{made['id']}").json()
    assert details == {**first, "invited_users": []}


def test_chrote_revokes_once(root, anybody):
    made = link(root)
    path = f"{CHROTE}/{made['id']}"
    assert root.delete(path).json() == {"success": True}
    again = root.delete(path)
    assert (again.status_code, again.json()["message"]) == (400, "Invite already revoked")
    missing = root.delete(f"{CHROTE}/inv_missing")
    assert (missing.status_code, missing.json()) == (
        404,
        {"error": "NOT_FOUND", "message": "Invite not found", "details": {}},
    )
    row = root.get(path).json()
    assert (row["revoked"], row["is_active"]) == (True, False)
    said = anybody.get(f"{CHROTE}/{made['token']}/validate")
    assert (said.status_code, said.json()) == (200, {"valid": False, "reason": "revoked"})


def test_chrote_validates(root, anybody):
    made = link(root, max_uses=1)
    path = f"{CHROTE}/{made['token']}/validate"
    assert anybody.get(path).json() == {"valid": True, "role": "operator"}
    unknown = anybody.get(f"{CHROTE}/AbCdEfGh12345678/validate")
    assert (unknown.status_code, unknown.json()) == (200, {"valid": False, "reason": "not_found"})
    joined = joins(anybody, made["token"])
    assert joined.status_code == 201
    assert anybody.get(path).json() == {"valid": False, "reason": "exhausted"}
    (came,) = root.get(f"{CHROTE}/{made['id']}").json()["invited_users"]
    assert (came["id"], came["role"]) == (joined.json()["user"]["id"], "operator")
    assert MILLISECONDS.fullmatch(came["at"])


def test_chrote_accepts(people, root, anybody):
    made = link(root)
    vic = people.make("viewer")
    client = checked(vic.client, people.server)
    before = vic.client.cookies["moorage_session"]
    path = f"{CHROTE}/{made['token']}/accept"
    answer = client.post(path)
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "role": "operator",
        "csrf_token": client.get("/api/auth/csrf").json()["csrf_token"],
    }
    assert vic.client.cookies["moorage_session"] != before
    assert client.get("/auth/me").json()["role"] == "operator"
    anybody.headers["Cookie"] = f"moorage_session={before}"
    assert anybody.get("/auth/me").status_code == 401
    again = client.post(path)
    assert (again.status_code, again.json()) == (200, {"success": True, "role": "operator"})
    assert root.get(f"{CHROTE}/{made['id']}").json()["usedCount"] == 1


def test_chrote_refuses_to_accept(ann, root, anybody):
    made = link(root)
    root.delete(f"{CHROTE}/{made['id']}")
    for token, reason in ((made["token"], "revoked"), ("AbCdEfGh12345678", "not_found")):
        refused = ann.post(f"{CHROTE}/{token}/accept")
        assert refused.status_code == 400
        assert refused.json()["error"] == "INVALID_TOKEN"
        assert refused.json()["details"] == {"reason": reason}
    nobody = anybody.post(f"{CHROTE}/{made['token']}/accept")
    assert (nobody.status_code, nobody.json()["error"]) == (401, "UNAUTHORIZED")


def test_chrote_lets_owners_alone_invite_admins(root, ada):
    assert link(root, role="admin")["role"] == "admin"
    refused = ada.post(CHROTE, json={"role": "admin"})
    assert (refused.status_code, refused.json()["error"]) == (403, "FORBIDDEN")
    assert refused.json()["message"] == "Only owner can create admin invites"
    assert link(ada, role="operator")["role"] == "operator"
    for client in (root, ada):
        owner = client.post(CHROTE, json={"role": "owner"})
        assert (owner.status_code, owner.json()["error"]) == (400, "VALIDATION_ERROR")


# -- chat -----------------------------------------------------------------------------------------------------


def test_chat_makes_lists_and_revokes(people, root):
    answer = root.post(CHAT, json={"expires_in_hours": 24})
    assert answer.status_code == 200
    made = answer.json()
    assert NAIVE.fullmatch(made["expires_at"])
    assert 86390 < away(made["expires_at"] + "+00:00") <= 86400
    assert (made["max_uses"], made["role"], made["created_by"]) == (1, "user", people.root.id)
    assert root.get(CHAT).json()["invites"][0] == made
    assert root.post(f"{CHAT}/{made['invite_code'].lower()}/revoke").json() == {"message": "Invite revoked"}
    assert root.get(CHAT).json()["invites"][0]["status"] == "revoked"
    assert root.post(f"{CHAT}/{made['id']}/revoke").status_code == 200
    missing = root.post(f"{CHAT}/NO-SUCH-CODE/revoke")
    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")


def test_chat_registers_as_it_logs_in(root, anybody):
    made = root.post(CHAT).json()
    name = fresh("chatty")
    answer = anybody.post(
        "/auth/register", json={"invite_code": made["invite_code"], "username": name, "password": PASSWORD}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"user", "csrf_token"}
    assert isinstance(body["user"]["id"], int)
    expected = {"username": name, "display_name": name, "role": "user", "status": "active"}
    assert {key: body["user"][key] for key in expected} == expected
    me = anybody.get("/auth/me")
    assert me.json()["user"]["id"] == body["user"]["id"]
    assert me.headers["x-csrf-token"] == body["csrf_token"]


def test_chat_refuses_bad_codes_and_taken_names(people, root, anybody):
    made = root.post(CHAT, json={"max_uses": 5}).json()
    body = {"invite_code": made["invite_code"], "username": people.root.name, "password": PASSWORD}
    taken = anybody.post("/auth/register", json=body)
    assert (taken.status_code, taken.json()["code"]) == (409, "USERNAME_EXISTS")
    bad = anybody.post("/auth/register", json={**body, "invite_code": "NO-SUCH-CODE"})
    assert (bad.status_code, bad.json()["code"]) == (400, "INVALID_INVITE")
    weak = anybody.post("/auth/register", json={**body, "username": fresh(), "password": "short"})
    assert (weak.status_code, weak.json()["code"]) == (400, "VALIDATION_ERROR")


# -- one table ------------------------------------------------------------------------------------------------


def test_all_three_are_one_table(root, anybody):
    made = {code(root)["id"], link(root)["id"], root.post(CHAT).json()["id"]}
    assert made <= {one["id"] for one in root.get(OCTO).json()}
    assert made <= {one["id"] for one in root.get(CHROTE).json()["invites"]}
    assert made <= {one["id"] for one in root.get(CHAT).json()["invites"]}
    of_link = next(one for one in root.get(OCTO).json() if one["kind"] == "link" and one["id"] in made)
    assert (of_link["code"], of_link["max_uses"], of_link["uses_remaining"]) == (None, None, None)
    octo = code(root)
    assert anybody.get(f"{CHROTE}/{octo['code']}/validate").json() == {"valid": True, "role": "operator"}
    body = {"invite_code": octo["code"], "username": fresh(), "password": PASSWORD}
    assert anybody.post("/auth/register", json=body).status_code == 200
