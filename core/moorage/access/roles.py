"""Roles: the built-in ladder, and those of the configuration; what each holds, and why."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from moorage.access import patterns
from moorage.access.permissions import ANY, ROLES, Permission
from moorage.errors import ConfigError

OWNER = ROLES[-1]


class RoleRule(Protocol):
    """`[access.roles.NAME]` of the configuration."""

    @property
    def includes(self) -> str | None: ...
    @property
    def grants(self) -> Sequence[str]: ...
    @property
    def denies(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class NoRule:
    """A built-in role that the configuration does not speak of."""

    includes: str | None = None
    grants: Sequence[str] = ()
    denies: Sequence[str] = ()


class Roles:
    """All roles by name. ConfigError when the configured ones cannot be: one line per problem.

    A custom role holds what the included role holds, plus its grants, minus its denies. A built-in role may be
    given grants and denies as well (not the owner, who holds everything); grants climb the ladder, denies do not.
    """

    def __init__(self, configured: Mapping[str, RoleRule]) -> None:
        self._rules: dict[str, RoleRule] = {role: NoRule() for role in ROLES} | dict(configured)
        problems = [problem for name in configured for problem in self._problems(name, configured[name])]
        if not problems:
            problems = self._cycles()
        if problems:
            raise ConfigError(problems)

    def __contains__(self, name: object) -> bool:
        return name in self._rules

    def names(self) -> list[str]:
        """Built-in roles from the lowest up, then custom ones by name."""
        return [*ROLES, *sorted(set(self._rules) - set(ROLES))]

    def rule(self, name: str) -> RoleRule:
        """The role's configured part. KeyError for an unknown role."""
        return self._rules[name]

    def chain(self, name: str) -> list[str]:
        """The role and those that it includes, one after the other. Empty for an unknown role."""
        chain: list[str] = []
        while name in self._rules and name not in chain:
            chain.append(name)
            if name in ROLES:
                rank = ROLES.index(name)
                chain.extend(reversed(ROLES[:rank]))
                break
            name = self._rules[name].includes or ""
        return chain

    def held(self, name: str, declared: Mapping[str, Permission]) -> frozenset[str]:
        """All names (plain and `:any`) that the role holds, of the permissions that are declared."""
        universe = full_names(declared.values())
        if name == OWNER:
            return frozenset(universe)
        if name not in self._rules:
            return frozenset()
        rule = self._rules[name]
        if name in ROLES:
            below = ROLES[: ROLES.index(name) + 1]
            granted = {full for permission in declared.values() for full in defaults(permission, below)}
            granted |= patterns.expand((p for role in below for p in self._rules[role].grants), universe)
        else:
            granted = set(self.held(rule.includes, declared) if rule.includes else ())
            granted |= patterns.expand(rule.grants, universe)
        return patterns.take_away(granted, rule.denies)

    def unknown(self, declared: Mapping[str, Permission]) -> list[str]:
        """One line for each grant or denial that names a permission which its plugin does not declare.

        Patterns about plugins that declare nothing here (not enabled now) are left alone.
        """
        names = full_names(declared.values())
        plugins = {name.split(":", 1)[0] for name in names}
        problems = []
        for role, rule in self._rules.items():
            for key, given in (("grants", rule.grants), ("denies", rule.denies)):
                for pattern in given:
                    plugin = pattern.split(":", 1)[0]
                    if plugin in plugins and not any(patterns.matches(pattern, name) for name in names):
                        near = _nearest(pattern, names)
                        problems.append(f"access.roles.{role}.{key}: {pattern!r} is no permission of {plugin}{near}")
        return problems

    def _problems(self, name: str, rule: RoleRule) -> Iterable[str]:
        where = f"access.roles.{name}"
        if name == OWNER:
            yield f"{where}: the owner holds every permission and cannot be changed; define a role of another name"
            return
        if name in ROLES and rule.includes is not None:
            yield f"{where}.includes: {name} is a built-in role with a fixed place; only grants and denies can be set"
        elif rule.includes is not None and rule.includes not in self._rules:
            yield f"{where}.includes: there is no role {rule.includes!r}{_nearest(rule.includes, self._rules)}"
        elif rule.includes == OWNER:
            yield f"{where}.includes: the owner's rights cannot be included; include admin, or grant what is needed"
        for key, given in (("grants", rule.grants), ("denies", rule.denies)):
            for pattern in given:
                if not patterns.valid(pattern):
                    yield (
                        f"{where}.{key}: {pattern!r} is neither a permission (plugin:resource:action, with :any for "
                        "everybody's objects) nor a pattern (plugin:resource:*, plugin:*, *)"
                    )

    def _cycles(self) -> list[str]:
        problems = []
        for start in sorted(set(self._rules) - set(ROLES)):
            path = [start]
            while (after := self._rules[path[-1]].includes) is not None and after not in path:
                path.append(after)
            # Told once, by the member of the circle whose name comes first.
            if after == start and start == min(path):
                problems.append(f"access.roles.{start}.includes: a circle: {' -> '.join([*path, start])}")
        return problems


def full_names(permissions: Iterable[Permission]) -> list[str]:
    """Every name that can be held: the plain one, and `:any` where objects have owners."""
    return [name for p in permissions for name in ((p.name, p.name + ANY) if p.owned else (p.name,))]


def defaults(permission: Permission, roles: Sequence[str]) -> list[str]:
    """What holders of one of the built-in `roles` hold of this permission by default."""
    held = [permission.name] if permission.default in roles else []
    if permission.owned and permission.default_any in roles:
        held = [permission.name, permission.name + ANY]
    return held


def _nearest(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
