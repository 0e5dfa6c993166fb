"""S16: whoever knows an id has nothing by it. Made from the route table: a new route with an id must be put in here."""

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from moorage.routes import HttpRoute
from moorage.surfaces import account_routes
from people import populated
from waits import WAIT

# One's own by the id, others' not: what somebody else is told. Administrators have these routes for others too.
OWNED = {
    "DELETE /api/core/sessions/{}": ("session", 404),
    "DELETE /api/core/identities/{}": ("identity", 404),
    "DELETE /api/v1/api-keys/{}": ("key", 404),
    "GET /api/v1/users/{}": ("number", 403),
}
# For administrators: nobody else is told even whether there is such a thing.
ADMIN = {
    "GET /api/admin/users/{}": "pid",
    "PUT /api/admin/users/{}": "pid",
    "DELETE /api/admin/users/{}": "pid",
    "POST /api/admin/users/{}/promote": "pid",
    "POST /api/admin/users/{}/demote": "pid",
    "POST /api/admin/users/{}/activate": "pid",
    "POST /api/admin/users/{}/deactivate": "pid",
    "PATCH /api/users/{}/role": "pid",
    "DELETE /api/users/{}": "pid",
    "PUT /api/v1/users/{}": "number",
    "DELETE /api/v1/users/{}": "number",
    "PATCH /admin/users/{}": "number",
    "GET /api/admin/invite-codes/{}": "invite",
    "DELETE /api/admin/invite-codes/{}": "invite",
    "POST /api/admin/invite-codes/{}/revoke": "invite",
    "GET /api/invites/{}": "invite",
    "DELETE /api/invites/{}": "invite",
    "POST /admin/invites/{}/revoke": "invite_code",
}
# What stands in the path is a secret that is the right itself: the file that tries it, and by which words.
SECRET = {
    "GET /api/invites/{}/validate": ("contracts/test_invites_of_the_contracts.py", "}/validate"),
    "POST /api/invites/{}/accept": ("contracts/test_invites_of_the_contracts.py", "}/accept"),
    "GET /api/me/{}": ("contracts/test_orbital.py", "/api/me/{"),
}
# Names of the configuration: nobody owns them.
NAMES = {
    "GET /auth/{}",
    "GET /auth/{}/callback",
    "GET /api/auth/{}",
    "GET /api/auth/{}/callback",
    "GET /api/auth/callback/{}",
    "POST /api/auth/callback/{}",
}
BODIES = {
    "PUT /api/admin/users/{}": {"display_name": "taken over", "password": "another good battery"},
    "PATCH /api/users/{}/role": {"role": "viewer"},
    "PUT /api/v1/users/{}": {"is_active": False},
    "PATCH /admin/users/{}": {"status": "disabled", "display_name": "taken over"},
}


def served():
    """Every account route with something in its path, as "METHOD /path/{}"."""
    routes = [route for route in account_routes(MagicMock()) if isinstance(route, HttpRoute) and "{" in route.path]
    return {f"{method} {re.sub(r'{[^}]*}', '{}', route.path)}" for route in routes for method in route.methods}


SERVED = served()


def test_every_route_with_an_id_is_looked_at():
    known = {*OWNED, *ADMIN, *SECRET, *NAMES}
    assert len(SERVED) > 20
    assert served() - known == set(), "say in this file whose these are"
    for route, (file, words) in SECRET.items():
        assert words in (Path(__file__).parents[1] / file).read_text(), f"{file} does not try {route}"
    assert len(known) == len(OWNED) + len(ADMIN) + len(SECRET) + len(NAMES), "each of one kind"


@dataclass
class Owner:
    """A user and the ids of all that they have."""

    person: object
    ids: dict[str, str]
    twins: dict[str, list[str]]


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with populated(tmp_path_factory.mktemp("s16")) as people:
        yield people


def rows(people, query, *values):
    with sqlite3.connect(people.server.data_dir / "moorage.db", timeout=WAIT) as db:
        return db.execute(query, values).fetchall()


@pytest.fixture
def owner(people):
    """A user with a session, a key, an identity and (made by an administrator) an invite."""
    person = people.make("viewer")
    key = person.client.post("/api/v1/api-keys", json={"name": "k"}).json()["data"]["id"]
    invite = people.root.client.post("/api/admin/invite-codes", json={"max_uses": 2}).json()
    identity = f"idn_{person.id}"
    rows(
        people,
        "INSERT INTO core_identities (pid, user_id, provider, subject, email_verified, created_at)"
        " VALUES (?, ?, 'github', ?, 0, '2030-01-01 00:00:00+00:00')",
        identity,
        person.id,
        identity,
    )
    session = rows(people, "SELECT pid, id FROM core_sessions WHERE user_id = ?", person.id)[0]
    key_pid = rows(people, "SELECT pid FROM core_api_keys WHERE id = ?", key)[0][0]
    identity_id = rows(people, "SELECT id FROM core_identities WHERE pid = ?", identity)[0][0]
    invite_id = rows(people, "SELECT id FROM core_invites WHERE pid = ?", invite["id"])[0][0]
    ids = {
        "session": session[0],
        "identity": identity,
        "key": str(key),
        "number": str(person.id),
        "pid": person.pid,
        "invite": invite["id"],
        "invite_code": invite["code"],
    }
    twins = {
        "session": [str(session[1])],
        "identity": [str(identity_id)],
        "key": [key_pid],
        "number": [person.pid],
        "pid": [str(person.id), person.name, person.email, person.pid.upper(), f"{person.pid} "],
        "invite": [str(invite_id)],
        "invite_code": [str(invite_id)],
    }
    return Owner(person, ids, twins)


def state(people, owner):
    """All that could be taken from the owner."""
    number = owner.person.id
    kept = [
        rows(people, "SELECT username, name, role, active, password_hash FROM core_users WHERE id = ?", number),
        rows(people, "SELECT id FROM core_sessions WHERE user_id = ? AND revoked_at IS NULL", number),
        rows(people, "SELECT id FROM core_api_keys WHERE user_id = ? AND revoked_at IS NULL", number),
        rows(people, "SELECT id FROM core_identities WHERE user_id = ?", number),
        rows(people, "SELECT id FROM core_invites WHERE pid = ? AND revoked_at IS NULL", owner.ids["invite"]),
    ]
    assert all(kept)
    return kept


def ask(client, route, text):
    method, path = route.split(" ")
    body = BODIES.get(route, {}) if method in ("POST", "PUT", "PATCH") else None
    return client.request(method, path.format(text), json=body)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_what_others_have_is_out_of_reach(people, owner, role):
    stranger, before = people.make(role), state(people, owner)
    for route in sorted(SERVED & set(OWNED)):
        kind, status = OWNED[route]
        refused = ask(stranger.client, route, owner.ids[kind])
        assert refused.status_code == status, (route, refused.text)
        absent = "999999" if owner.ids[kind].isdigit() else "user_000000000000"
        missing = ask(stranger.client, route, absent)
        assert (missing.status_code, body(missing)) == (status, body(refused)), f"{route} tells what there is"
        for twin in owner.twins[kind]:
            assert ask(stranger.client, route, twin).status_code in (status, 404, 422), route
    assert state(people, owner) == before


@pytest.mark.parametrize("role", ["nobody", "viewer", "operator"])
def test_routes_of_administrators_are_theirs(people, owner, role):
    client = people.anybody() if role == "nobody" else people.make(role).client
    status, before = 401 if role == "nobody" else 403, state(people, owner)
    for route in sorted(SERVED & set(ADMIN)):
        kind = ADMIN[route]
        told = []
        for text in (owner.ids[kind], *owner.twins[kind], "999999", "user_000000000000"):
            answer = ask(client, route, text.strip())
            assert answer.status_code == status, (route, text, answer.text)
            told.append(body(answer))
        assert all(one == told[0] for one in told), f"{route} tells what there is"
    assert state(people, owner) == before


def test_owners_of_things_have_no_right_to_routes_of_administrators(people, owner):
    before = state(people, owner)
    for route in sorted(SERVED & set(ADMIN)):
        assert ask(owner.person.client, route, owner.ids[ADMIN[route]]).status_code == 403, route
    assert state(people, owner) == before


def test_an_id_of_the_other_kind_names_nothing(people, owner):
    before = state(people, owner)
    kinds = {**ADMIN, **{route: kind for route, (kind, _) in OWNED.items()}}
    for route in sorted(SERVED & set(kinds)):
        for twin in owner.twins[kinds[route]]:
            answer = ask(people.root.client, route, twin)
            assert answer.status_code in (404, 422), (route, twin, answer.text)
            answer = ask(owner.person.client, route, twin)
            assert answer.status_code in (403, 404, 422), (route, twin, answer.text)
    assert state(people, owner) == before


def test_lists_hold_ones_own(people, owner):
    stranger = people.make()
    seen = stranger.client
    assert owner.ids["session"] not in seen.get("/api/core/sessions").text
    assert [user["id"] for user in seen.get("/api/v1/users").json()["data"]["users"]] == [stranger.id]
    assert seen.get("/api/v1/api-keys").json()["data"]["api_keys"] == []
    assert seen.get("/api/v1/api-keys", params={"user_id": owner.person.id}).status_code == 403
    if "DELETE /api/core/identities/{}" in SERVED:
        assert owner.ids["identity"] not in seen.get("/api/core/identities").text
        assert owner.ids["identity"] in owner.person.client.get("/api/core/identities").text


def test_a_device_that_somebody_looked_at_is_theirs_to_decide_about(people):
    holder, stranger = people.make(), people.make()
    asked = people.anybody().post("/api/auth/device/code", json={"client_id": "cli"})
    assert asked.status_code == 200, asked.text
    code = asked.json()["user_code"]
    assert holder.client.get("/api/auth/device", params={"user_code": code}).json()["status"] == "pending"
    for verb in ("approve", "deny"):
        refused = stranger.client.post(f"/api/auth/device/{verb}", json={"userCode": code})
        assert (refused.status_code, refused.json()["error"]) == (403, "access_denied"), refused.text
    assert holder.client.post("/api/auth/device/approve", json={"userCode": code}).status_code == 200


def test_what_is_ones_own_can_be_had(people, owner):
    """Or else all the refusals above would say nothing."""
    client = owner.person.client
    assert client.get(f"/api/v1/users/{owner.ids['number']}").status_code == 200
    assert client.delete(f"/api/v1/api-keys/{owner.ids['key']}").status_code == 204
    if "DELETE /api/core/identities/{}" in SERVED:
        assert client.delete(f"/api/core/identities/{owner.ids['identity']}").status_code == 204
    assert client.delete(f"/api/core/sessions/{owner.ids['session']}").status_code == 204
    root = people.root.client
    assert root.get(f"/api/admin/invite-codes/{owner.ids['invite']}").status_code == 200
    assert root.post(f"/admin/invites/{owner.ids['invite_code']}/revoke").status_code in (200, 204)


def body(answer):
    """An answer without what differs from request to request."""
    return {key: value for key, value in answer.json().items() if key != "request_id"}
