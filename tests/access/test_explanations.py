"""Explanations agree with decisions, and name what decided."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from moorage.access import ANONYMOUS, Access, Actor, Credential, Method, Permission, UserInfo

READ, KILL, SERVER = "tmux:session:read", "tmux:session:kill", "tmux:server:restart"


@dataclass
class Rule:
    includes: str | None = None
    grants: Sequence[str] = ()
    denies: Sequence[str] = ()


def user(role: str, scopes: frozenset[str] | None = None, *, active: bool = True) -> Actor:
    info = UserInfo(7, "user_7", "ann", "Ann", None, role, None, active, datetime.now(UTC))
    return Actor(info, Credential(Method.SESSION, 1, "ses_1", scopes))


@pytest.fixture
def access() -> Access:
    access = Access(
        {
            "helper": Rule("viewer", grants=["tmux:session:*"], denies=[KILL]),
            "chief": Rule("helper", grants=[KILL]),
            "operator": Rule(denies=[KILL]),
        }
    )
    access.declare(
        "tmux",
        [
            Permission(READ, "See sessions", default="viewer", owned=True),
            Permission(KILL, "End sessions", default="operator", owned=True),
            Permission(SERVER, "Restart tmux"),
        ],
    )
    return access


def test_explanations_agree_with_decisions(access: Access) -> None:
    roles = [*access.roles(), "unknown"]
    scopes = [None, frozenset[str](), frozenset({READ}), frozenset({"tmux:*"}), frozenset({"*"})]
    for role, scope, permission in itertools.product(roles, scopes, (READ, KILL, SERVER, "tmux:no:such")):
        actor = user(role, scope)
        said = access.explain(actor, permission)
        assert said.allowed == access.holds(actor, permission), (role, scope, permission, said.lines)
        for owner in (7, 8):
            said = access.explain(actor, permission, owner_id=owner)
            assert said.allowed == access.can(actor, permission, owner_id=owner), (role, scope, permission, said.lines)


def test_the_chain_is_named(access: Access) -> None:
    lines = access.explain(user("chief"), KILL).lines
    assert "role chief, which includes helper, viewer" in lines
    granted = [line for line in lines if line.startswith(("granted", "denied"))]
    assert granted == [
        "granted by 'tmux:session:*' in [access.roles.helper]",
        f"denied by '{KILL}' in [access.roles.helper]",
        f"granted by '{KILL}' in [access.roles.chief]",
    ]
    assert "not for objects of others" in lines


def test_defaults_and_denials_of_the_ladder(access: Access) -> None:
    assert "granted to operator by default, as tmux declares it" in access.explain(user("operator"), KILL).lines
    assert f"denied by '{KILL}' in [access.roles.operator]" in access.explain(user("operator"), KILL).lines
    assert not any("denied" in line for line in access.explain(user("admin"), KILL).lines)
    assert "role owner: holds every permission" in access.explain(user("owner"), KILL).lines


def test_others_objects_scopes_and_states(access: Access) -> None:
    said = access.explain(user("viewer"), READ, owner_id=8)
    assert "the object is another user's, so tmux:session:read:any is needed" in said.lines
    assert str(said).endswith("denied")
    said = access.explain(user("admin", frozenset({"core:*"})), READ)
    assert "the credential's scopes (core:*) do not include tmux:session:read" in said.lines
    assert "nobody is signed in" in access.explain(ANONYMOUS, READ).lines
    assert "user ann is disabled" in access.explain(user("owner", active=False), READ).lines
    assert "no enabled plugin declares" in access.explain(user("owner"), "voice:call:start").lines[0]
    assert "role gone: not known, holds nothing" in access.explain(user("gone"), READ).lines


def test_a_veto_is_named(access: Access) -> None:
    access.veto = lambda actor, permission, resource: "Closed for the night"
    said = access.explain(user("viewer"), READ)
    assert not said.allowed
    assert said.lines[-1] == "vetoed by a plugin: Closed for the night"
