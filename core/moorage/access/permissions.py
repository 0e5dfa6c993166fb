"""Permissions: declared names of the form `plugin:resource:action`, and who holds them by default."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = re.compile(r"^[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*$")
ANY = ":any"
ROLES = ("viewer", "operator", "admin", "owner")
"""The built-in ladder, lowest first. Each role holds all that the ones before it hold."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One thing that can be allowed.

    name: `plugin:resource:action`. Held plain, it reaches the holder's own objects; held as `name:any`,
        everybody's. owned=False: there are no owners to tell apart, `:any` does not exist.
    default: the lowest built-in role that holds it. default_any: the lowest that holds `name:any`.
    """

    name: str
    summary: str
    default: str = "admin"
    owned: bool = False
    default_any: str = "admin"

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise ValueError(f"permission {self.name!r} is not of the form plugin:resource:action")
        for role in (self.default, self.default_any):
            if role not in ROLES:
                raise ValueError(f"permission {self.name}: {role!r} is not one of {', '.join(ROLES)}")
