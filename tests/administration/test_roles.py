"""Roles over HTTP: what they hold, and why somebody may do something."""

from __future__ import annotations

import pytest
from harness import running


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    roles = {"helper": {"includes": "viewer", "grants": ["core:audit:read"], "denies": ["core:key:create"]}}
    with running(tmp_path_factory.mktemp("server"), {"access": {"roles": roles}}) as server:
        server.add_users({"ann": "admin", "bob": "helper", "vic": "viewer"})
        yield server


@pytest.fixture
def ann(server):
    with server.client("ann") as client:
        yield client


def test_each_role_is_listed_with_what_it_holds(ann) -> None:
    found = ann.get("/api/core/roles").json()
    roles = {row["name"]: row for row in found["roles"]}
    assert [row["name"] for row in found["roles"]] == ["viewer", "operator", "admin", "owner", "helper"]
    assert (roles["admin"]["builtin"], roles["admin"]["includes"]) == (True, "operator")
    helper = roles["helper"]
    assert (helper["builtin"], helper["includes"], helper["grants"]) == (False, "viewer", ["core:audit:read"])
    assert "core:audit:read" in helper["permissions"]
    assert "core:key:create" not in helper["permissions"]
    assert "core:user:read:any" in roles["admin"]["permissions"]
    assert {"name": "core:audit:read", "summary": "Read the audit log", "role": "admin", "any_role": None} in found[
        "permissions"
    ]


def test_a_role_is_shown_with_why_it_holds_what_it_holds(ann) -> None:
    found = ann.get("/api/core/roles/helper").json()
    assert found["chain"] == ["helper", "viewer"]
    why = {row["name"]: row["reasons"] for row in found["held"]}
    assert set(why) == set(found["permissions"])
    assert any("granted by 'core:audit:read' in [access.roles.helper]" in line for line in why["core:audit:read"])
    assert any("granted to viewer by default" in line for line in why["core:session:read"])
    everything = {row["name"] for row in ann.get("/api/core/roles/admin").json()["held"]}
    assert {"core:user:read", "core:user:read:any"} <= everything
    assert ann.get("/api/core/roles/none").status_code == 404


def test_a_decision_is_explained(ann) -> None:
    query = {"user": "bob", "permission": "core:key:create"}
    said = ann.get("/api/core/access/explain", params=query).json()
    assert (said["allowed"], said["role"]) == (False, "helper")
    assert any("denied by 'core:key:create' in [access.roles.helper]" in line for line in said["reasons"])
    others = {"user": "bob", "permission": "core:user:read", "owner": "vic"}
    assert ann.get("/api/core/access/explain", params=others).json()["allowed"] is False
    assert ann.get("/api/core/access/explain", params=others | {"user": "ann"}).json()["allowed"] is True


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"user": "none", "permission": "core:key:create"}, 404),
        ({"user": "bob", "permission": "core:key:create", "owner": "none"}, 404),
        ({"user": "bob", "permission": "no:such:thing"}, 400),
        ({"user": "bob"}, 422),
        ({"user": "b" * 300, "permission": "core:key:create"}, 422),
    ],
)
def test_what_cannot_be_explained_is_refused(ann, query, status) -> None:
    assert ann.get("/api/core/access/explain", params=query).status_code == status


def test_roles_are_for_who_manages_users(server) -> None:
    with server.client("vic") as vic:
        assert vic.get("/api/core/roles").status_code == 403
        assert vic.get("/api/core/roles/viewer").status_code == 403
        assert vic.get("/api/core/access/explain", params={"user": "vic", "permission": "x"}).status_code == 403
