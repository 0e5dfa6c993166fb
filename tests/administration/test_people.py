"""Users, invites and the audit log as the console's administration asks for them."""

from __future__ import annotations

import httpx
import pytest
from harness import running

PASSWORD = "correct horse battery"
USERS, INVITES, AUDIT = "/api/core/admin/users", "/api/core/admin/invites", "/api/core/admin/audit"
ROLES = {"helper": {"includes": "viewer", "grants": ["core:user:read:any"]}}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    config = {"access": {"roles": ROLES}, "limits": {"enabled": False}}
    with running(tmp_path_factory.mktemp("people"), config) as server:
        server.add_users({"root": "owner", "ann": "admin", "bob": "admin", "vic": "viewer", "hal": "helper"})
        yield server


@pytest.fixture
def ann(server):
    with server.client("ann") as client:
        yield client


@pytest.fixture
def made(ann):
    """A user for one test."""
    body = {"username": "tmp", "role": "helper", "email": "tmp@example.org", "password": PASSWORD}
    answer = ann.post(USERS, json=body)
    assert answer.status_code == 201, answer.text
    yield answer.json()
    ann.delete(f"{USERS}/{answer.json()['id']}")


def named(found: httpx.Response) -> set[str]:
    return {one["username"] for one in found.json()["users"]}


def id_of(client: httpx.Client, name: str) -> str:
    [found] = [one for one in client.get(USERS, params={"search": name}).json()["users"] if one["username"] == name]
    return found["id"]


def test_users_are_found_by_text_role_and_state(server, ann, made) -> None:
    assert (made["role"], made["name"], made["active"]) == ("helper", "tmp", True)
    assert named(ann.get(USERS, params={"search": "TMP@exa"})) == {"tmp"}
    assert named(ann.get(USERS, params={"role": "helper"})) == {"hal", "tmp"}
    assert ann.patch(f"{USERS}/{made['id']}", json={"active": False}).json()["active"] is False
    assert named(ann.get(USERS, params={"state": "disabled"})) == {"tmp"}
    assert "tmp" not in named(ann.get(USERS, params={"state": "active"}))
    page = ann.get(USERS, params={"limit": 2, "offset": 1}).json()
    assert ([one["username"] for one in page["users"]], page["total"]) == (["ann", "bob"], 6)
    roles = {one["name"]: (one["users"], one["yours"]) for one in page["roles"]}
    assert roles["owner"] == (1, False)
    assert roles["helper"] == (2, True)


def test_a_user_is_changed_and_what_one_may_not_is_said_before(server, ann, made) -> None:
    where = f"{USERS}/{made['id']}"
    with server.client("tmp") as tmp:
        assert ann.get(where).json() | {"roles": []} == {
            **ann.get(USERS, params={"search": "tmp"}).json()["users"][0],
            "has_password": True,
            "refusal": None,
            "identities": [],
            "plugins": {},
            "roles": [],
        }
        assert ann.patch(where, json={"role": "operator", "name": "Temp", "email": ""}).status_code == 200
        assert tmp.get("/api/core/sessions").status_code == 200
        assert ann.post(f"{where}/sign-out").json() == {"ended": 1}
        assert tmp.get("/api/core/sessions").status_code == 401
    with server.client("tmp") as tmp:
        assert ann.patch(where, json={"password": "another long password"}).status_code == 200
        assert tmp.get("/api/core/sessions").status_code == 401
    changed = ann.get(where).json()
    assert (changed["role"], changed["name"], changed["email"]) == ("operator", "Temp", None)
    assert ann.patch(where, json={"password": "short"}).status_code == 422
    assert ann.patch(where, json={"role": "owner"}).status_code == 403
    assert ann.patch(where, json={"role": "none"}).status_code == 422
    for name, why in {"root": "Only an owner", "bob": "not less than yours", "ann": "your own account"}.items():
        other = f"{USERS}/{id_of(ann, name)}"
        assert why in ann.get(other).json()["refusal"]
        assert ann.patch(other, json={"role": "viewer"}).status_code == 403
        assert ann.delete(other).status_code == 403
    # Whoever stands higher, and oneself, is not signed out by this; a peer is.
    assert ann.post(f"{USERS}/{id_of(ann, 'root')}/sign-out").status_code == 403
    assert ann.post(f"{USERS}/{id_of(ann, 'ann')}/sign-out").status_code == 403
    assert ann.post(f"{USERS}/{id_of(ann, 'bob')}/sign-out").status_code == 200


def test_who_reads_users_need_not_manage_them_and_others_may_neither(server, ann, made) -> None:
    with server.client("hal") as hal:
        found = hal.get(f"{USERS}/{made['id']}")
        assert found.json()["refusal"] == "You need the permission core:user:manage"
        assert hal.patch(f"{USERS}/{made['id']}", json={"name": "x"}).status_code == 403
        assert hal.post(f"{USERS}/{made['id']}/sign-out").status_code == 403
    with server.client("vic") as vic:
        for path in (USERS, f"{USERS}/{made['id']}", INVITES, AUDIT):
            assert vic.get(path).status_code == 403
    assert ann.get(f"{USERS}/user_none").status_code == 404
    assert ann.delete(f"{USERS}/user_none").status_code == 404


def test_nobody_becomes_an_owner_by_the_network(server, made) -> None:
    with server.client("root") as root:
        where = f"{USERS}/{made['id']}"
        assert {one["name"] for one in root.get(where).json()["roles"] if not one["yours"]} == {"owner"}
        assert root.patch(where, json={"role": "owner"}).status_code == 403
        assert root.post(USERS, json={"username": "late", "role": "owner"}).status_code == 403
        assert root.patch(where, json={"role": "admin"}).json()["role"] == "admin"
        # So that who made them can delete them.
        assert root.patch(where, json={"role": "viewer"}).json()["role"] == "viewer"


def test_invites_are_listed_with_why_they_end(server, ann) -> None:
    link = ann.post("/api/invites", json={"role": "viewer", "note": "for <b>Zoe</b>", "max_uses": 3}).json()
    code = ann.post("/api/admin/invite-codes", json={"code": "WELCOME-1"}).json()
    assert ann.delete(f"/api/invites/{link['id']}").status_code == 200
    found = ann.get(INVITES).json()
    assert found["roles"] == ["viewer", "operator", "helper"]
    rows = {row["id"]: row for row in found["invites"]}
    shown = rows[link["id"]]
    assert (shown["kind"], shown["code"], shown["role"], shown["state"]) == ("link", None, "viewer", "revoked")
    assert (shown["note"], shown["created_by"], shown["max_uses"]) == ("for <b>Zoe</b>", "ann", 3)
    assert (rows[code["id"]]["code"], rows[code["id"]]["state"]) == ("WELCOME-1", "valid")
    valid, ended = (ann.get(INVITES, params={"state": state}).json() for state in ("valid", "ended"))
    assert [row["id"] for row in valid["invites"]] == [code["id"]]
    assert link["id"] in [row["id"] for row in ended["invites"]]
    assert ann.delete(f"/api/admin/invite-codes/{code['id']}").status_code == 204


def test_events_are_found_by_the_names_of_people(server, ann, made) -> None:
    found = ann.get(AUDIT, params={"actor": "ANN", "action": "user.created", "target": "user:tmp"}).json()
    [event] = found["events"]
    assert found["names"] == {event["actor"]: "ann", event["target"]: "tmp"}
    assert found["filter"] == {"action": "user.created", "actor": event["actor"], "target": f"user:{made['number']}"}
    same = ann.get("/api/v1/audit", params={**found["filter"], "format": "jsonl"})
    assert len(same.text.splitlines()) == 1
    assert ann.get(AUDIT, params={"actor": "nobody"}).json()["events"] == []
    assert ann.get(AUDIT, params={"since": "x"}).status_code == 422
