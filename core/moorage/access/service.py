"""Decisions: may this actor do that? Default deny; roles' grants cut by the credential's scopes; plugins may veto."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import structlog

from moorage.access import patterns
from moorage.access.actor import Actor
from moorage.access.core import CORE_PERMISSIONS
from moorage.access.explain import Explanation, role_lines, scope_line
from moorage.access.permissions import ANY, ROLES, Permission
from moorage.access.roles import RoleRule, Roles, full_names
from moorage.errors import ConfigError, Forbidden, Unauthorized
from moorage.routes import Access as Rule

Veto = Callable[[Actor, str, Any], str | None]
"""(actor, permission, resource or None) -> the public reason of a denial, or None to stand aside."""

_log = structlog.get_logger("moorage.access")
_NOTHING_HELD: frozenset[str] = frozenset()
_SCOPE_SETS = 4096


class Nothing(enum.Enum):
    """The type of NOTHING."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING
"""What `owner_filter` says when the actor may see no object at all."""


class Access:
    """Every decision of the server. One object; used from the event loop.

    roles: `[access.roles]`, by name. ConfigError when they contradict themselves.
    veto: asked about what the roles and scopes allow; None while no plugin wants to be asked.
    """

    def __init__(self, roles: Mapping[str, RoleRule], *, veto: Veto | None = None) -> None:
        self.veto = veto
        self._roles = Roles(roles)
        self._by_plugin: dict[str, tuple[Permission, ...]] = {}
        self._declared: dict[str, Permission] = {}
        self._universe: list[str] = []
        self._held: dict[str, frozenset[str]] = {}
        self._scoped: dict[tuple[str, frozenset[str]], frozenset[str]] = {}
        self._reported: set[str] = set()
        self.declare("core", CORE_PERMISSIONS)

    # -- what there is --------------------------------------------------------------------------------------

    def declare(self, plugin: str, permissions: Iterable[Permission]) -> None:
        """Make a plugin's permissions known; replaces what it declared before.

        ValueError for a name outside the plugin's own (`plugin:…`) or one declared twice.
        """
        permissions = tuple(permissions)
        seen: set[str] = set()
        for permission in permissions:
            if permission.name.split(":", 1)[0] != plugin:
                raise ValueError(f"permission {permission.name!r} does not begin with {plugin + ':'!r}")
            if permission.name in seen:
                raise ValueError(f"permission {permission.name!r} is declared twice")
            seen.add(permission.name)
        self._by_plugin[plugin] = permissions
        self._rebuild()

    def withdraw(self, plugin: str) -> None:
        """Forget a plugin's permissions: nobody holds them any more. An unknown plugin is harmless."""
        if self._by_plugin.pop(plugin, None) is not None:
            self._rebuild()

    def check_roles(self) -> None:
        """Check the configured roles against the declared permissions, once all plugins have declared.

        ConfigError with one line for each grant or denial that names what its plugin does not have.
        """
        _refuse_unknown(self._roles, self._declared)

    def check(self, roles: Mapping[str, RoleRule]) -> None:
        """Whether `roles` could take the place of the present ones. ConfigError if not; nothing is changed."""
        _refuse_unknown(Roles(roles), self._declared)

    def configure(self, roles: Mapping[str, RoleRule]) -> None:
        """Take other roles while the server runs. ConfigError when they cannot be; then nothing changes."""
        fresh = Roles(roles)
        _refuse_unknown(fresh, self._declared)
        self._roles = fresh
        self._rebuild()

    def known(self, pattern: str) -> bool:
        """Whether a scope or grant names at least one declared permission (or is `*`)."""
        if not patterns.valid(pattern):
            return False
        return pattern == "*" or any(patterns.matches(pattern, name) for name in self._universe)

    def is_role(self, name: str) -> bool:
        """Whether there is such a role."""
        return name in self._roles

    def roles(self) -> list[str]:
        """Built-in roles from the lowest up, then custom ones by name."""
        return self._roles.names()

    def rule(self, role: str) -> RoleRule:
        """What the configuration says of a role. KeyError for an unknown one."""
        return self._roles.rule(role)

    def permissions(self) -> list[Permission]:
        """All declared permissions, by name."""
        return [self._declared[name] for name in sorted(self._declared)]

    def held_by_role(self, role: str) -> frozenset[str]:
        """All names, plain and with `:any`, that a role holds. Empty for an unknown role."""
        return self._held.get(role, _NOTHING_HELD)

    def chain(self, role: str) -> list[str]:
        """The role and those that it includes, one after the other. Empty for an unknown role."""
        return self._roles.chain(role)

    def reasons(self, role: str, name: str) -> list[str]:
        """Why a role holds a permission, or not: `name` may end in `:any`. KeyError for one that is not declared."""
        return role_lines(self._roles, role, name, self._declared[name.removesuffix(ANY)])

    def rung(self, role: str) -> int:
        """The built-in role that a role is or starts from, as its place on the ladder; -1 for one without.

        Whoever is granted everything stands with the administrators.
        """
        chain = list(self._roles.chain(role))
        found = next((ROLES.index(link) for link in chain if link in ROLES), -1)
        everything = any("*" in self._roles.rule(link).grants for link in chain)
        return max(found, ROLES.index("admin")) if everything else found

    # -- decisions --------------------------------------------------------------------------------------------

    def holds(self, actor: Actor, permission: str) -> bool:
        """Whether the actor may enter a route that asks for `permission`: held plain or with `:any`."""
        if permission in self._rights(actor):
            return self.veto is None or self._vetoed(actor, permission, None) is None
        if permission not in self._declared:
            self._report_unknown(permission)
        return False

    def passes(self, actor: Actor, rule: str | Rule | None) -> bool:
        """Whether the actor may enter a route with this access rule. A route without a rule lets nobody in."""
        if isinstance(rule, str):
            return self.holds(actor, rule)
        if rule is Rule.PUBLIC:
            return True
        return rule is Rule.AUTHENTICATED and actor.user is not None and actor.user.active

    def can(self, actor: Actor, permission: str, *, owner_id: int | None = None, resource: Any | None = None) -> bool:
        """Whether the actor may do this to one object.

        owner_id: the object's owner. Where objects have owners, one's own needs the plain permission; another's,
            or an object that belongs to nobody (None), needs `:any`.
        resource: handed to plugins that may veto.
        """
        return self._refusal(actor, permission, owner_id, resource) is None

    def require(
        self, actor: Actor, permission: str, *, owner_id: int | None = None, resource: Any | None = None
    ) -> None:
        """As `can`; raises Unauthorized for an anonymous actor, else Forbidden, which names what is missing."""
        refusal = self._refusal(actor, permission, owner_id, resource)
        if refusal is None:
            return
        if actor.user is None:
            raise Unauthorized()
        action = permission.rpartition(":")[2]
        details = {"required": permission, "current": actor.user.role, "action": action}
        raise Forbidden(refusal, details=details)

    def owner_filter(self, actor: Actor, permission: str) -> int | Nothing | None:
        """Whose objects the actor may see: None = everybody's, a user's id = that user's, NOTHING = none."""
        if not self.holds(actor, permission) or actor.user is None:
            return NOTHING
        declared = self._declared.get(permission)
        if declared is None or not declared.owned or permission + ANY in self._rights(actor):
            return None
        return actor.user.id

    def list_filter(self, actor: Actor, permission: str, field: str = "user_id") -> dict[str, Any] | None:
        """`owner_filter` as arguments of a query: {} = everything, {field: id} = own, None = nothing."""
        owner = self.owner_filter(actor, permission)
        if isinstance(owner, Nothing):
            return None
        return {} if owner is None else {field: owner}

    def explain(self, actor: Actor, permission: str, owner_id: int | None = None) -> Explanation:
        """Why the actor may or may not: about an owner's object, or without one about the route."""
        base = permission.removesuffix(ANY)
        declared = self._declared.get(base)
        if declared is None:
            return Explanation(False, (f"{permission}: no enabled plugin declares this permission",))
        lines = [f"{base}: {declared.summary}"]
        if actor.user is None:
            return Explanation(False, (*lines, "nobody is signed in"))
        if not actor.user.active:
            return Explanation(False, (*lines, f"user {actor.user.username} is disabled"))
        name = permission
        if declared.owned and not permission.endswith(ANY):
            if owner_id is not None and owner_id != actor.user.id:
                name = base + ANY
                lines.append(f"the object is another user's, so {name} is needed")
            else:
                lines.append("the object is the user's own" if owner_id is not None else "for objects of one's own")
        lines += role_lines(self._roles, actor.user.role, name, declared)
        scopes = scope_line(actor, name, self._declared, self._universe)
        lines += [scopes] if scopes else []
        allowed = name in self._rights(actor)
        if allowed and self.veto is not None:
            reason = self._vetoed(actor, base, None)
            if reason is not None:
                lines.append(f"vetoed by a plugin: {reason}")
                allowed = False
        if owner_id is None and declared.owned and allowed and name == base:
            everybody = base + ANY in self._rights(actor)
            lines.append("also for everybody's objects" if everybody else "not for objects of others")
        return Explanation(allowed, tuple(lines))

    # -- how ----------------------------------------------------------------------------------------------------

    def _refusal(self, actor: Actor, permission: str, owner_id: int | None, resource: Any) -> str | None:
        """None when allowed, else a public reason."""
        user = actor.user
        if user is None:
            return "Authentication required"
        declared = self._declared.get(permission)
        needed = permission
        if declared is not None and declared.owned and owner_id != user.id:
            needed = permission + ANY
        if needed in self._rights(actor):
            return None if self.veto is None else self._vetoed(actor, permission, resource)
        if declared is None and permission.removesuffix(ANY) not in self._declared:
            self._report_unknown(permission)
        if user.active and needed in self._held.get(user.role, _NOTHING_HELD):
            return f"This credential is not allowed to use {needed}"
        return f"You need the permission {needed}"

    def _rights(self, actor: Actor) -> frozenset[str]:
        user, credential = actor.user, actor.credential
        if user is None or not user.active:
            return _NOTHING_HELD
        if credential is None or credential.scopes is None:
            return self._held.get(user.role, _NOTHING_HELD)
        rights = self._scoped.get((user.role, credential.scopes))
        return self._scope(user.role, credential.scopes) if rights is None else rights

    def _scope(self, role: str, scopes: frozenset[str]) -> frozenset[str]:
        rights = self._held.get(role, _NOTHING_HELD) & patterns.expand(scopes, self._universe)
        if len(self._scoped) >= _SCOPE_SETS:
            for key in list(itertools.islice(self._scoped, _SCOPE_SETS // 2)):
                del self._scoped[key]
        self._scoped[role, scopes] = rights
        return rights

    def _vetoed(self, actor: Actor, permission: str, resource: Any) -> str | None:
        assert self.veto is not None
        try:
            return self.veto(actor, permission, resource)
        except Exception:
            _log.exception("veto failed, counts as a denial", permission=permission, actor=actor.label)
            return "Denied by a plugin"

    def _report_unknown(self, permission: str) -> None:
        if permission.removesuffix(ANY) in self._declared or permission in self._reported:
            return
        if len(self._reported) < 1000:
            self._reported.add(permission)
        _log.error("unknown permission is denied", permission=permission)

    def _rebuild(self) -> None:
        self._declared = {p.name: p for permissions in self._by_plugin.values() for p in permissions}
        self._universe = full_names(self._declared.values())
        self._held = {role: self._roles.held(role, self._declared) for role in self._roles.names()}
        self._scoped.clear()
        self._reported.clear()


def _refuse_unknown(roles: Roles, declared: Mapping[str, Permission]) -> None:
    problems = roles.unknown(declared)
    if problems:
        raise ConfigError(problems)
