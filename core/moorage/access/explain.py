"""Explanations: why an actor may or may not, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from moorage.access import patterns
from moorage.access.actor import Actor
from moorage.access.permissions import ANY, ROLES, Permission
from moorage.access.roles import OWNER, Roles, defaults


@dataclass(frozen=True, slots=True)
class Explanation:
    """The outcome of a decision and its reasons, in the order in which they are looked at."""

    allowed: bool
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join([*self.lines, "allowed" if self.allowed else "denied"])


def role_lines(roles: Roles, role: str, name: str, permission: Permission) -> list[str]:
    """Why the role holds `name` (which may end in `:any`), or why not."""
    if role not in roles:
        return [f"role {role}: not known, holds nothing"]
    if role == OWNER:
        return ["role owner: holds every permission"]
    chain = roles.chain(role)
    lines = [f"role {role}" + (f", which includes {', '.join(chain[1:])}" if chain[1:] else "")]
    found = False
    # Only the rung that is stood on denies: denials do not climb the built-in ladder.
    rung = next((link for link in chain if link in ROLES), None)
    for link in reversed(chain):
        rule = roles.rule(link)
        for pattern in rule.grants:
            if name in patterns.expand([pattern], [name, name.removesuffix(ANY) + ANY]):
                lines.append(f"granted by {pattern!r} in [access.roles.{link}]")
                found = True
        if link in ROLES and name in defaults(permission, [link]):
            lines.append(f"granted to {link} by default, as {permission.name.split(':', 1)[0]} declares it")
            found = True
        if link not in ROLES or link == rung:
            denying = [pattern for pattern in rule.denies if not patterns.take_away([name], [pattern])]
            lines.extend(f"denied by {pattern!r} in [access.roles.{link}]" for pattern in denying)
    if not found:
        lines.append(f"nothing grants {name}")
    return lines


def scope_line(actor: Actor, name: str, declared: Mapping[str, Permission], universe: list[str]) -> str | None:
    """What the credential's scopes say; None when it has none."""
    if actor.credential is None or actor.credential.scopes is None:
        return None
    scopes = actor.credential.scopes
    shown = ", ".join(sorted(scopes)) or "none"
    verb = "include" if name in patterns.expand(scopes, universe) else "do not include"
    return f"the credential's scopes ({shown}) {verb} {name}"
