"""What roles, scopes, owners and vetoes decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import structlog
from moorage.access import ANONYMOUS, NOTHING, Access, Actor, Credential, Method, Permission, UserInfo
from moorage.errors import ConfigError, Forbidden, Unauthorized
from moorage.routes import AUTHENTICATED, PUBLIC

READ = "tmux:session:read"
KILL = "tmux:session:kill"
SERVER = "tmux:server:restart"
TMUX = (
    Permission(READ, "See sessions", default="viewer", owned=True, default_any="admin"),
    Permission(KILL, "End sessions", default="operator", owned=True, default_any="owner"),
    Permission(SERVER, "Restart tmux", default="admin"),
)


@dataclass
class Rule:
    includes: str | None = None
    grants: Sequence[str] = ()
    denies: Sequence[str] = ()


def user(role: str, number: int = 7, *, scopes: set[str] | None = None, active: bool = True) -> Actor:
    info = UserInfo(number, f"user_{number}", f"u{number}", "U", None, role, None, active, datetime.now(UTC))
    frozen = frozenset(scopes) if scopes is not None else None
    return Actor(info, Credential(Method.API_KEY if scopes is not None else Method.SESSION, 1, "ses_1", frozen))


def made(**roles: Rule) -> Access:
    access = Access(roles)
    access.declare("tmux", TMUX)
    return access


@pytest.fixture
def access() -> Access:
    return made()


def test_the_ladder(access: Access) -> None:
    table = {
        role: [
            access.holds(user(role), READ),
            access.can(user(role), READ, owner_id=7),
            access.can(user(role), READ, owner_id=8),
            access.can(user(role), KILL, owner_id=7),
            access.can(user(role), KILL, owner_id=8),
            access.can(user(role), SERVER),
        ]
        for role in ("viewer", "operator", "admin", "owner")
    }
    assert table == {
        "viewer": [True, True, False, False, False, False],
        "operator": [True, True, False, True, False, False],
        "admin": [True, True, True, True, False, True],
        "owner": [True, True, True, True, True, True],
    }


def test_what_belongs_to_nobody_needs_any(access: Access) -> None:
    assert not access.can(user("viewer"), READ)
    assert access.can(user("admin"), READ)


def test_default_deny(access: Access) -> None:
    assert not access.holds(ANONYMOUS, READ)
    assert not access.holds(user("owner", active=False), READ)
    assert not access.holds(user("a-role-that-was-removed"), READ)
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            assert not access.holds(user("owner"), "tmux:session:raed")
            assert not access.can(user("owner"), "tmux:session:raed", owner_id=7)
    assert logged == [
        {"event": "unknown permission is denied", "permission": "tmux:session:raed", "log_level": "error"}
    ], "once, as an error"


def test_an_any_name_can_be_asked_for(access: Access) -> None:
    assert access.holds(user("admin"), READ + ":any")
    assert not access.holds(user("viewer"), READ + ":any")
    assert not access.holds(user("owner"), SERVER + ":any"), "there are no owners to tell apart"


def test_scopes_cut_and_never_add(access: Access) -> None:
    reads = user("admin", scopes={READ})
    assert access.can(reads, READ, owner_id=7)
    assert not access.can(reads, READ, owner_id=8), "a plain scope reaches one's own objects"
    assert not access.holds(reads, KILL)
    assert access.can(user("admin", scopes={READ + ":any"}), READ, owner_id=8)
    assert access.can(user("admin", scopes={READ + ":any"}), READ, owner_id=7)
    everything = user("viewer", scopes={"*"})
    assert access.can(everything, READ, owner_id=7)
    assert not access.can(everything, READ, owner_id=8)
    assert not access.holds(everything, KILL)
    assert not access.holds(user("owner", scopes=set()), READ), "no scopes: nothing"
    assert access.holds(user("owner", scopes={"tmux:server:*"}), SERVER)
    assert not access.holds(user("owner", scopes={"tmux:server:*"}), READ)


def test_require_says_what_is_missing(access: Access) -> None:
    access.require(user("viewer"), READ, owner_id=7)
    with pytest.raises(Unauthorized):
        access.require(ANONYMOUS, READ)
    with pytest.raises(Forbidden) as caught:
        access.require(user("viewer"), READ, owner_id=8)
    assert caught.value.message == "You need the permission tmux:session:read:any"
    assert caught.value.details == {"required": READ, "current": "viewer", "action": READ.rpartition(":")[2]}
    with pytest.raises(Forbidden, match="This credential is not allowed"):
        access.require(user("operator", scopes={READ}), KILL, owner_id=7)


def test_list_filters(access: Access) -> None:
    assert access.list_filter(user("admin"), READ) == {}
    assert access.list_filter(user("viewer"), READ) == {"user_id": 7}
    assert access.list_filter(user("viewer"), READ, field="owner") == {"owner": 7}
    assert access.list_filter(user("viewer"), KILL) is None
    assert access.list_filter(ANONYMOUS, READ) is None
    assert access.list_filter(user("admin", scopes={READ}), READ) == {"user_id": 7}
    assert access.list_filter(user("admin"), SERVER) == {}
    assert access.owner_filter(user("viewer"), KILL) is NOTHING
    assert access.owner_filter(user("viewer"), READ) == 7
    assert access.owner_filter(user("owner"), READ) is None


def test_route_rules(access: Access) -> None:
    assert access.passes(ANONYMOUS, PUBLIC)
    assert not access.passes(ANONYMOUS, AUTHENTICATED)
    assert access.passes(user("viewer", scopes=set()), AUTHENTICATED)
    assert not access.passes(user("viewer", active=False), AUTHENTICATED)
    assert access.passes(user("viewer"), READ)
    assert not access.passes(user("viewer"), KILL)
    assert not access.passes(user("owner"), None), "a route without a rule lets nobody in"


def test_veto_takes_away_and_never_gives() -> None:
    asked: list[tuple[str, object]] = []

    def veto(actor: Actor, permission: str, resource: object) -> str | None:
        asked.append((permission, resource))
        return "Not on Sundays" if resource == "main" else None

    access = Access({}, veto=veto)
    access.declare("tmux", TMUX)
    assert access.can(user("viewer"), READ, owner_id=7, resource="other")
    assert not access.can(user("viewer"), READ, owner_id=7, resource="main")
    with pytest.raises(Forbidden, match="Not on Sundays"):
        access.require(user("viewer"), READ, owner_id=7, resource="main")
    asked.clear()
    assert not access.holds(user("viewer"), KILL)
    assert not access.can(user("viewer"), READ, owner_id=8, resource="main")
    assert asked == [], "never asked about what is denied already"
    assert access.holds(user("viewer"), READ)
    assert asked == [(READ, None)]


def test_a_broken_veto_denies() -> None:
    def veto(actor: Actor, permission: str, resource: object) -> str | None:
        raise RuntimeError("secret inner text")

    access = Access({}, veto=veto)
    access.declare("tmux", TMUX)
    with pytest.raises(Forbidden) as caught:
        access.require(user("owner"), READ, owner_id=7)
    assert caught.value.message == "Denied by a plugin"


def test_declare_and_withdraw(access: Access) -> None:
    everything = user("viewer", scopes={"*"})
    assert access.holds(user("viewer"), READ)
    assert access.holds(everything, READ)
    access.declare("tmux", [Permission(KILL, "End", default="viewer", owned=True)])
    assert not access.holds(user("viewer"), READ), "a new declaration replaces the old one"
    assert not access.holds(everything, READ), "whatever was decided before"
    assert access.holds(user("viewer"), KILL)
    access.withdraw("tmux")
    access.withdraw("never-declared")
    assert not access.holds(user("owner"), KILL)
    assert not access.holds(user("owner", scopes={"*"}), KILL)
    with pytest.raises(ValueError, match="does not begin with 'other:'"):
        access.declare("other", TMUX)
    with pytest.raises(ValueError, match="declared twice"):
        access.declare("tmux", [TMUX[0], TMUX[0]])


def test_known_scopes(access: Access) -> None:
    for scope in ("*", "tmux:*", "tmux:session:*", "*:*:read", READ, READ + ":any", "core:key:read"):
        assert access.known(scope), scope
    for scope in (
        "",
        "tmux",
        "tmux:",
        "tmux:session",
        "tmux:sessions:*",
        "nope:*",
        SERVER + ":any",
        READ + ":all",
        "**",
    ):
        assert not access.known(scope), scope


def test_custom_roles() -> None:
    access = made(
        helper=Rule("viewer", grants=["tmux:session:*"], denies=[KILL + ":any"]),
        guest=Rule(None, grants=[READ]),
        chief=Rule("helper", grants=["tmux:*"]),
        muted=Rule("operator", denies=["tmux:session:kill"]),
    )
    assert access.roles() == ["viewer", "operator", "admin", "owner", "chief", "guest", "helper", "muted"]
    assert access.can(user("helper"), READ, owner_id=8)
    assert access.can(user("helper"), KILL, owner_id=7)
    assert not access.can(user("helper"), KILL, owner_id=8)
    assert access.can(user("guest"), READ, owner_id=7)
    assert not access.can(user("guest"), READ, owner_id=8)
    assert not access.holds(user("guest"), "core:key:read"), "without `includes` a role begins with nothing"
    assert access.can(user("chief"), KILL, owner_id=8)
    assert access.holds(user("chief"), "core:key:read"), "through helper and viewer"
    assert not access.holds(user("muted"), KILL)
    assert access.holds(user("muted"), READ)


def test_built_in_roles_can_be_given_and_denied_but_keep_their_place() -> None:
    access = made(viewer=Rule(grants=[SERVER]), operator=Rule(denies=[KILL]))
    assert access.holds(user("viewer"), SERVER)
    assert access.holds(user("operator"), SERVER), "grants climb the ladder"
    assert not access.holds(user("operator"), KILL)
    assert access.holds(user("admin"), KILL), "denials do not"


@pytest.mark.parametrize(
    ("roles", "texts"),
    [
        ({"a": Rule("vewer")}, ["access.roles.a.includes", "no role 'vewer'", "'viewer'"]),
        ({"a": Rule("b"), "b": Rule("c"), "c": Rule("a")}, ["access.roles.a.includes", "a -> b -> c -> a"]),
        ({"a": Rule("a")}, ["a -> a"]),
        ({"a": Rule("owner")}, ["access.roles.a.includes", "owner"]),
        ({"owner": Rule(grants=["*"])}, ["access.roles.owner", "cannot be changed"]),
        ({"admin": Rule("viewer")}, ["access.roles.admin.includes", "built-in"]),
        ({"a": Rule(grants=["tmux"])}, ["access.roles.a.grants", "'tmux'"]),
        ({"a": Rule(denies=["tmux:session:read:all"])}, ["access.roles.a.denies"]),
    ],
)
def test_contradictory_roles(roles: dict[str, Rule], texts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        Access(roles)
    assert len(caught.value.problems) == 1, caught.value.problems
    for text in texts:
        assert text in caught.value.problems[0]


def test_two_circles_are_told_once_each() -> None:
    with pytest.raises(ConfigError) as caught:
        Access({"a": Rule("b"), "b": Rule("a"), "x": Rule("y"), "y": Rule("x"), "z": Rule("a")})
    assert len(caught.value.problems) == 2


def test_unknown_permissions_of_a_known_plugin() -> None:
    access = Access({"a": Rule("viewer", grants=["tmux:session:raed", "voice:call:*"], denies=["tmux:servers:*"])})
    access.check_roles()  # before tmux has declared, nothing can be said of it
    access.declare("tmux", TMUX)
    with pytest.raises(ConfigError) as caught:
        access.check_roles()
    assert len(caught.value.problems) == 2, "voice is not on: its patterns are left alone"
    assert "access.roles.a.grants: 'tmux:session:raed'" in caught.value.problems[0]
    assert "did you mean 'tmux:session:read'" in caught.value.problems[0]
    assert "access.roles.a.denies" in caught.value.problems[1]


def test_roles_can_be_replaced_while_running() -> None:
    access = made(helper=Rule("viewer"))
    assert not access.holds(user("helper"), KILL)
    with pytest.raises(ConfigError):
        access.configure({"helper": Rule("nobody")})
    assert access.holds(user("helper"), READ), "a refused change changes nothing"
    access.configure({"helper": Rule("viewer", grants=[KILL])})
    assert access.holds(user("helper"), KILL)
    assert access.holds(user("helper", scopes={KILL}), KILL)


def test_scope_sets_are_bounded(access: Access) -> None:
    for number in range(5000):
        access.holds(user("viewer", scopes={READ, f"x{number}:*"}), READ)
    assert len(access._scoped) <= 4096
    assert access.holds(user("viewer", scopes={READ}), READ)
